"""Which models can be asked for: what Kiro lists for each login, together.

In: `ListAvailableModels` of every login, looked at by one of all workers soon after the start, every hour, and when a login is
new. Out: a `Catalogue`, the same for every worker and machine, because what was listed is stored: a restart asks nobody.
While nothing is known of a login that can be asked, the models that are built in count as well: it may have any of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy.exc import IntegrityError

from app.credentials.claims import Claims
from app.credentials.credential import Credential
from app.credentials.lifecycle import Happening
from app.credentials.rounds import LOOKED_AT, Rounds
from app.credentials.store import CredentialStore
from app.errors import StorageUnavailable, UpstreamError
from app.kiro.models import ListedModel, parse_listing, restore
from app.translate.models import BUILT_IN, Catalogue, CatalogueModel, described, parse_aliases
from app.upstream.account import Found

log = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0
MAX_AGE_SECONDS = 2.0


class Asker(Protocol):
    """`app.upstream.account.AccountClient` is one."""

    def models(self, credential: Credential) -> Found[tuple[Mapping[str, Any], ...]]: ...


class ModelPoller(Rounds[tuple[ListedModel, ...]]):
    """Looks at the models of each login. One object per process.

    fresh: gives the credential with a token that can be used, and with its profile.
    """

    claim = "models"

    def __init__(
        self,
        store: CredentialStore,
        account: Asker,
        *,
        fresh: Callable[[Credential], Credential],
        happened: Callable[[int, Happening], object],
        claims: Claims | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(store, happened=happened, claims=claims, clock=clock)
        self._account = account
        self._fresh = fresh

    def look(self, credential: Credential) -> tuple[ListedModel, ...]:
        """Look now and store what is listed. Raises what the refresh or the question met."""
        credential = self._fresh(credential)
        found = self._account.models(credential)
        models = parse_listing(found.value)
        if not models:
            raise UpstreamError("Kiro lists no model for this login", upstream_status=200)
        self._keep(credential, {model.id: model.as_json() for model in models})
        if credential.learned.get("rest") != str(found.form):
            self._store.learn(credential.id, rest=str(found.form))
        return models

    def _keep(self, credential: Credential, models: Mapping[str, Mapping[str, Any]]) -> None:
        try:
            self._store.save_models(credential.id, models, self._clock())
        except IntegrityError:  # another machine described a new model at the same moment; now there is a row to compare
            self._store.save_models(credential.id, models, self._clock())

    def _is_due(self, credential: Credential, now: float) -> bool:
        return credential.models_at is None or now - credential.models_at >= EVERY_SECONDS


class Catalog:
    """The catalogue in force. One object per process.

    names: the operator's aliases, as text, and whether unknown names are passed on; asked for each time. clock: monotonic
    seconds.
    """

    def __init__(
        self, store: CredentialStore, names: Callable[[], tuple[str, bool]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._names = names
        self._clock = clock
        self._read_at: float | None = None
        self._mark: object = None
        self._models: Sequence[CatalogueModel] = BUILT_IN
        self._made_of: object = None
        self._catalogue = BUILT_IN

    def current(self) -> Catalogue:
        """The catalogue, at most 2 s behind what is stored; older only while the database does not answer."""
        if self._read_at is None or self._clock() - self._read_at >= MAX_AGE_SECONDS:
            self._read_at = self._clock()
            try:
                self._read()
            except StorageUnavailable:
                log.warning("the list of models could not be read again; those known stay in force")
        names = self._names()
        if self._made_of != (self._mark, names):
            aliases, passes_unknown = names
            self._catalogue = Catalogue(self._models, aliases=parse_aliases(aliases), passes_unknown=passes_unknown)
            self._made_of = (self._mark, names)
        return self._catalogue

    def _read(self) -> None:
        """Read what the models are, when it changed which login has which."""
        credentials = self._store.all()
        mark = [(each.id, each.models_at, each.disabled, each.state in LOOKED_AT) for each in credentials]
        if mark != self._mark:
            self._models, self._mark = together(credentials, self._store.models()), mark


def together(credentials: Iterable[Credential], entries: Mapping[str, Mapping[str, Any]]) -> tuple[CatalogueModel, ...]:
    """Every model that a login has which is not disabled. entries: what was stored of each model, by id."""
    able = [each for each in credentials if not each.disabled]
    listed = {id_ for each in able for id_ in each.models or ()}
    live = {id_: described(restore(entries[id_]) if id_ in entries else ListedModel(id_)) for id_ in sorted(listed)}
    if not live or any(each.models is None and each.state in LOOKED_AT for each in able):
        live = {model.id: model for model in BUILT_IN} | live
    return tuple(live.values())
