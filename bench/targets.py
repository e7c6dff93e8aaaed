"""What is measured, as processes: this gateway as production runs it, nginx relaying bytes as the floor, or somebody else's.

In: a folder of its own and the address of the bench's upstream. Out: a `Target` that answers, stopped when its block ends.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.load import Address
from bench.measure import tree

ROOT = Path(__file__).resolve().parents[1]
API_KEY = "sk-bench-gateway-key"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
NGINX = "nginx"
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_NGINX_CONF = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
{user}
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_max_body_size 64m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_timeout 0;
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that answers requests. kind: floor, plain (this gateway), tls (the same before a TLS upstream) or other."""

    name: str
    kind: str
    address: Address
    pid: int
    key: str = API_KEY


@dataclass(frozen=True, slots=True)
class Upstream:
    """The bench's own upstream. trusted: the bundle to trust it by, None for plain HTTP."""

    port: int
    pid: int
    trusted: Path | None

    @property
    def url(self) -> str:
        return f"{'https' if self.trusted else 'http'}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def upstream(folder: Path, *, tls: bool = False, port: int | None = None) -> Iterator[Upstream]:
    """The bench's upstream, with a certificate of its own when it speaks TLS."""
    port = port or free_port()
    certificate = _certificate(folder) if tls else None
    command = [sys.executable, "-m", "bench.upstream", str(port), *([str(certificate)] if certificate else [])]
    with _process(command, folder / f"upstream-{port}.log", environment=_environment(), port=port) as pid:
        yield Upstream(port, pid, _trusted(certificate) if certificate else None)


@contextlib.contextmanager
def gateway(folder: Path, source: Upstream, *, workers: int = 1, credentials: int = 1, keys: int = 0) -> Iterator[Target]:
    """This gateway by the Procfile's command: database, social logins, keys, pool, checks and records as in production.

    keys: so many stored keys beside the environment's; the last of them is the one that is presented then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    logins = folder / "credentials.json"
    logins.write_text(json.dumps([_login(number) for number in range(credentials)]))
    logins.chmod(0o600)
    trust = {} if source.trusted is None else dict.fromkeys(CA_VARIABLES, str(source.trusted))
    environment = _environment(
        HOST="127.0.0.1",
        PORT=str(port),
        API_KEY=API_KEY,
        DB_PATH=str(folder / "data.db"),
        KIRO_UPSTREAM_URL=source.url,
        KIRO_CREDENTIALS_FILE=str(logins),
        WEB_CONCURRENCY=str(workers),
        DRAIN_SECONDS="1",
        LOG_LEVEL="warning",
        **trust,
    )
    with _process(
        ["sh", "-c", f"exec env {_web_command()}"], folder / "gateway.log", environment=environment, port=port
    ) as pid:
        key = _store_keys(folder / "data.db", keys) if keys else API_KEY
        kind = "tls" if source.trusted else "plain"
        yield Target(f"gateway {kind}", kind, ("127.0.0.1", port), pid, key)


@contextlib.contextmanager
def floor(folder: Path, source: Upstream) -> Iterator[Target | None]:
    """nginx relaying the same bytes unread; None when it is not installed."""
    binary = shutil.which(NGINX, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    conf = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # it would give up root for a user who may not read the folder
    conf.write_text(_NGINX_CONF.format(folder=folder, port=port, upstream=source.port, user=user))
    command = [binary, "-c", str(conf), "-e", str(folder / "nginx-error.log")]
    with _process(command, folder / "nginx.log", environment=_environment(), port=port) as pid:
        yield Target("floor (nginx)", "floor", ("127.0.0.1", port), pid)


def parse_target(text: str) -> Target:
    """`NAME=URL,PID,KEY` of a gateway that runs already, in front of the bench's upstream. Raises ValueError."""
    name, _, rest = text.partition("=")
    url, pid, key = rest.split(",", 2)
    host, _, port = url.rstrip("/").rpartition("//")[2].partition(":")
    return Target(name, "other", (host, int(port)), int(pid), key)


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _web_command() -> str:
    for line in (ROOT / "Procfile").read_text().splitlines():
        if line.startswith("web:"):
            return line.removeprefix("web:").strip()
    raise RuntimeError("the Procfile has no web process")


def _environment(**ours: str) -> dict[str, str]:
    """Nothing of the surroundings but the way to programs, and the folder's .env is nobody's."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", **ours}


def _login(number: int) -> dict[str, str]:
    expires_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=12)
    return {
        "authMethod": "social",
        "refreshToken": f"aor{number:08}" + "R" * 200,
        "accessToken": f"aoa{number:08}" + "A" * 200,
        "expiresAt": expires_at.isoformat(),
        "email": f"bench-{number}@example.test",
    }


def _store_keys(database: Path, count: int) -> str:
    """Many client keys, written as the gateway stores them; the last one in clear. They count after its next look."""
    keys = [f"sk-kiro-{number:040}" for number in range(count)]
    rows = [(f"key {key}", hashlib.sha256(key.encode()).hexdigest(), key[-4:], True, time.time()) for key in keys]
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.executemany("INSERT INTO api_keys (name, key_hash, last4, enabled, created_at) VALUES (?, ?, ?, ?, ?)", rows)
    time.sleep(2.5)
    return keys[-1]


def _certificate(folder: Path) -> Path:
    """A self-signed certificate for the loopback with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench upstream")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "upstream.pem"
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def _trusted(certificate: Path) -> Path:
    """That certificate behind all that are trusted in production: reading them is a part of the cost."""
    path = certificate.with_name("trusted.pem")
    own = certificate.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2]
    path.write_bytes(Path(certifi.where()).read_bytes() + own)
    return path


@contextlib.contextmanager
def _process(command: list[str], log_path: Path, *, environment: dict[str, str], port: int) -> Iterator[int]:
    """A child that listens on a port, ended with the block, and its own children when it leaves them.

    Raises RuntimeError, with what it printed, when it does not come to listening.
    """
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        if not _listens(process, port):
            raise RuntimeError(f"{command[-1]} did not start:\n{log_path.read_text(errors='replace')}")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in tree(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.01)
    return False
