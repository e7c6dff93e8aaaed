"""`python -m app.start`: tries the start once, before gunicorn makes workers.

In: the environment. Out: exit status 0, with the database migrated and the credentials file read; or one message and status 1.
Without it each worker would fail by itself, print its own traceback, and be started again for ever.
"""

from __future__ import annotations

import sys

from app.errors import GatewayError
from app.factory import create_app
from app.services import EXTENSION, Services
from config import Config, ConfigError

NO_KEY = (
    "No client could call: there is no API key. Set API_KEY, or make one with `flask --app wsgi keys create NAME`"
    " (`make run` makes a first one by itself)."
)


def obstacle() -> str | None:
    """Why the gateway cannot start, None when it can."""
    try:
        services: Services = create_app(Config.from_env()).extensions[EXTENSION]
        return None if services.keys.any() else NO_KEY
    except ConfigError as error:
        return str(error)
    except GatewayError as error:
        return error.message


if __name__ == "__main__":
    sys.exit(obstacle())
