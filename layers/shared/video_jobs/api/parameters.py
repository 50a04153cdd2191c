"""Parameters that several routes take.

Plain aliases: the framework looks for the parameters' kinds there, not in `type` statements.
"""

import re
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Query

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same request does it once, however often it is sent.",
    ),
]
Cursor = Annotated[str | None, Query(max_length=300, description="Where to go on: an earlier answer's cursor.")]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]

CREATED_CURSOR = re.compile(r"[0-9T:.Z-]{20,30}#[\w.-]{1,128}", re.ASCII)
"""What the cursor of a list of jobs or batches looks like."""
