"""How gunicorn runs the gateway; loaded by itself when gunicorn starts in this folder.

The environment decides HOST, PORT and WEB_CONCURRENCY through `config.Config`, like everywhere else.
"""

from gevent import monkey

# First, as in wsgi.py: whatever this file imports must find a patched ssl (also with --preload).
monkey.patch_all()

import gc
import importlib
import subprocess
import sys

from config import Config, ConfigError

try:
    _config = Config.from_env()
except ConfigError as error:
    sys.exit(str(error))

bind = f"[{_config.host}]:{_config.port}" if ":" in _config.host else f"{_config.host}:{_config.port}"
worker_class = "app.runtime.gunicorn_worker.GatewayWorker"
workers = _config.web_concurrency
# Two descriptors and one connection per stream; the limit is far above what one worker is asked to hold.
worker_connections = 2000
# Header deadline and idle time of a kept connection; 0 would mean "never".
keepalive = 15
# A worker that is busy with a refresh or a long request is alive: gevent workers report by their event loop.
timeout = 60
# After it workers are killed. Streams end themselves when the drain is over; a token refresh that is then still in flight is
# waited for (60 s at most), because its token would be lost. A worker without either exits at once.
graceful_timeout = _config.drain_seconds + 70
# With one worker a restart after N requests is an outage as long as its longest stream.
max_requests = 0
# The control socket would be a door without a key in $HOME.
control_socket_disable = True
umask = 0o077
accesslog = None
errorlog = "-"
loglevel = _config.log_level.lower()


# What each worker loads that is not ours: loaded once, and shared. Ours is not, so that HUP still loads new code; new libraries
# take a restart. Measured: two workers and their master 157 MB without, 146 MB with it; each worker more 69 MB and 53 MB. With
# one worker alone there is nobody to share with, and it would be 11 MB more.
LIBRARIES = (
    "cryptography.hazmat.primitives.ciphers.aead",
    "flask_cors",
    "flask_sqlalchemy",
    "gevent.pywsgi",
    "orjson",
    "pydantic",
    "requests",
    "sqlalchemy.dialects.sqlite",
)


def on_starting(server):
    """Refuse with one message what would fail in every worker; in a process of its own, so that HUP still loads new code."""
    with subprocess.Popen([sys.executable, "-m", "app.start"]) as trial:
        if server.cfg.workers > 1:
            for name in LIBRARIES:
                importlib.import_module(name)
            gc.collect()
            gc.freeze()  # a worker's collector would touch each object, and a page that is touched is shared no longer
    if trial.returncode:
        sys.exit(trial.returncode)


def post_worker_init(worker):
    """Tell the runtime when this worker drains, and begin what runs beside requests."""
    from app.runtime import worker as life

    life.attach(worker, drain_seconds=_config.drain_seconds)
    life.begin()


def worker_exit(server, worker):
    """Join refreshes and write the last records: a rotated token that was not saved would be lost."""
    from app.runtime import worker as life

    life.leave()
