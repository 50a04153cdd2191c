"""How many times longer than usual this machine takes.

What is simulated shares the machine with what it is simulated for. A platform's five seconds are documented for a stack
in AWS, and not for one on two cores that have other things to do.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

USUAL_SECONDS = 0.0025
"""What two cores with nothing else to do need for a callback that is rejected, and a third more."""
TIMES = 20
LARGEST = 20.0
"""What takes longer than this hangs."""


def measure(asks: Sequence[Callable[[], object]], *, clock: Callable[[], float] = time.monotonic) -> float:
    """1 at least, to a tenth. `asks`: callbacks that are rejected, each by a function of its own that runs already.

    They are sent at the same time, as one alone finds a free moment on the busiest machine.
    """
    threads = ThreadPoolExecutor(len(asks))
    began = clock()
    try:
        list(threads.map(lambda ask: [ask() for _ in range(TIMES)], asks))
    finally:
        threads.shutdown(wait=False)  # Ctrl-C does not wait for them
    took = (clock() - began) / (TIMES * len(asks))
    return round(min(max(took / USUAL_SECONDS, 1.0), LARGEST), 1)
