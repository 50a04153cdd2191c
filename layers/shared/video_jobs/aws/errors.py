"""What AWS's errors mean: whether it is AWS's doing, and passes, or a mistake of ours."""

from collections.abc import Iterator

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectionError,  # noqa: A004 (botocore calls it so)
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
)

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


def is_aws_error(error: BaseException) -> bool:
    """Whether this is AWS's doing, and passes: it cannot be reached, has a fault of its own, or too much is asked.

    Also of what was raised `from` such an error.
    """
    return any(map(_is_aws_error, _causes(error)))


def may_be_done(error: BaseException) -> bool:
    """Whether AWS may have done what it was asked, and only its answer is missing."""
    if isinstance(error, ClientError):
        return bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500)
    return isinstance(error, ReadTimeoutError | ConnectionClosedError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _is_aws_error(error: BaseException) -> bool:
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
