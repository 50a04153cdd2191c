"""`python -m local.platforms.apivideo` runs the simulated api.video alone, until Ctrl-C."""

import os
from argparse import ArgumentParser
from contextlib import suppress
from threading import Event

from local.platforms.apivideo.behaviour import table
from local.platforms.apivideo.server import SimulatedApiVideo
from local.platforms.knobs import Knobs

SECRET_VARIABLE = "APIVIDEO_WEBHOOK_SECRET"  # noqa: S105 (its name)


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m local.platforms.apivideo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pace", type=float, default=0.2, help="seconds that a video takes")
    parser.add_argument("--knobs", default="", help="for every source, as in a query string: 'drop=0.1&delay=2'")
    parser.add_argument("--resend-wait", type=float, default=3.0, help="seconds before a callback is sent again")
    parser.add_argument("--webhook", action="append", default=[], metavar="URL", help="for every event; repeatable")
    return parser


def main() -> None:
    asked = arguments().parse_args()
    with SimulatedApiVideo(
        port=asked.port,
        seed=asked.seed,
        host=asked.host,
        pace=asked.pace,
        knobs=Knobs().turned(asked.knobs),
        resend_wait=asked.resend_wait,
    ) as apivideo:
        for url in asked.webhook:
            # without the variable the secret is a new one, which GET /webhooks shows
            apivideo.register(url, secret=os.environ.get(SECRET_VARIABLE))
        print(f"api.video on {apivideo.url}\n\nThe source's file name decides:\n\n{table()}\n", flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()


if __name__ == "__main__":
    main()
