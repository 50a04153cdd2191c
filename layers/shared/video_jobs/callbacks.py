"""The path of a callback: prove, parse, decide, record, chain, answer.

A platform waits for the answer, for seconds at most, so nothing else happens before it. What is proven is never lost:
it is recorded, or kept on the Deliveries queue, or among its dead letters.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from pydantic import BaseModel, ValidationError

from video_jobs import jsontext, queues, secrets, settings, store, tokens
from video_jobs.http import MalformedBodyError, Request, json_answer
from video_jobs.jobs import LARGEST_BODY, StepEnd, now, timestamp

_JOB_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)
_ATTEMPT = re.compile(r"[0-9]{1,9}")

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

logger = Logger(serialize_stacktrace=False)


class Outcome(StrEnum):
    """What became of a callback; the answer's body names it."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    STALE = "stale"
    ADOPTED = "adopted"
    KEPT = "kept"
    REFUSED = "refused"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    UNAVAILABLE = "unavailable"

    @property
    def status(self) -> int:
        """The HTTP status: platforms try again, or not, because of it."""
        return _STATUS.get(self, 200)


_STATUS = {Outcome.REFUSED: 401, Outcome.TOO_LARGE: 413, Outcome.UNREADABLE: 422, Outcome.UNAVAILABLE: 503}


class RefusedError(Exception):
    """The sender has not proven that we gave it this URL. Nothing is written, and nobody tries again."""


class UnreadableError(Exception):
    """Proven, but not a body that we understand: kept among the dead letters until a fix."""


class TooLargeError(UnreadableError):
    """Proven, but more than we take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whose callback it is, as its URL proves."""

    job_id: str
    attempt: int
    again: bool = False
    """Whether it comes from the Deliveries queue: then a failure goes back there, not into it once more."""
    replay: bool = False
    """Whether a person wants it recorded although it is in the archive."""


def callback[P: BaseModel](name: str, payload: type[P], decide: Callable[[P], StepEnd]) -> Handler:
    """The handler of a callback function.

    `name` is "provider/callback" in snake case; `payload` the model of its bodies; `decide` says what one means.
    """
    settings.make_ready()

    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        logger.clear_state()
        logger.append_keys(provider=name.split("/", maxsplit=1)[0], callback=name, step=name.split("/")[1])
        outcome = _take(name, payload, decide, event)
        with single_metric(name="Callbacks", unit=MetricUnit.Count, value=1) as metric:
            metric.add_dimension(name="callback", value=name)
            metric.add_dimension(name="outcome", value=outcome)
        return json_answer(outcome.status, {"outcome": outcome})

    return handler


def _take[P: BaseModel](
    name: str, payload: type[P], decide: Callable[[P], StepEnd], event: Mapping[str, Any]
) -> Outcome:
    """All of it, and what each way in which it can go wrong means for the sender."""
    request = Request(event)
    try:
        claim = prove(name, request)
    except RefusedError as error:
        logger.warning("refused", extra={"reason": str(error)})
        return Outcome.REFUSED
    except Exception:  # the border: without the keys nobody can be judged, and the platform may try again
        logger.exception("unavailable")
        return Outcome.UNAVAILABLE
    logger.append_keys(job_id=claim.job_id, attempt=claim.attempt)
    try:
        outcome = _record_and_chain(name, request, claim, lambda body: decide(parse(payload, body)))
    except TooLargeError as error:
        return _unreadable(name, request, claim, Outcome.TOO_LARGE, error)
    except UnreadableError as error:
        return _unreadable(name, request, claim, Outcome.UNREADABLE, error)
    except Exception as error:  # the border: neither AWS nor a mistake of ours may lose a proven callback
        return _keep(name, request, claim, error)
    logger.info(outcome)
    return outcome


def _record_and_chain(name: str, request: Request, claim: Claim, understand: Callable[[bytes], StepEnd]) -> Outcome:
    body = read_body(request)
    outcome = record(name, request, body, claim, understand(body))
    try:
        chain(name, claim)
    except Exception as error:  # the border, too; what is recorded is moved on by a sweep at the latest
        return _keep(name, request, claim, error, otherwise=outcome)
    return outcome


def prove(name: str, request: Request) -> Claim:
    """Whose callback this is, proven by the token in its URL.

    Missing and wrong look the same to the sender. Raises RefusedError, or SecretUnavailableError.
    """
    if request.redelivery:
        return Claim(again=True, **request.redelivery)
    job_id, attempt, token = (request.parameter(part) for part in ("job", "attempt", "token"))
    if not (job_id and attempt and token and _JOB_ID.fullmatch(job_id) and _ATTEMPT.fullmatch(attempt)):
        raise RefusedError("the URL is not one that we gave out")
    claim = Claim(job_id=job_id, attempt=int(attempt))
    keys = secrets.values("CALLBACK_KEYS_SECRET")
    if not tokens.holds(token, name, job_id, claim.attempt, keys=keys.values()):
        newer = secrets.newer_values("CALLBACK_KEYS_SECRET")
        if newer is None or not tokens.holds(token, name, job_id, claim.attempt, keys=newer.values()):
            raise RefusedError("the token does not hold")
    return claim


def read_body(request: Request) -> bytes:
    """The body as it was sent. Raises UnreadableError, or TooLargeError above 256 KB."""
    try:
        body = request.body
    except MalformedBodyError as error:
        raise UnreadableError(str(error)) from None
    if len(body) > LARGEST_BODY:
        raise TooLargeError(f"{len(body)} bytes; {LARGEST_BODY} is the most")
    return body


def parse[P: BaseModel](payload: type[P], body: bytes) -> P:
    """The body as its model, whatever its content type says. Raises UnreadableError, which does not quote it."""
    try:
        return payload.model_validate(jsontext.read(body))
    except jsontext.NotJsonError as error:
        raise UnreadableError(str(error)) from None
    except ValidationError as error:
        fields = [".".join(map(str, found["loc"])) + f" ({found['type']})" for found in error.errors()[:5]]
        raise UnreadableError(f"unexpected: {', '.join(fields)}") from None


def record(name: str, request: Request, body: bytes, claim: Claim, end_of_step: StepEnd) -> Outcome:
    """Write it down: one transaction."""
    event = store.Event(
        callback=name,
        attempt=claim.attempt,
        body=body.decode("utf-8-sig"),
        via="callback",
        headers=request.kept_headers,
        received_at=timestamp(now()),
    )
    return Outcome(store.record(claim.job_id, event, end_of_step, replay=claim.replay))


def chain(name: str, claim: Claim) -> None:
    """Have the worker move the job on; also for a repeated callback, in case that failed the first time."""
    queues.send_start(name.split("/", maxsplit=1)[0], claim.job_id)


def _unreadable(name: str, request: Request, claim: Claim, outcome: Outcome, error: UnreadableError) -> Outcome:
    logger.error(outcome, extra={"reason": str(error)})
    if claim.again or _kept(name, request, claim, settings.setting("DELIVERIES_DEAD_LETTERS_URL")):
        return outcome
    return Outcome.UNAVAILABLE


def _keep(
    name: str, request: Request, claim: Claim, error: Exception, *, otherwise: Outcome = Outcome.UNAVAILABLE
) -> Outcome:
    """Put it on the Deliveries queue, unless it comes from there; `otherwise` if that fails too."""
    if claim.again:
        raise error
    logger.error("not recorded or not chained", exc_info=error)
    return Outcome.KEPT if _kept(name, request, claim, settings.setting("DELIVERIES_QUEUE_URL")) else otherwise


def _kept(name: str, request: Request, claim: Claim, queue_url: str) -> bool:
    try:
        queues.send_delivery(queue_url, name, request.to_keep(job_id=claim.job_id, attempt=claim.attempt))
    except queues.TooLargeToKeepError as error:
        # 413 is final: the checks find out what this callback would have said
        logger.error("too large to keep", extra={"reason": str(error)})
        return True
    except Exception:  # the border: then the platform must try again
        logger.exception("not kept")
        return False
    return True
