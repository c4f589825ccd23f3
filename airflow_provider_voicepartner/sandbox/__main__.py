"""``python -m airflow_provider_voicepartner.sandbox``: serve until told to stop."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_voicepartner.sandbox",
        description="Serve the HTTP APIs of SMS Partner, Voice Partner and Octopush on this machine. Sends nothing.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8025, help="0 takes a free port (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="same seed, same ids and outcomes (default: %(default)s)"
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how many times faster messages live (default: %(default)s)"
    )
    parser.add_argument("--state-file", metavar="PATH", help="keep the state in this file")
    parser.add_argument(
        "--callback-workers", type=int, default=1, help="callbacks made at once (default: %(default)s)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse what is odd but understood, instead of remarking it"
    )
    parser.add_argument("--quiet", action="store_true", help="do not print a line for each request")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox; return the exit code."""
    options = _arguments().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    if not options.quiet:
        logging.getLogger("airflow_provider_voicepartner.sandbox").setLevel(logging.DEBUG)
    try:
        from airflow_provider_voicepartner.sandbox import Sandbox
        from airflow_provider_voicepartner.sandbox.state_file import StateFileError

        sandbox = Sandbox(
            host=options.host, port=options.port, seed=options.seed, speed=options.speed,
            state_file=options.state_file, callback_workers=options.callback_workers,
            settings={"strict": options.strict},
        )  # fmt: skip
    except (ImportError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        sandbox.serve(lambda url: print(f"Sandbox listening on {url} (described at {url}/)", flush=True))
    except StateFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
