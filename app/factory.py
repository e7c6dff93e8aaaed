"""Where the parts are put together: the only composition root."""

from __future__ import annotations

import logging
import time
from functools import partial
from urllib.parse import urlsplit

from flask import Flask
from flask_cors import CORS

from app import blueprints, cli, logs, storage
from app.access.api_keys import KeyRing
from app.attachments import Attachments
from app.catalog import Catalog, ModelPoller
from app.counting import TokenCounts
from app.credentials.credential import Credential
from app.credentials.importers import sync_file
from app.credentials.login import LoginFlows
from app.credentials.pool import Pool
from app.credentials.profiles import Profiles
from app.credentials.scheduler import Policy
from app.credentials.store import CredentialStore
from app.credentials.usage import UsagePoller
from app.doctor import Doctor
from app.kiro.endpoints import ClientIdentity
from app.ledger import Ledger
from app.relay import Relay
from app.runtime import worker
from app.services import EXTENSION, Services
from app.settings import SettingsStore
from app.storage.root_secret import SIGNATURES, derive, root_secrets
from app.translate.signatures import Sealer
from app.upstream.account import AccountClient
from app.upstream.client import ChatClient
from app.upstream.fetch import fetch
from app.upstream.http import Http, goes_around
from app.upstream.token_counter import TokenCounter
from config import Config

log = logging.getLogger(__name__)

REFRESH_JOIN_SECONDS = 65.0
LEDGER_FLUSH_SECONDS = 5.0
EXPOSED_HEADERS = ["request-id", "x-kiro-credits", "x-kiro-token-source"]


def create_app(config: Config) -> Flask:
    """Make the application: database ready, credentials file read, every service built once, every door hung."""
    logs.set_up(config)
    app = Flask("app")
    storage.init(app, config)
    settings = SettingsStore()
    keys = KeyRing(config.api_key)
    store = CredentialStore()

    def default_proxy(host: str) -> str | None:
        around = goes_around(host, config.no_proxy)
        return settings.current().proxy_url or (None if around else config.proxy_url)

    http = Http(
        upstream_url=config.kiro_upstream_url, ca_bundle=config.ca_bundle, default_proxy=default_proxy, fast=config.fast_path
    )

    def identity() -> ClientIdentity:
        current = settings.current()
        return ClientIdentity(
            kiro_version=current.kiro_version,
            rest_version=current.kiro_rest_version,
            system_version=current.system_version,
            node_version=current.node_version,
        )

    def policy() -> Policy:
        current = settings.current()
        return Policy(current.scheduling_mode, current.min_usage_threshold, config.web_concurrency)

    account = AccountClient(http, identity)
    profiles = Profiles(store, account)
    pool = Pool(
        store,
        http=http,
        identity=identity,
        policy=policy,
        profiled=profiles.ensure_profile,
        exhausted=lambda id_: usage.look_soon(id_),
    )
    ledger = Ledger()

    def fresh(credential: Credential) -> Credential:
        return profiles.ensure_profile(pool.fresh(credential))

    def names() -> tuple[str, bool]:
        current = settings.current()
        return current.model_aliases, current.pass_unknown_models

    usage = UsagePoller(
        store,
        account,
        fresh=fresh,
        happened=store.happened,
        threshold=lambda: settings.current().min_usage_threshold,
        every=lambda: settings.current().usage_seconds,
    )

    models = ModelPoller(store, account, fresh=fresh, happened=store.happened)
    catalogue = Catalog(store, names).current

    def proxy_of(url: str, own: str | None) -> str | None:
        return own or default_proxy(urlsplit(config.kiro_upstream_url or url).hostname or "")

    doctor = Doctor(
        store,
        http=http,
        fresh=pool.fresh,
        usage=usage,
        identity=identity,
        settings=settings.current,
        catalogue=catalogue,
        proxy_of=proxy_of,
    )
    counts = TokenCounts()
    relay = Relay(
        pool=pool,
        client=ChatClient(http, identity),
        ledger=ledger,
        settings=settings.current,
        catalogue=catalogue,
        sealer=Sealer(*(derive(root, SIGNATURES) for root in root_secrets(config))),
        attachments=Attachments(partial(fetch, ca_bundle=config.ca_bundle)),
        counts=counts,
    )
    app.extensions[EXTENSION] = Services(
        config=config,
        settings=settings,
        keys=keys,
        store=store,
        pool=pool,
        logins=LoginFlows(store, http=http, identity=identity),
        relay=relay,
        ledger=ledger,
        usage=usage,
        doctor=doctor,
        models=models,
        catalogue=catalogue,
        counts=counts,
        counter=TokenCounter(Http(ca_bundle=config.ca_bundle, default_proxy=default_proxy), settings.current),
        clock=time.time,
    )
    # The last one registered runs first: requests that end while a refresh is waited for still get their record.
    worker.at_exit(lambda: ledger.flush(LEDGER_FLUSH_SECONDS))
    worker.at_exit(lambda: pool.join_refreshes(REFRESH_JOIN_SECONDS))
    for poller in (usage, models):
        worker.at_exit(poller.stop)
        worker.at_start(poller.start)
    if config.kiro_credentials_file is not None:
        sync_file(config.kiro_credentials_file, store)
    blueprints.register(app)
    if config.cors_origins:
        origins = {"origins": list(config.cors_origins)}
        CORS(app, resources={r"/v1/*": origins, r"/cc/v1/*": origins}, expose_headers=EXPOSED_HEADERS)
    cli.register(app)
    return app
