"""Where callbacks meet jobs: each applied once, whatever comes twice, late, in another order, or for nobody.

It runs over events/, as the contract of the functions does.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from video_jobs import clock
from video_jobs.callbacks.inbox import replayed
from video_jobs.callbacks.messages import Received
from video_jobs.callbacks.registry import CALLBACKS
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import Hint, Job, JobStatus, StepFailed, StepStatus, StepSucceeded, Submitted
from video_jobs.platforms.callback import Proof
from video_jobs.store import adoptions, events, jobs, media

from tests.events.conftest import Away, Inbox
from tests.events.samples import (
    CALLBACK_SAMPLES,
    EVERY_CALLBACK_SAMPLE,
    ONE_OF_EACH,
    ONE_OF_EACH_CALLBACK,
    ONE_OF_EACH_SIGNED,
    ROWS,
    SIGNED_SAMPLES,
    body,
    callback_of,
    is_signed,
    proven,
    read,
)
from tests.scripted import CREATED_AT, fault, new_job
from tests.stack import WORKER_QUEUES, Stack
from tests.state.sizes import write_units

pytestmark = pytest.mark.usefixtures("signers")

HINTS = [name for name in SIGNED_SAMPLES if ROWS[name].end == "hint"]
IGNORED = [name for name in SIGNED_SAMPLES if ROWS[name].end == "ignored"]
every_end = pytest.mark.parametrize("sample", CALLBACK_SAMPLES)
every_hint = pytest.mark.parametrize("sample", HINTS)
every_callback = pytest.mark.parametrize("sample", ONE_OF_EACH)
one_end = pytest.mark.parametrize("sample", ONE_OF_EACH_CALLBACK)
one_hint = pytest.mark.parametrize("sample", ONE_OF_EACH_SIGNED)

LAST_TRY = 4
"""When a callback for nobody has waited long enough."""


def provider_of(sample: str) -> str:
    return sample.split("/")[0]


def message(
    sample: str, *, said: bytes | None = None, attempt: int = 1, job: str = "job-1", signature: str = "s"
) -> str:
    """What the callback's function sends for it."""
    proof = Proof(signature=signature) if is_signed(sample) else Proof(job_id=job, attempt=attempt)
    event = read(sample)
    return Received(
        callback=callback_of(sample),
        body=body(event) if said is None else said,
        headers={"user-agent": "a platform"},
        received_at=CREATED_AT,
        proof=proof,
    ).written()


def hint_of(sample: str) -> Hint:
    callback = CALLBACKS[callback_of(sample)]
    found = callback.decide(callback.payload_of(body(read(sample))))
    assert isinstance(found, Hint)
    return found


def step_of(sample: str) -> str:
    return hint_of(sample).step if is_signed(sample) else callback_of(sample).split("/")[1]


def job(job_id: str = "job-1") -> Job:
    found = jobs.read(job_id)
    assert found is not None
    return found


def saved(*facts: Callable[[Job], Job | None], job_id: str = "job-1") -> Job:
    for fact in facts:
        assert jobs.change(job_id, fact) is not None
    return job(job_id)


def running_job(sample: str, *, job_id: str = "job-1") -> Job:
    """A job of ours that waits for this callback: one step is done, this one runs, one is to come."""
    name = step_of(sample)
    ref = str(ROWS[sample].detail) if is_signed(sample) else None
    made = jobs.create(new_job(job_id, provider=provider_of(sample), plan=("earlier", name, "later")))
    if ref:
        media.link(made, [ref])
    accepted = Submitted(platform_job_id=ref, refs=(ref,) if ref else ())
    now = CREATED_AT + 1
    saved(
        partial(transitions.step_ended, name="earlier", attempt=0, end=StepSucceeded(), now=now),
        partial(transitions.claimed, name=name, now=now, lease=90),
        partial(transitions.submitted, name=name, attempt=1, accepted=accepted, now=now, poll_in=60, deadline_in=10**9),
        job_id=job_id,
    )
    return job(job_id)


def archived(stack: Stack) -> list[dict[str, Any]]:
    return [item for item in stack.items() if item["sk"].startswith("EVENT#")]


def looks(stack: Stack, sample: str) -> list[str]:
    """Which jobs the platform's worker was asked to look at."""
    return [json.loads(found)["job_id"] for found in stack.messages(WORKER_QUEUES[provider_of(sample)])]


def assert_ended(found: Job, sample: str) -> None:
    """The step stands as the sample's row in the README says."""
    row, step = ROWS[sample], found.steps[step_of(sample)]
    assert step.status == row.end
    assert step.ended_at is not None
    if row.end == "succeeded":
        assert found.refs == ((row.detail,) if row.detail else ())
        assert step.error is None
    else:
        assert step.error is not None
        assert step.error.code == row.detail


# --- Applied ----------------------------------------------------------------------------------------------------------


@every_end
def test_an_end_ends_exactly_its_step_is_archived_word_for_word_and_the_worker_looks(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    before = running_job(sample)

    assert inbox.take(message(sample)) is None

    after = job()
    assert_ended(after, sample)
    assert after.steps["earlier"] == before.steps["earlier"]
    is_good = ROWS[sample].end == "succeeded"
    assert after.steps["later"].status == (StepStatus.QUEUED if is_good else StepStatus.WAITING)
    assert after.status == (JobStatus.RUNNING if is_good else JobStatus.FAILED)
    (event,) = events.events(after, limit=10).items
    assert event["body"].encode() == body(read(sample))
    assert (event["callback"], event["attempt"], event["via"]) == (callback_of(sample), 1, "callback")
    assert event["meaning"] == ROWS[sample].end
    assert looks(stack, sample) == ["job-1"]


@every_hint
def test_a_hint_is_noted_in_the_step_that_it_is_about_and_the_platform_is_asked_at_once(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    before = running_job(sample)

    assert inbox.take(message(sample)) is None

    after, row = job(), ROWS[sample]
    step = after.steps[step_of(sample)]
    assert (step.status, step.hinted) == (StepStatus.RUNNING, True)
    assert step.hints.keys() == {row.part}
    assert step.hints[str(row.part)].startswith(str(row.word))
    assert after.steps["later"] == before.steps["later"]
    (event,) = events.events(after, limit=10).items
    assert (event["body"].encode(), event["ref"]) == (body(read(sample)).removeprefix(b"\xef\xbb\xbf"), row.detail)
    assert messages(after)[0].due_at == step.wake_at == step.hinted_at
    assert looks(stack, sample) == ["job-1"]


@pytest.mark.parametrize("sample", IGNORED)
def test_what_no_step_waits_for_is_archived_once_and_nobody_looks(stack: Stack, inbox: Inbox, sample: str) -> None:
    assert [inbox.take(message(sample)) for _ in range(2)] == [None, None]

    (event,) = archived(stack)
    assert event["pk"].startswith(f"MEDIUM#{provider_of(sample)}#")
    assert event["meaning"] == "ignored"
    assert looks(stack, sample) == []


@every_callback
def test_a_function_and_the_inbox_understand_each_other(stack: Stack, inbox: Inbox, sample: str) -> None:
    running_job(sample)

    assert stack.send(callback_of(sample), proven(sample))["outcome"] == "accepted"
    assert inbox.work() == []

    assert len(archived(stack)) == 1
    assert looks(stack, sample) == ["job-1"]


@every_callback
def test_a_callback_costs_three_write_units_at_most_and_no_index_moves(
    stack: Stack, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, sample: str
) -> None:
    monkeypatch.setattr(clock, "now", lambda: CREATED_AT + 30_000)  # before its first poll
    running_job(sample)
    before = {(item["pk"], item["sk"]): item for item in stack.items()}

    inbox.take(message(sample))

    written = [item for item in stack.items() if before.get((item["pk"], item["sk"])) != item]
    assert sum(map(write_units, written)) <= 3
    was, now = (before["JOB#job-1", "JOB"], next(item for item in written if item["sk"] == "JOB"))
    indexes = ("shard", "created", "by_status", "by_label", "due_at")
    assert {name: now.get(name) for name in indexes} == {name: was.get(name) for name in indexes}


# --- Twice, late, in another order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", [*CALLBACK_SAMPLES[::3], *HINTS[::3]])
def test_a_repeated_callback_changes_nothing_and_is_passed_on_again_if_the_job_is_due(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    running_job(sample)
    inbox.take(message(sample))
    before, _ = stack.items(), looks(stack, sample)

    assert inbox.take(message(sample), received=2) is None

    assert stack.items() == before
    assert looks(stack, sample) == ["job-1"]  # the first one may have broken off before it was


@one_end
def test_a_step_that_has_ended_well_stays_so_and_what_was_said_is_archived(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    running_job(sample)
    end = partial(transitions.step_ended, name=step_of(sample), attempt=1, end=StepSucceeded(), now=CREATED_AT + 2)
    before = saved(end)

    inbox.take(message(sample))

    assert job() == before
    assert len(archived(stack)) == 1


SUCCESS = b'{"success": true, "data": {"id": "m-1"}}'
FAILURE = b'{"success": false, "message": "Download failed."}'
UPLOAD = "videodb/upload/video_success"


@pytest.mark.parametrize("order", list(permutations([(SUCCESS, 1), (FAILURE, 1), (FAILURE, 2), (SUCCESS, 1)])))
def test_success_wins_in_every_order_of_its_callbacks(
    stack: Stack, inbox: Inbox, order: list[tuple[bytes, int]]
) -> None:
    running_job(UPLOAD)

    for said, attempt in order:
        inbox.take(message(UPLOAD, said=said, attempt=attempt))

    found = job()
    assert (found.status, found.steps["upload"].status, found.error) == ("running", "succeeded", None)
    assert len(archived(stack)) == 3


def test_a_failure_of_an_earlier_attempt_fails_nothing(inbox: Inbox) -> None:
    running_job(UPLOAD)
    again = (
        partial(transitions.step_ended, name="upload", attempt=1, end=_failed(), now=CREATED_AT + 2),
        partial(transitions.announced, number=1, now=CREATED_AT + 3),
        partial(transitions.retried, now=CREATED_AT + 4),
        partial(transitions.claimed, name="upload", now=CREATED_AT + 5, lease=90),
    )
    before = saved(*again)

    inbox.take(message(UPLOAD, said=FAILURE, attempt=1))

    assert job() == before


def _failed() -> StepFailed:
    return StepFailed(error=fault())


@every_callback
def test_a_canceled_job_stays_so_and_what_the_platform_says_is_archived(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    running_job(sample)
    before = saved(partial(transitions.canceled, now=CREATED_AT + 2))

    assert inbox.take(message(sample)) is None

    assert job() == before
    assert len(archived(stack)) == 1


@every_callback
def test_a_deleted_job_stays_so(stack: Stack, inbox: Inbox, sample: str) -> None:
    running_job(sample)
    gone = saved(
        partial(transitions.canceled, now=CREATED_AT + 2), partial(transitions.announced, number=1, now=CREATED_AT + 3)
    )
    assert jobs.delete(gone)

    assert inbox.take(message(sample), received=LAST_TRY) is None

    assert jobs.read("job-1") is None
    assert [item["sk"] for item in stack.items("JOB#") if "shard" in item] == []
    assert looks(stack, sample) == []


@one_hint
def test_all_jobs_that_follow_an_id_hear_of_it(stack: Stack, inbox: Inbox, sample: str) -> None:
    for job_id in ("job-1", "job-2"):
        running_job(sample, job_id=job_id)

    inbox.take(message(sample))

    assert [job(job_id).steps[step_of(sample)].hinted for job_id in ("job-1", "job-2")] == [True, True]
    assert sorted(looks(stack, sample)) == ["job-1", "job-2"]


# --- For nobody -------------------------------------------------------------------------------------------------------


@one_hint
def test_a_hint_that_has_come_back_often_because_aws_was_away_has_not_waited_for_our_own_submit(
    inbox: Inbox, sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: CREATED_AT + 20 * clock.SECOND)

    assert inbox.take(message(sample), received=9) == 120


@one_hint
def test_a_hint_about_an_id_that_no_job_has_yet_waits_longer_than_a_lease_and_then_makes_a_job(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    waits = [inbox.take(message(sample), received=number) for number in range(1, LAST_TRY)]
    assert waits == [5, 30, 120]
    assert stack.items() == []

    assert inbox.take(message(sample), received=LAST_TRY) is None

    (job_id,) = media.followers(provider_of(sample), str(ROWS[sample].detail)).items
    found = job(job_id)
    (step,) = found.steps.values()
    assert (found.adopted, found.confirmed, found.status) == (True, False, "running")
    assert (step.platform_job_id, step.hinted, found.is_announced) == (ROWS[sample].detail, True, True)
    assert looks(stack, sample) == [job_id]
    assert len(archived(stack)) == 1


@one_hint
def test_our_own_submit_that_is_slower_than_the_callback_finds_it_applied(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    assert inbox.take(message(sample), received=1) == 5

    running_job(sample)
    assert inbox.take(message(sample), received=2) is None

    assert job().steps[step_of(sample)].hinted
    assert not [item for item in stack.items("JOB#") if item["sk"] == "JOB" and item["pk"] != "JOB#job-1"]


@one_hint
def test_an_adopted_job_is_one_however_often_its_callback_comes(stack: Stack, inbox: Inbox, sample: str) -> None:
    for received in (LAST_TRY, LAST_TRY + 1, 1):
        assert inbox.take(message(sample), received=received) is None

    assert len([item for item in stack.items("JOB#") if item["sk"] == "JOB"]) == 1
    assert len(archived(stack)) == 1


@every_end
def test_an_end_of_a_job_that_we_do_not_have_makes_one_that_has_ended_so(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    assert inbox.take(message(sample, job="elsewhere")) is None

    found = job("elsewhere")
    assert_ended(found, sample)
    assert (found.adopted, found.confirmed, found.plan, found.status) == (
        True,
        True,
        (step_of(sample),),
        ROWS[sample].end,
    )
    assert looks(stack, sample) == ["elsewhere"]  # its end is announced


def test_more_steps_of_a_job_that_we_did_not_start_become_its_steps(inbox: Inbox) -> None:
    for sample in (UPLOAD, "videodb/index_scenes/success", "videodb/extract_scenes/failed"):
        inbox.take(message(sample, job="elsewhere"))

    found = job("elsewhere")
    assert found.plan == ("upload", "index_scenes", "extract_scenes")
    assert (found.status, found.ends) == ("failed", 2)


def test_one_signature_makes_a_few_jobs_and_no_more_and_what_it_said_is_archived(stack: Stack, inbox: Inbox) -> None:
    sample = "apsaravideo/upload_by_url_complete/success_clean"
    most = adoptions.MOST + 10
    for number in range(most):
        said = json.dumps({"EventType": "UploadByURLComplete", "Status": "success", "JobId": f"made-up-{number}"})
        assert inbox.take(message(sample, said=said.encode(), signature="captured"), received=LAST_TRY) is None

    assert len([item for item in stack.items("JOB#") if item["sk"] == "JOB"]) == adoptions.MOST
    assert len(archived(stack)) == most
    other = json.dumps({"EventType": "UploadByURLComplete", "Status": "success", "JobId": "another"})
    inbox.take(message(sample, said=other.encode(), signature="another"), received=LAST_TRY)
    assert media.followers("apsaravideo", "another").items


# --- AWS away, and defects --------------------------------------------------------------------------------------------


@every_callback
def test_while_the_table_is_away_the_message_stays(stack: Stack, inbox: Inbox, away: Away, sample: str) -> None:
    running_job(sample)
    with away("dynamodb"):
        assert inbox.take(message(sample), received=50) is not None
    assert (archived(stack), inbox.dead_letters()) == ([], [])

    assert inbox.take(message(sample), received=51) is None
    assert len(archived(stack)) == 1


@every_callback
def test_what_is_applied_but_not_passed_on_is_passed_on_later(
    stack: Stack, inbox: Inbox, away: Away, sample: str
) -> None:
    running_job(sample)
    with away(queues=(WORKER_QUEUES[provider_of(sample)],)):
        assert inbox.take(message(sample)) is not None
    applied = job()
    assert applied.version > 3

    assert inbox.take(message(sample), received=2) is None

    assert job() == applied
    assert looks(stack, sample) == ["job-1"]


@pytest.mark.parametrize("call", range(12))
@pytest.mark.parametrize("sample", [UPLOAD, "apivideo/encoding_quality_completed/hls_1080p"])
def test_a_crash_at_any_call_loses_nothing_and_makes_nothing_twice(
    stack: Stack, inbox: Inbox, sample: str, call: int
) -> None:
    running_job(sample)
    original, left = BaseClient._make_api_call, call  # type: ignore[attr-defined]

    def crash(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return original(self, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", crash), suppress(KeyboardInterrupt):
        inbox.take(message(sample))
    assert inbox.take(message(sample), received=2) is None

    assert len(archived(stack)) == 1
    assert "job-1" in looks(stack, sample)
    step = job().steps[step_of(sample)]
    assert step.hinted or step.status == "succeeded"


def test_an_unreadable_message_that_is_put_in_again_is_read_anew_after_a_fix(
    stack: Stack, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    running_job(UPLOAD)
    stack.send("videodb/upload", proven(UPLOAD, said=b"[" + SUCCESS + b"]"))
    (letter,) = inbox.dead_letters()
    assert inbox.take(letter) is not None  # a redrive before the fix: it comes again, and then back there
    assert inbox.take(letter, received=100) is None
    (letter,) = inbox.dead_letters()

    fixed = replace(CALLBACKS["videodb/upload"], read=lambda data: json.loads(data)[0])
    monkeypatch.setitem(CALLBACKS, "videodb/upload", fixed)
    assert inbox.take(letter) is None

    assert job().steps["upload"].status == "succeeded"


@pytest.mark.parametrize("body_", ["no JSON", "[]", '{"callback": "videodb/unknown"}', "{}"])
def test_what_is_no_callback_ends_among_the_dead_letters(inbox: Inbox, body_: str) -> None:
    assert inbox.take(body_) is not None
    assert inbox.take(body_, received=10) is None

    assert inbox.dead_letters() == [body_]


def test_an_end_that_no_token_has_proven_is_applied_to_nobody(stack: Stack, inbox: Inbox) -> None:
    running_job(UPLOAD)
    received = Received(callback="videodb/upload", body=SUCCESS, headers={}, received_at=1, proof=Proof(signature="s"))

    assert inbox.take(received.written()) is not None

    assert archived(stack) == []


# --- Replayed ---------------------------------------------------------------------------------------------------------


@every_callback
def test_an_archived_callback_is_the_same_message_again_when_it_is_replayed(
    stack: Stack, inbox: Inbox, sample: str
) -> None:
    running_job(sample)
    original = Received.read(message(sample))
    inbox.take(message(sample))
    (event,) = events.events(job(), limit=1).items

    again = replayed(event, job())

    assert (again.callback, again.body, again.received_at) == (original.callback, original.body, original.received_at)
    assert (again.proof.job_id, again.proof.attempt) == (original.proof.job_id, original.proof.attempt)
    before = job()
    assert inbox.take(again.written()) is None
    assert job() == before
    assert len(archived(stack)) == 1


def test_what_was_misread_and_tried_again_is_put_right_by_a_replay(inbox: Inbox) -> None:
    running_job(UPLOAD)
    inbox.take(message(UPLOAD, said=SUCCESS))
    # as if it had been taken for a failure when it came
    misread = job()
    failed = transitions.step_ended(running_again(misread), "upload", 1, _failed(), now=CREATED_AT + 9)
    assert failed is not None
    assert jobs.save(misread, failed) is not None
    (event,) = events.events(job(), limit=1).items

    inbox.take(replayed(event, job()).written())

    assert job().steps["upload"].status == "succeeded"


def running_again(found: Job) -> Job:
    step = found.steps["upload"].model_copy(update={"status": StepStatus.RUNNING, "result": None})
    return found.model_copy(update={"steps": {**found.steps, "upload": step}})


def test_every_sample_has_a_test_here() -> None:
    assert {*CALLBACK_SAMPLES, *HINTS, *IGNORED} == set(EVERY_CALLBACK_SAMPLE)
