"""`python -m simulator --port 0`: run the stand-in until SIGTERM, Ctrl-C, or the end of whoever started it."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
from gevent.event import Event  # noqa: E402
from gevent.socket import wait_read  # noqa: E402

from simulator.options import Options  # noqa: E402
from simulator.server import Server  # noqa: E402
from simulator.validation import check_names  # noqa: E402


def main(arguments: list[str]) -> int:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A stand-in for Kiro on this machine.")
    parser.add_argument("--port", type=int, default=8990, help="0: any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--options", default="{}", help="JSON object; see simulator/options.py")
    parser.add_argument("--exit-with-stdin", action="store_true", help="stop when standard input ends")
    given = parser.parse_args(arguments)
    try:
        options = Options().changed(json.loads(given.options))
        check_names(options)
    except (ValueError, TypeError, AttributeError) as error:
        parser.error(f"--options: {error}")
    _allow_many_sockets()
    server = Server(given.host, given.port, options)
    host, port = server.start()
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopping.set)
    if given.exit_with_stdin:
        gevent.spawn(_stop_at_end_of_input, stopping)
    print(f"simulator listening on http://{host}:{port}", flush=True)
    stopping.wait()
    server.stop()
    return 0


def _stop_at_end_of_input(stopping: Event) -> None:
    """A test run that was killed takes its stand-in with it."""
    wait_read(sys.stdin.fileno())
    stopping.set()


def _allow_many_sockets() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
