"""How dealing with a platform fails: in a way that passes, or for good; and when it is not the platform but AWS."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 (botocore calls it so)
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)

from video_jobs.jobs import JobError

_PASSING_CODES = frozenset(
    {
        # too much at once: those of the SDK's own list that our services use, and what it does not try again
        "LimitExceededException",
        "OverLimit",
        "AWS.SimpleQueueService.OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "KmsThrottled",
        "KMS.ThrottlingException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        # its own faults, which have a status of 500 as well
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        # somebody else was at the same item
        "TransactionConflictException",
        "TransactionInProgressException",
        # not done in time
        "RequestTimeout",
        "RequestTimeoutException",
        # a function's credentials come from Lambda: that they are no good is no mistake of ours
        "ExpiredToken",
        "ExpiredTokenException",
        "UnrecognizedClientException",
    }
)
_PASSING_REASONS = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})
_REASONS_OF_OURS = frozenset({"None", "ConditionalCheckFailed"})


class AwsUnavailableError(Exception):
    """AWS has not done what it was asked, or only a part, and may do it later."""


def is_aws_fault(error: BaseException) -> bool:
    """Whether this is AWS's doing, and passes: it cannot be reached, has a fault of its own, or too much is asked.

    Also of what was raised `from` such a fault.
    """
    return any(map(_is_aws_fault, _causes(error)))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_aws_fault(error: BaseException) -> bool:
    passing = (AwsUnavailableError, ConnectionError, HTTPClientError, NoCredentialsError, CredentialRetrievalError)
    if isinstance(error, passing):
        return True
    if not isinstance(error, ClientError):
        return False
    code = error.response.get("Error", {}).get("Code", "")
    if code == "TransactionCanceledException":
        reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])}
        return bool(reasons & _PASSING_REASONS) and reasons <= _PASSING_REASONS | _REASONS_OF_OURS
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or code in _PASSING_CODES


class RefusedError(Exception):
    """The sender of a callback has not proven who it is. Nothing is written, and nobody tries again."""


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
