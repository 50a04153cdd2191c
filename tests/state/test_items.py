"""A job as its items: what is written is read again, the hot one stays small, and indexes move only when they must."""

import json
import uuid
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_jobs import versions
from video_jobs.jobs import transitions
from video_jobs.jobs.model import (
    Hint,
    Job,
    JobStatus,
    Request,
    RetryPolicy,
    StepFailed,
    StepRunning,
    StepSucceeded,
    Submitted,
)
from video_jobs.platforms.videodb.errors import from_message
from video_jobs.store import items, table

from tests.jobs.facts import EVERY_FACT, SUCCESS, after, announced, claimed, ended, one_step
from tests.scripted import CREATED_AT, STEPS, new_job
from tests.state.sizes import item_size, write_units

SECOND = 1000


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_DAYS", "90")


def stored(job: Job) -> list[dict[str, Any]]:
    """Its items, by way of what DynamoDB has of them."""
    hot = items.hot_item(job.model_copy(update={"swept_at": items.to_be_swept(job)}), nonce="0123456789ab")
    results = [items.result_item(job, name) for name, step in job.steps.items() if step.result]
    written = [hot, items.request_item(job), *results]
    return [table.to_plain(table.to_wire(versions.stamped(item))) for item in written]


def read(job: Job) -> Job:
    found = items.to_job(stored(job))
    assert found is not None
    return found


TEXTS = st.text(max_size=20) | st.just("Grüße 🎬\u0000\u2028")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
REQUESTS = st.builds(
    Request,
    source=st.none() | TEXTS,
    media_id=st.none() | TEXTS,
    media_type=st.sampled_from([None, "video", "audio"]),
    options=st.dictionaries(TEXTS, st.dictionaries(TEXTS, JSON, max_size=2), max_size=2),
    retry=st.builds(RetryPolicy, max_attempts=st.integers(1, 10), base_delay=st.floats(0, 300)),
    check_interval=st.none() | st.floats(0.1, 900),
    label=st.none() | TEXTS,
    batch_id=st.none() | st.just("batch-1"),
    batch_index=st.none() | st.integers(0, 10**6),
    notify_url=st.none() | TEXTS,
    notify_polls=st.booleans(),
    digest=st.none() | TEXTS,
)
LIVES = st.lists(st.sampled_from(list(EVERY_FACT.values())), max_size=12)


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(request=REQUESTS, facts=LIVES, created=st.integers(0, 3 * 10**12), result=st.dictionaries(TEXTS, JSON))
def test_every_job_is_read_as_it_was_written(request: Request, facts: Sequence[Any], created: int, result: Any) -> None:
    job = transitions.created("job-1", "videodb", STEPS[:2], request, now=created)
    job = after(job, *facts, claimed(), ended(StepSucceeded(result=result)))

    found = read(job)

    assert found.swept_at == items.to_be_swept(job)
    shown = {name: step.model_copy(update={"result": step.result or None}) for name, step in job.steps.items()}
    assert found == job.model_copy(update={"steps": shown, "swept_at": found.swept_at})


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(facts=LIVES)
def test_the_indexes_agree_with_what_a_job_is(facts: Sequence[Any]) -> None:
    job = after(new_job(plan=STEPS[:2], batch_id="batch-1"), *facts)

    (item, *_) = stored(job)

    ended = job.status.ended and job.is_announced
    listed = str(job.status) if ended else "open"
    assert item["shard"] == f"videodb#{table.shard_of('job-1')}"
    assert item["by_status"] == f"{listed}#{item['shard']}"
    assert item["created"] == items.listing_key(job)
    assert "by_label" not in item
    assert listed in items.listed_as(job.status)
    # what is due is found by a sweep; of a batch what has not begun is its batch's business
    assert ("due_at" in item) == (job.due_at is not None and job.status != JobStatus.PENDING)
    assert ("expires_at" in item) == ended


# --- Small -----------------------------------------------------------------------------------------------------------


def an_id(number: int) -> str:
    return str(uuid.UUID(int=Random(number).getrandbits(128), version=4))


def lecture(**request: Any) -> Job:
    """A VideoDB job as people have them, its ids of the length that they have."""
    return new_job(
        an_id(1),
        created_at=CREATED_AT + 123_457,
        source="https://bucket.s3.eu-central-1.amazonaws.com/lectures/2026/11/one.mp4?X-Amz-Signature=" + "9f" * 32,
        **request,
    )


def upload_result() -> dict[str, Any]:
    return {"id": "m-z-0192f0c3-9b1a-7c3e-b6a1-5f0e9a3d7c21", "name": "lecture.mp4", "length": 3612.5}


PHASES: dict[str, int] = {"asked for": 0, "first step runs": 1, "all steps but the last": 4, "all steps": 5}


def lived(job: Job, *, steps: int) -> Job:
    """The job when so many of its steps have begun, each after some polls; all but the last have ended."""
    now = job.created_at
    for number, name in enumerate(job.plan[:steps]):
        now += 61_234
        job = after(job, partial(transitions.claimed, name=name, now=now, lease=90))
        accepted = Submitted(platform_job_id=f"async-{an_id(number)}", platform_status="processing")
        job = after(
            job,
            partial(
                transitions.submitted,
                name=name,
                attempt=1,
                accepted=accepted,
                now=now + 1_234,
                poll_in=60,
                deadline_in=86_400,
            ),
        )
        for poll in range(12):
            now += 61_234 * (poll + 1)
            running = StepRunning(progress=0.4321, platform_status="in progress")
            job = after(
                job,
                partial(transitions.polled, name=name, seen=job.steps[name], running=running, now=now, wake_in=123.456),
            )
        if number + 1 < steps:
            refs = {"upload": upload_result()["id"], "index_scenes": "f4db35c5ce45a709"}.get(name)
            end = StepSucceeded(result=upload_result(), refs=(refs,) if refs else ())
            job = after(job, partial(transitions.step_ended, name=name, attempt=1, end=end, now=now + 999))
            job = after(job, partial(transitions.medium_noted, media_id=upload_result()["id"], now=now + 999))
    return job


@pytest.mark.parametrize("request_", [{}, {"label": "autumn term"}, {"batch_id": an_id(7), "batch_index": 123_456}])
@pytest.mark.parametrize("phase", PHASES)
def test_the_hot_item_of_a_job_of_four_steps_costs_one_write_unit_in_every_phase(
    phase: str, request_: dict[str, Any]
) -> None:
    job = lived(lecture(**request_), steps=min(PHASES[phase], 4))
    if PHASES[phase] == 5:
        end = StepSucceeded(result={"scene_collection_id": "c8a1"}, refs=("c8a1f0d2e4b69735",))
        job = after(job, partial(transitions.step_ended, name="extract_scenes", attempt=1, end=end, now=job.updated_at))
        assert job.status == JobStatus.SUCCEEDED
        assert item_size(stored(job)[0]) <= 1024  # not announced yet
        job = after(job, announced)

    (item, *_) = stored(job)

    assert item_size(item) <= 1024, item_size(item)
    assert write_units(item) == 1


def test_a_failed_job_costs_two_write_units_at_most_and_its_errors_words_are_bounded() -> None:
    error = from_message("x" * 100_000)
    job = lived(lecture(), steps=4)
    end = StepFailed(error=error)
    job = after(job, partial(transitions.step_ended, name="extract_scenes", attempt=1, end=end, now=job.updated_at))
    long_words = from_message("".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz ", k=100_000)))
    longest = after(
        lived(lecture(), steps=4),
        partial(
            transitions.step_ended, name="extract_scenes", attempt=1, end=StepFailed(error=long_words), now=CREATED_AT
        ),
    )

    assert write_units(stored(job)[0]) <= 2
    assert write_units(stored(longest)[0]) <= 4


def test_hints_of_all_renditions_of_a_video_leave_it_small() -> None:
    job = one_step()
    for quality in ("240p", "360p", "480p", "720p", "1080p", "1440p", "2160p"):
        hint = Hint(ref="vi4blUQJFrYWbaG44NChkH27", step="upload", part=f"hls {quality}", word="encoded")
        job = after(job, partial(transitions.hinted, hint=hint, now=CREATED_AT))

    assert write_units(stored(job)[0]) == 1


@pytest.mark.parametrize(("length", "units"), [(500, 1), (900, 1), (5_000, 1)])
def test_what_is_long_is_compressed(length: int, units: int) -> None:
    job = after(one_step(source="https://example.com/" + "a" * length), claimed(), ended(SUCCESS))

    assert write_units(items.request_item(job)) == units


# --- What a step came to ---------------------------------------------------------------------------------------------


def test_a_result_that_no_item_can_hold_is_left_out_and_the_step_ends_all_the_same() -> None:
    noise = Random(1).randbytes(400_000).hex()
    job = after(one_step(), claimed(), ended(StepSucceeded(result={"text": noise})))

    item = items.result_item(job, "upload")

    assert item_size(item) < 1024
    found = read(job)
    assert found.steps["upload"].result == {"omitted": "too large", "bytes": len(json.dumps({"text": noise})) - 1}
    assert found.status == JobStatus.SUCCEEDED


def test_a_result_that_fits_when_it_is_compressed_is_kept() -> None:
    job = after(one_step(), claimed(), ended(StepSucceeded(result={"text": "scene " * 200_000})))

    assert read(job).steps["upload"].result == {"text": "scene " * 200_000}


def test_what_an_earlier_attempt_came_to_is_not_shown_for_the_next() -> None:
    failed = after(one_step(), claimed(), ended(StepFailed(error=from_message(None), result={"part": 1})), announced)
    _, request, result = stored(failed)
    again = after(failed, EVERY_FACT["retried"])

    for job in (again, after(again, claimed())):
        (hot, *_) = stored(job)
        found = items.to_job([hot, request, result])
        assert found is not None
        assert found.steps["upload"].result is None


# --- When a sweep looks ----------------------------------------------------------------------------------------------


def swept(job: Job) -> int | None:
    return items.to_be_swept(job)


def test_a_job_is_swept_a_while_after_it_was_due_so_that_its_message_has_its_time() -> None:
    job = one_step()

    assert swept(job) == CREATED_AT + items.SWEEP_GRACE_SECONDS * SECOND


def test_the_moment_in_the_index_stays_as_long_as_it_is_near_enough() -> None:
    job = one_step()

    for before, due, kept in (
        (None, 100, False),
        (100 * SECOND, 200, False),  # it would be swept before it is due
        (200 * SECOND, 200, True),
        (200 * SECOND, 100, True),
        (1000 * SECOND, 100, True),
        (1001 * SECOND, 100, False),  # a lost message must not cost an hour
    ):
        step = job.steps["upload"].model_copy(update={"wake_at": due * SECOND})
        other = job.model_copy(update={"swept_at": before, "steps": {**job.steps, "upload": step}})
        expected = before if kept else (due + items.SWEEP_GRACE_SECONDS) * SECOND
        assert swept(other) == expected, (before, due)


def test_polls_of_a_minute_move_the_index_every_other_time_at_most() -> None:
    job = after(one_step(), claimed(), EVERY_FACT["submitted"])
    moves, minutes = 0, 60
    for minute in range(minutes):
        seen, now = job.steps["upload"], CREATED_AT + minute * 60 * SECOND
        running = StepRunning()
        job = after(job, partial(transitions.polled, name="upload", seen=seen, running=running, now=now, wake_in=60))
        moment = swept(job)
        moves += moment != job.swept_at
        job = job.model_copy(update={"swept_at": moment})

    assert moves <= minutes / 2
