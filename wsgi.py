"""The WSGI application: `gunicorn wsgi:app`, `flask --app wsgi COMMAND`."""

from gevent import monkey

# Before anything that imports ssl or requests; harmless when gunicorn.conf.py has done it already. Without it every HTTPS
# call ends in a RecursionError.
monkey.patch_all()

import sys

from app.errors import StorageUnavailable
from app.factory import create_app
from config import Config, ConfigError

try:
    app = create_app(Config.from_env())
except (ConfigError, StorageUnavailable) as error:
    sys.exit(str(error))
