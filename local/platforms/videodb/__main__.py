"""`python -m local.platforms.videodb` runs the simulated VideoDB alone, until Ctrl-C."""

from argparse import ArgumentParser
from contextlib import suppress
from threading import Event

from local.platforms.knobs import Knobs
from local.platforms.videodb.behaviour import table
from local.platforms.videodb.server import SimulatedVideoDb


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m local.platforms.videodb", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pace", type=float, default=0.2, help="seconds that a job takes")
    parser.add_argument("--knobs", default="", help="for every source, as in a query string: 'drop=0.1&delay=2'")
    return parser


def main() -> None:
    asked = arguments().parse_args()
    knobs = Knobs().turned(asked.knobs)
    with SimulatedVideoDb(port=asked.port, seed=asked.seed, host=asked.host, pace=asked.pace, knobs=knobs) as videodb:
        print(f"VideoDB on {videodb.url}\n\nThe source's file name decides:\n\n{table()}\n", flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()


if __name__ == "__main__":
    main()
