"""The tables. Instants are epoch seconds; money is exact text; lists are JSON. Classes are rows, not the things themselves."""

from __future__ import annotations

from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, String, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.storage.secrets import SealedText
from app.storage.words import Remark, Words


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base, disable_autonaming=True)


# Settings whose values are sealed: they hold a password or a key.
SECRET_SETTINGS = frozenset({"proxy_url", "count_tokens_api_key"})

# Without it SQLite gives the id of a deleted row to the next one, and old records would name the wrong login.
NEVER_AGAIN = {"sqlite_autoincrement": True}


class CredentialRow(Base):
    """One Kiro login, its tokens and its state."""

    __tablename__ = "credentials"
    __table_args__ = (
        Index("credentials_secret_fingerprint", "secret_fingerprint"),
        Index("credentials_revision", "revision"),
        NEVER_AGAIN,
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    label: Mapped[str | None] = mapped_column(Words)
    provider: Mapped[str | None] = mapped_column(Words)
    access_token: Mapped[str | None] = mapped_column(SealedText)
    refresh_token: Mapped[str | None] = mapped_column(SealedText)
    expires_at: Mapped[float | None] = mapped_column(Float)
    client_id: Mapped[str | None] = mapped_column(Words)
    client_secret: Mapped[str | None] = mapped_column(SealedText)
    client_secret_expires_at: Mapped[float | None] = mapped_column(Float)
    start_url: Mapped[str | None] = mapped_column(Words)
    token_endpoint: Mapped[str | None] = mapped_column(Words)
    issuer_url: Mapped[str | None] = mapped_column(Words)
    scopes: Mapped[str | None] = mapped_column(Words)
    profile_arn: Mapped[str | None] = mapped_column(Words)
    auth_region: Mapped[str | None] = mapped_column(Words)
    api_region: Mapped[str | None] = mapped_column(Words)
    machine_id: Mapped[str | None] = mapped_column(Words)
    proxy_url: Mapped[str | None] = mapped_column(SealedText)
    priority: Mapped[int] = mapped_column(Integer, default=0)
    max_concurrent: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), default="ready")
    state_until: Mapped[float | None] = mapped_column(Float)
    state_reason: Mapped[str | None] = mapped_column(Remark)
    failure_count: Mapped[int] = mapped_column(Integer, default=0)
    success_count: Mapped[int] = mapped_column(Integer, default=0)
    last_used_at: Mapped[float | None] = mapped_column(Float)
    # Tokens are saved where `version` is the one that was read; the lease is the claim to refresh (see credentials.store).
    version: Mapped[int] = mapped_column(Integer, default=1)
    lease_owner: Mapped[str | None] = mapped_column(Words)
    lease_until: Mapped[float | None] = mapped_column(Float)
    attempt_at: Mapped[float | None] = mapped_column(Float)
    # What it was imported with: a file's entry is taken over once, also after the tokens here have rotated.
    import_source: Mapped[str | None] = mapped_column(Words)
    import_fingerprint: Mapped[str | None] = mapped_column(String(64), unique=True)
    # Of the refresh token or API key it has now: a login that is brought again is found without opening a thousand others.
    secret_fingerprint: Mapped[str | None] = mapped_column(String(64))
    # Grows with every change but the counts of what was answered: a reader sees that nothing is new without reading it all.
    revision: Mapped[int] = mapped_column(Integer, default=1)
    email: Mapped[str | None] = mapped_column(Words)
    subscription_title: Mapped[str | None] = mapped_column(Words)
    current_usage: Mapped[float | None] = mapped_column(Float)
    usage_limit: Mapped[float | None] = mapped_column(Float)
    usage_at: Mapped[float | None] = mapped_column(Float)
    next_reset_at: Mapped[float | None] = mapped_column(Float)
    usage: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    # The ids of the models Kiro listed for it; what each of them is stands in `models`, once for everybody.
    models: Mapped[list[str] | None] = mapped_column(JSON)
    models_at: Mapped[float | None] = mapped_column(Float)
    # What was found to work upstream for this login where the references contradict each other (see credentials.credential).
    learned: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    created_at: Mapped[float] = mapped_column(Float)
    updated_at: Mapped[float] = mapped_column(Float)


@event.listens_for(CredentialRow, "before_update")
def _count_the_change(_mapper: Any, _connection: Any, row: CredentialRow) -> None:
    row.revision += 1


class ModelRow(Base):
    """A model as Kiro described it last, whichever login it was listed for (see kiro.models)."""

    __tablename__ = "models"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    entry: Mapped[dict[str, Any]] = mapped_column(JSON)


class LoginFlowRow(Base):
    """A sign-in under way, which any worker can go on with. secret: the sealed JSON of what nobody may see."""

    __tablename__ = "login_flows"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    method: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    shown: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    options: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    secret: Mapped[str | None] = mapped_column(SealedText)
    credential_id: Mapped[int | None] = mapped_column(Integer)
    problem: Mapped[str | None] = mapped_column(Remark)
    # Only one worker asks at a time: it claims the flow until then.
    lease_until: Mapped[float | None] = mapped_column(Float)
    ask_at: Mapped[float | None] = mapped_column(Float)
    created_at: Mapped[float] = mapped_column(Float)
    expires_at: Mapped[float] = mapped_column(Float)


class ClaimRow(Base):
    """Work that one of all workers and machines does at a time: who holds it, until when, when it was done last."""

    __tablename__ = "claims"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str | None] = mapped_column(Words)
    until: Mapped[float | None] = mapped_column(Float)
    done_at: Mapped[float | None] = mapped_column(Float)


class SettingRow(Base):
    """A run-time setting that differs from its default. The values of SECRET_SETTINGS are sealed."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Words)
    updated_at: Mapped[float] = mapped_column(Float)


class ApiKeyRow(Base):
    """A client's key, as its SHA-256."""

    __tablename__ = "api_keys"
    __table_args__ = NEVER_AGAIN

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(Words)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    last4: Mapped[str] = mapped_column(String(4))
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[float] = mapped_column(Float)
    expires_at: Mapped[float | None] = mapped_column(Float)
    last_used_at: Mapped[float | None] = mapped_column(Float)


class RequestRow(Base):
    """What happened to one request."""

    __tablename__ = "requests"
    __table_args__ = (Index("requests_at", "at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[float] = mapped_column(Float)
    api_key_id: Mapped[int | None] = mapped_column(Integer, ForeignKey("api_keys.id", ondelete="SET NULL"))
    key_name: Mapped[str | None] = mapped_column(Words)
    path: Mapped[str] = mapped_column(Words)
    model_asked: Mapped[str | None] = mapped_column(Words)
    model_used: Mapped[str | None] = mapped_column(Words)
    stream: Mapped[bool] = mapped_column(Boolean, default=False)
    session_id: Mapped[str | None] = mapped_column(Words)
    status: Mapped[int | None] = mapped_column(Integer)
    error_type: Mapped[str | None] = mapped_column(Words)
    error_message: Mapped[str | None] = mapped_column(Remark)
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    input_tokens: Mapped[int | None] = mapped_column(Integer)
    output_tokens: Mapped[int | None] = mapped_column(Integer)
    cache_read_tokens: Mapped[int | None] = mapped_column(Integer)
    cache_write_tokens: Mapped[int | None] = mapped_column(Integer)
    token_source: Mapped[str | None] = mapped_column(Words)
    credits: Mapped[str | None] = mapped_column(Words)
    rules: Mapped[list[str]] = mapped_column(JSON, default=list)
    first_event_ms: Mapped[int | None] = mapped_column(Integer)
    total_ms: Mapped[int | None] = mapped_column(Integer)
    stop_reason: Mapped[str | None] = mapped_column(Words)


class AdminRow(Base):
    """Who may sign in to the admin."""

    __tablename__ = "users"
    __table_args__ = NEVER_AGAIN

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    username: Mapped[str] = mapped_column(String(128), unique=True)
    password_hash: Mapped[str] = mapped_column(Words)
    created_at: Mapped[float] = mapped_column(Float)
    updated_at: Mapped[float] = mapped_column(Float)
