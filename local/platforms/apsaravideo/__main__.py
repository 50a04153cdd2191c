"""`python -m local.platforms.apsaravideo` runs the simulated ApsaraVideo VOD alone, until Ctrl-C."""

from argparse import ArgumentParser
from contextlib import suppress
from threading import Event

from local.platforms.apsaravideo.behaviour import table
from local.platforms.apsaravideo.server import ACCESS_KEYS, QUEUES, SimulatedApsaraVideo
from local.platforms.knobs import Knobs


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m local.platforms.apsaravideo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pace", type=float, default=0.2, help="seconds that a job takes")
    parser.add_argument("--knobs", default="", help="for every source, as in a query string: 'drop=0.1&delay=2'")
    parser.add_argument("--mns-base64", action="store_true", help="messages are base64 in the queue")
    return parser


def main() -> None:
    asked = arguments().parse_args()
    with SimulatedApsaraVideo(
        port=asked.port,
        seed=asked.seed,
        host=asked.host,
        pace=asked.pace,
        knobs=Knobs().turned(asked.knobs),
        mns_base64=asked.mns_base64,
    ) as vod:
        print(f"ApsaraVideo VOD on {vod.url}, with MNS below /queues: {', '.join(QUEUES)}")
        print(f"Access keys: {', '.join(ACCESS_KEYS)}\n\nThe source's file name decides:\n\n{table()}\n", flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()


if __name__ == "__main__":
    main()
