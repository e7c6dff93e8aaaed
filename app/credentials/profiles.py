"""The profile ARN of an organisation's login, found once and kept.

In: a credential whose access token can be used. Out: the credential as it may be sent, which for an Enterprise Identity Center
or an external identity provider means: with a profile ARN of its own. Tasks that need the same one wait for one search. That
there is no profile is remembered too (`learned["profile"]`) until somebody signs in again. Builder IDs, social logins and keys
are sent with what fits their kind and are never asked about.
Source: protocol 1.8.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from app.credentials.credential import Credential
from app.credentials.store import CredentialStore
from app.kiro.endpoints import sent_profile_arn
from app.kiro.profiles import Profile, best
from app.runtime.tasks import Task, spawn

log = logging.getLogger(__name__)

LEARNED = "profile"
NONE = "none"


class Asker(Protocol):
    """`app.upstream.account.AccountClient` is one."""

    def profiles(self, credential: Credential) -> tuple[Profile, ...]: ...


class Profiles:
    """One object per process. start: runs a function beside its caller and lets others wait for it."""

    def __init__(
        self,
        store: CredentialStore,
        account: Asker,
        *,
        start: Callable[[Callable[[], Credential]], Task[Credential]] = spawn,
    ) -> None:
        self._store = store
        self._account = account
        self._start = start
        self._searches: dict[int, Task[Credential]] = {}

    def ensure_profile(self, credential: Credential) -> Credential:
        """The credential with its profile ARN, if it is of a sort that needs one and Kiro knows any.

        Raises what the search met: without an answer the login cannot be used as it is, and a throttle must not be answered
        with a call that is refused.
        """
        if not lacks_profile(credential) or credential.learned.get(LEARNED) == NONE:
            return credential
        search = self._searches.get(credential.id)
        if search is None or search.done:
            search = self._searches[credential.id] = self._start(lambda: self.search(credential))
        return search.result()

    def search(self, credential: Credential) -> Credential:
        """Ask now, whatever is remembered."""
        profile = best(self._account.profiles(credential))
        if profile is None:
            log.warning("Kiro knows no profile for credential %d", credential.id)
            self._store.learn(credential.id, **{LEARNED: NONE})
            stored = self._store.get(credential.id)
        else:
            log.info("credential %d acts for the profile %s", credential.id, profile.arn)
            stored = self._store.save_profile(credential, profile.arn)
        return stored or credential


def lacks_profile(credential: Credential) -> bool:
    """Whether it would be sent without a profile ARN, and is of a sort that is refused so."""
    sent = sent_profile_arn(credential.kind, credential.provider, credential.profile_arn)
    return sent is None and credential.kind != "api_key"
