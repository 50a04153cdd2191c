"""How long to wait: after an error that passes, for room at the platform, and between polls."""

import random

LONGEST_SECONDS = 300
LONGEST_ASKED_SECONDS = 6 * 3600
"""How long a platform may have us wait."""
LONGEST_SPREAD_SECONDS = 800
"""Over how long at most jobs come again that a rate limit has sent away."""
LONGEST_POLL_SECONDS = 900
CALLBACK_SECONDS = 60.0
"""Until the first poll of a step that a callback is to be expected of."""
_GROWTH = 1.5


def after_error(base_delay: float, attempts: int, *, asked: float | None = None) -> float:
    """Seconds until the next attempt after the `attempts`th: exponential, with full jitter; no less than was asked for.

    aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter
    """
    return max(_jittered(base_delay, attempts, LONGEST_SECONDS), bounded(asked))


def for_room(base_delay: float, spared: int, *, asked: float | None = None) -> float:
    """Seconds until the platform may have room: jobs that are sent away together come again spread out.

    Whoever wants no wait after an error does not want to crowd the rest out.
    """
    return bounded(asked) + _jittered(max(base_delay, 1.0), spared + 1, LONGEST_SPREAD_SECONDS)


def for_aws(spared: int) -> float:
    """Seconds until AWS may answer again."""
    return 1.0 + _jittered(2.0, spared + 1, LONGEST_SECONDS)


def next_poll(interval: float, polls: int) -> float:
    """Seconds from a poll to the next one: ever more, to a quarter of an hour. `polls`: how many there were."""
    # long before thirty it has reached its longest
    return min(interval * _GROWTH ** min(polls, 30), max(LONGEST_POLL_SECONDS, interval))


def bounded(asked: float | None) -> float:
    """What a platform asked us to wait, as far as we do."""
    return min(max(asked or 0.0, 0.0), LONGEST_ASKED_SECONDS)


def _jittered(base_delay: float, attempts: int, longest: float) -> float:
    return random.uniform(0, min(base_delay * 2 ** min(max(attempts - 1, 0), 20), longest))
