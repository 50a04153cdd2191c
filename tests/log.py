"""The log as it goes to CloudWatch."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Log(io.StringIO):
    """What the functions have logged."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def messages(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == message]


@contextmanager
def captured() -> Iterator[Log]:
    """Everything that is logged meanwhile by the functions and the layer that are imported by now."""
    loggers = logging.root.manager.loggerDict.values()
    handlers: list[Any] = [found for logger in loggers if (found := getattr(logger, "powertools_handler", None))]
    log = Log()
    before = [handler.setStream(log) for handler in handlers]
    try:
        yield log
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)
