"""`python -m local.demo`, which is what `make demo` runs."""

import signal
import sys
from argparse import ArgumentParser
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130


def main() -> int:
    """The exit code: 0 if every job ended as it should."""
    ArgumentParser(prog="make demo", description="Sends jobs through the whole stack on this machine.").parse_args()
    signal.signal(signal.SIGINT, _interrupt)
    try:
        from local.demo import demonstration  # noqa: PLC0415 - this takes a moment, and Ctrl-C must end it well, too

        return demonstration.main()
    except KeyboardInterrupt:
        print("\nStopped, with everything that it had started.")
        return INTERRUPTED


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """The first Ctrl-C ends the demo; further ones do not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
