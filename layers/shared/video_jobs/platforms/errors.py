"""How dealing with a platform fails: in a way that passes, or for good."""

from collections.abc import Mapping
from typing import Any

from video_jobs.jobs.model import JobError


class TransientError(Exception):
    """Worth another attempt, after a wait."""

    def __init__(
        self,
        error: JobError,
        *,
        wait_seconds: float | None = None,
        status: int | None = None,
        rate_limited: bool = False,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        """What the step fails with once its attempts are used up."""
        self.wait_seconds = wait_seconds
        """How long the platform asked us to wait."""
        self.status = status
        """The answer's HTTP status, if there was an answer."""
        self.rate_limited = rate_limited
        """Whether the platform only had no room for the request: it has not looked at it."""


class RefusedByPlatformError(Exception):
    """The platform has understood and will not do it: another attempt would be refused as well."""

    def __init__(self, error: JobError, *, status: int, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.status = status
        """The answer's HTTP status; some platforms refuse with 200."""
        self.body = body or {}
        """What it answered, where somebody may want to pass that on."""
