"""Answers that wait for a change: long polling."""

import time
from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

LONGEST_WAIT_SECONDS = 25
"""API Gateway gives up after 30."""
_INTERVAL_SECONDS = 1.0

# Plain aliases: the framework looks for the parameters' kinds there, not in `type` statements.
Wait = Annotated[
    int,
    Query(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        description="Seconds to wait for a change before the answer. What has ended is answered at once.",
    ),
]
Since = Annotated[
    int | None,
    Query(
        ge=0, description="The version that the caller knows: a newer one is answered at once. The present one if none."
    ),
]


def when_changed[T](
    read: Callable[[], T], *, version: Callable[[T], int], ended: Callable[[T], bool], wait: int, since: int | None
) -> T:
    """What `read` gives when it is another version than `since`, or has ended, or `wait` seconds are over."""
    end = time.monotonic() + wait
    found = read()
    known = version(found) if since is None else since
    while version(found) == known and not ended(found) and (left := end - time.monotonic()) > 0:
        time.sleep(min(_INTERVAL_SECONDS, left))
        found = read()
    return found
