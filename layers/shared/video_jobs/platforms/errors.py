"""How dealing with a platform fails: in a way that passes, or for good."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from video_jobs.jobs.model import JobError


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError:
    """An error that a platform documents. How it is recognised, each platform's own kind says."""

    platform: ClassVar[str]
    """Its name, for people."""
    code: str
    cause: str
    action: str
    retryable: bool

    def with_message(self, message: str) -> JobError:
        said = message.strip() or f"{self.platform} gave no reason"
        return JobError(code=self.code, message=said, cause=self.cause, action=self.action, retryable=self.retryable)


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
