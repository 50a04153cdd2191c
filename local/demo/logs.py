"""What the functions logged, kept for whoever looks into a demo that failed: the emulated AWS forgets it."""

from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.commands import LOGS

FILE = LOGS / "demo-functions.log"


def forget() -> None:
    """What an earlier demo kept."""
    FILE.unlink(missing_ok=True)


def keep(logs: Any) -> None:
    """As far as they can be had. `logs`: a client of CloudWatch Logs."""
    with suppress(BotoCoreError, ClientError):
        FILE.write_text("".join(f"{line}\n" for line in _lines(logs)), encoding="utf-8")


def _lines(logs: Any) -> list[str]:
    pages = logs.get_paginator("describe_log_groups").paginate()
    groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    events = [
        event
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    ]
    return [event["message"].rstrip() for event in sorted(events, key=lambda event: event["timestamp"])]
