"""`python -m local.platforms.twelvelabs` runs the simulated TwelveLabs alone, until Ctrl-C."""

import os
from argparse import ArgumentParser
from contextlib import suppress
from threading import Event

from local.platforms.knobs import Knobs
from local.platforms.twelvelabs.behaviour import table
from local.platforms.twelvelabs.server import SimulatedTwelveLabs

SECRET_VARIABLE = "TWELVELABS_WEBHOOK_SECRET"  # noqa: S105 (its name)


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m local.platforms.twelvelabs", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pace", type=float, default=0.2, help="seconds that a job takes")
    parser.add_argument("--knobs", default="", help="for every source, as in a query string: 'drop=0.1&delay=2'")
    parser.add_argument("--webhook", action="append", default=[], metavar="URL", help="an endpoint; repeatable")
    parser.add_argument("--indexed-asset-events", action="store_true", help="callbacks are about indexed assets, too")
    return parser


def main() -> None:
    parser = arguments()
    asked = parser.parse_args()
    secret = os.environ.get(SECRET_VARIABLE, "")
    if asked.webhook and not secret:
        parser.error(f"--webhook needs the endpoint's secret in {SECRET_VARIABLE}")
    with SimulatedTwelveLabs(
        port=asked.port,
        seed=asked.seed,
        host=asked.host,
        pace=asked.pace,
        knobs=Knobs().turned(asked.knobs),
        indexed_asset_events=asked.indexed_asset_events,
    ) as twelvelabs:
        for url in asked.webhook:
            twelvelabs.register(url, secret)
        print(f"TwelveLabs on {twelvelabs.url}\n\nThe source's file name decides:\n\n{table()}\n", flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()


if __name__ == "__main__":
    main()
