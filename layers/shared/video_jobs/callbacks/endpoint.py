"""The path of a callback: prove, parse, decide, record, chain, answer.

A platform waits for the answer, for seconds at most, so nothing else happens before it. What is proven is never lost:
it is recorded, or kept on the Deliveries queue, or among its dead letters.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, assert_never

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from pydantic import BaseModel, ValidationError

from video_jobs import jsontext, logs, queues, secrets, settings, store, tokens
from video_jobs.faults import RefusedError, is_aws_fault
from video_jobs.http import MalformedBodyError, Request, json_answer
from video_jobs.jobs import LARGEST_BODY, Ignored, News, StepEnd, StepFailed, StepSucceeded, now, timestamp
from video_jobs.versions import NewerVersionError

_JOB_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)
_ATTEMPT = re.compile(r"[0-9]{1,9}")

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

logger = logs.logger()


class Outcome(StrEnum):
    """What became of a callback; the answer's body names it."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    STALE = "stale"
    ADOPTED = "adopted"
    IGNORED = "ignored"
    KEPT = "kept"
    REFUSED = "refused"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    UNAVAILABLE = "unavailable"
    NEWER_VERSION = "newer_version"  # only for what was kept: code of a newer release has it

    @property
    def status(self) -> int:
        """The HTTP status: platforms try again, or not, because of it."""
        return _STATUS.get(self, 200)


_STATUS = {
    Outcome.REFUSED: 401,
    Outcome.TOO_LARGE: 413,
    Outcome.UNREADABLE: 422,
    Outcome.UNAVAILABLE: 503,
    Outcome.NEWER_VERSION: 503,
}


class UnreadableError(Exception):
    """Proven, but not a body that we understand: kept among the dead letters until a fix."""


class TooLargeError(UnreadableError):
    """Proven, but more than we take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whose callback it is, as far as its proof says: a token's URL names the job, a signature only the sender."""

    job_id: str | None = None
    attempt: int | None = None
    again: bool = False
    """Whether it comes from the Deliveries queue: then a failure goes back there, not into it once more."""
    replay: bool = False
    """Whether a person wants it recorded although it is in the archive."""


type Proof = Callable[[str, Request], Claim]
"""Whose callback a request is: from the callback's name and the request. Raises RefusedError.

Missing and wrong look the same to the sender. Raises SecretUnavailableError, too: without keys nobody can be judged.
"""

type Understanding = StepEnd | News | Ignored
"""What a callback means: the end of the step that its URL names, news of an id that its body names, or nothing."""


def callback[P: BaseModel](
    name: str,
    payload: type[P],
    decide: Callable[[P], Understanding],
    *,
    proof: Proof | None = None,
    read: Callable[[bytes], Any] = jsontext.read,
) -> Handler:
    """The handler of a callback function.

    `name` is "provider/callback" in snake case; `payload` the model of its bodies; `decide` says what one means;
    `proof` who sent it, the token in its URL if there is none; `read` makes JSON of a body. Only what a token has
    proven, which names the job, may be understood as an end.
    """
    settings.make_ready()

    def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        logger.clear_state()
        logger.append_keys(provider=name.split("/", maxsplit=1)[0], callback=name, step=name.split("/")[1])
        outcome = _count(name, _take(name, proof or token, _understanding(payload, decide, read), event))
        return json_answer(outcome.status, {"outcome": outcome})

    return handler


def receiver[P: BaseModel](
    name: str,
    payload: type[P],
    decide: Callable[[P], Understanding],
    *,
    read: Callable[[bytes], Any] = jsontext.read,
) -> Callable[[bytes], Outcome]:
    """What takes bodies of a callback that come by another way than HTTP, from where only the platform can put them.

    They are recorded as that callback's, and what cannot be recorded is kept for it.
    """

    def receive(body: bytes) -> Outcome:
        logger.clear_state()
        logger.append_keys(provider=name.split("/", maxsplit=1)[0], callback=name, step=name.split("/")[1])
        event = {"version": "2.0", "headers": {}, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        return _count(name, _take(name, lambda _name, _request: Claim(), _understanding(payload, decide, read), event))

    return receive


def _understanding[P: BaseModel](
    payload: type[P], decide: Callable[[P], Understanding], read: Callable[[bytes], Any]
) -> Callable[[bytes], Understanding]:
    return lambda body: decide(parse(payload, body, read))


def _count(name: str, outcome: Outcome) -> Outcome:
    with single_metric(name="Callbacks", unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension(name="callback", value=name)
        metric.add_dimension(name="outcome", value=outcome)
    return outcome


def _take(name: str, proof: Proof, understand: Callable[[bytes], Understanding], event: Mapping[str, Any]) -> Outcome:
    """All of it, and what each way in which it can go wrong means for the sender."""
    request = Request(event)
    try:
        claim = prove(name, request, proof)
    except RefusedError as error:
        logger.warning("refused", extra={"reason": str(error)})
        return Outcome.REFUSED
    except Exception:  # the border: without the keys nobody can be judged, and the platform may try again
        logger.exception("unavailable")
        return Outcome.UNAVAILABLE
    if claim.job_id:
        logger.append_keys(job_id=claim.job_id, attempt=claim.attempt)
    try:
        outcome = _record_and_chain(name, request, claim, understand)
    except TooLargeError as error:
        return _unreadable(name, request, claim, Outcome.TOO_LARGE, error)
    except UnreadableError as error:
        return _unreadable(name, request, claim, Outcome.UNREADABLE, error)
    except Exception as error:  # the border: neither AWS nor a mistake of ours may lose a proven callback
        return _keep(name, request, claim, error)
    logger.info(outcome)
    return outcome


def _record_and_chain(
    name: str, request: Request, claim: Claim, understand: Callable[[bytes], Understanding]
) -> Outcome:
    body = read_body(request)
    outcome, job_id = record(name, request, body, claim, understand(body))
    if job_id is None:
        return outcome
    logger.append_keys(job_id=job_id)
    try:
        chain(name, job_id)
    except Exception as error:  # the border, too; what is recorded is moved on by a sweep at the latest
        return _keep(name, request, claim, error, otherwise=outcome)
    return outcome


def prove(name: str, request: Request, proof: Proof) -> Claim:
    """Whose callback this is; one that comes again was proven when it came first."""
    if request.redelivery is not None:
        return Claim(again=True, **request.redelivery)
    return proof(name, request)


def token(name: str, request: Request) -> Claim:
    """The proof of a platform that signs nothing: the token in the URL that we gave it."""
    job_id, attempt, given = (request.parameter(part) for part in ("job", "attempt", "token"))
    if not (job_id and attempt and given and _JOB_ID.fullmatch(job_id) and _ATTEMPT.fullmatch(attempt)):
        raise RefusedError("the URL is not one that we gave out")
    number = int(attempt)
    keys = secrets.values("CALLBACK_KEYS_SECRET")
    if not tokens.holds(given, name, job_id, number, keys=keys.values()):
        newer = secrets.newer_values("CALLBACK_KEYS_SECRET")
        if newer is None or not tokens.holds(given, name, job_id, number, keys=newer.values()):
            raise RefusedError("the token does not hold")
    return Claim(job_id=job_id, attempt=number)


def signed(secret_setting: str, verify: Callable[[Request, Mapping[str, str]], None]) -> Proof:
    """The proof of a platform that signs: `verify` takes the request and the values of the platform's secret.

    It raises RefusedError, or SecretUnavailableError if there is nothing among the values to verify with. A signature
    that does not hold is tried once more with the values as they are now: they may have been rotated.
    """

    def proof(_name: str, request: Request) -> Claim:
        try:
            verify(request, secrets.values(secret_setting))
        except (RefusedError, secrets.SecretUnavailableError):
            newer = secrets.newer_values(secret_setting)
            if newer is None:
                raise
            verify(request, newer)
        return Claim()

    return proof


def read_body(request: Request) -> bytes:
    """The body as it was sent. Raises UnreadableError, or TooLargeError above 256 KB."""
    try:
        body = request.body
    except MalformedBodyError as error:
        raise UnreadableError(str(error)) from None
    if len(body) > LARGEST_BODY:
        raise TooLargeError(f"{len(body)} bytes; {LARGEST_BODY} is the most")
    return body


def parse[P: BaseModel](payload: type[P], body: bytes, read: Callable[[bytes], Any] = jsontext.read) -> P:
    """The body as its model, whatever its content type says. Raises UnreadableError, which does not quote it."""
    try:
        return payload.model_validate(read(body))
    except jsontext.NotJsonError as error:
        raise UnreadableError(str(error)) from None
    except ValidationError as error:
        fields = [".".join(map(str, found["loc"])) + f" ({found['type']})" for found in error.errors()[:5]]
        raise UnreadableError(f"unexpected: {', '.join(fields)}") from None


def record(
    name: str, request: Request, body: bytes, claim: Claim, meaning: Understanding
) -> tuple[Outcome, str | None]:
    """Write it down, in one transaction; and which job is to be moved on because of it."""
    event = store.Event(
        callback=name,
        step=name.split("/")[1],
        attempt=claim.attempt or 0,
        body=body.decode("utf-8-sig"),
        via="callback",
        headers=request.kept_headers,
        received_at=timestamp(now()),
    )
    match meaning:
        case StepSucceeded() | StepFailed():
            if claim.job_id is None:
                raise ValueError(f"{name}: an end, but nothing says of which job")
            return Outcome(store.record(claim.job_id, event, meaning, replay=claim.replay)), claim.job_id
        case News():
            told = replace(event, identity=meaning.identity or event.body)
            logger.append_keys(step=meaning.step)
            recorded, job_id = store.tell(told, meaning, replay=claim.replay)
            return Outcome(recorded), job_id
        case Ignored():
            ignored = replace(event, identity=meaning.identity or event.body)
            medium_of = store.archive_ignored(ignored, meaning.ref)
            logger.append_keys(event_type=meaning.event_type, event_id=ignored.event_id, job_id=medium_of)
            return Outcome.IGNORED, None
        case _:
            assert_never(meaning)


def chain(name: str, job_id: str) -> None:
    """Have the worker move the job on; also for a repeated callback, in case that failed the first time."""
    queues.send_start(name.split("/", maxsplit=1)[0], job_id)


def _unreadable(name: str, request: Request, claim: Claim, outcome: Outcome, error: UnreadableError) -> Outcome:
    logger.error(outcome, extra={"reason": str(error)})
    if claim.again or _kept(name, request, claim, settings.setting("DELIVERIES_DEAD_LETTERS_URL")):
        return outcome
    return Outcome.UNAVAILABLE


def _keep(
    name: str, request: Request, claim: Claim, error: Exception, *, otherwise: Outcome = Outcome.UNAVAILABLE
) -> Outcome:
    """Put it on the Deliveries queue, unless it comes from there; `otherwise` if that fails too.

    What comes from there waits there on, for as long as the answer says that it is worth it.
    """
    if claim.again:
        logger.warning("not recorded or not chained", extra={"reason": type(error).__name__})
        if isinstance(error, NewerVersionError):
            return Outcome.NEWER_VERSION
        if is_aws_fault(error):
            return Outcome.UNAVAILABLE
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
