"""The archive: what was said once is kept once, word for word, and found page by page."""

from random import Random
from typing import Any

import pytest
from video_jobs.jobs.model import Job
from video_jobs.store import events, table
from video_jobs.store.events import Event

from tests.scripted import CREATED_AT, new_job
from tests.stack import Stack
from tests.state.sizes import write_units

pytestmark = pytest.mark.usefixtures("stack")


def said(body: str = "{}", **changes: Any) -> Event:
    values = {
        "callback": "videodb/upload",
        "via": "callback",
        "meaning": "succeeded",
        "body": body,
        "headers": {"user-agent": "a platform"},
        "received_at": CREATED_AT,
        "job_id": "job-1",
        "attempt": 1,
    }
    return Event(**{**values, **changes})


def about(ref: str, body: str = "{}", **changes: Any) -> Event:
    return said(body, **{"job_id": None, "attempt": None, "ref": ref, **changes})


def job(*refs: str) -> Job:
    return new_job(plan=["upload"], refs=refs)


@pytest.mark.every_engine
@pytest.mark.parametrize("body", ["{}", '{"name": "Grüße 🎬"}', "\u0000\u2028 ", "x" * 100_000], ids=lambda b: b[:9])
def test_what_was_said_is_kept_word_for_word_and_once(stack: Stack, body: str) -> None:
    assert [events.archive(said(body)), events.archive(said(body))] == [True, False]

    (found,) = events.events(job(), limit=10).items
    assert (found["body"], found["headers"]) == (body, {"user-agent": "a platform"})
    assert (found["callback"], found["via"], found["attempt"], found["ref"]) == ("videodb/upload", "callback", 1, None)
    assert len(stack.items()) == 1


@pytest.mark.parametrize(
    "other",
    [
        said('{"other": 1}'),
        said(attempt=2),
        said(callback="videodb/index_scenes"),
        said(job_id="job-2"),
        said(identity="an id of the platform's own"),
    ],
)
def test_what_differs_is_kept_beside_it(stack: Stack, other: Event) -> None:
    assert events.archive(said())
    assert events.archive(other)


def test_repetitions_that_share_an_identity_are_the_same_whatever_else_differs() -> None:
    assert events.archive(about("m-1", "{}", identity="whe_1"))
    assert not events.archive(about("m-1", '{"attempt": 2}', identity="whe_1"))


def test_a_body_of_a_kilobyte_costs_one_write_unit() -> None:
    import json

    scene = {"id": "f4db35c5ce45a709", "start": 12.5, "end": 16.25, "description": "A person walks along a street"}
    body = json.dumps({"success": True, "data": {"scenes": [scene] * 30}})
    events.archive(said(body))

    (item,) = table.query_all("pk = :pk", {"pk": "JOB#job-1"})

    assert len(body) > 3000
    assert write_units(item) == 1


def test_the_largest_body_fits_however_little_it_can_be_compressed() -> None:
    body = Random(1).randbytes(128 * 1024).hex()

    assert events.archive(said(body))
    assert events.events(job(), limit=1).items[0]["body"] == body


@pytest.mark.every_engine
@pytest.mark.parametrize(("limit", "pages"), [(1, 6), (2, 3), (4, 2), (100, 1)])
def test_events_of_a_job_and_of_its_ids_come_page_by_page_each_once(limit: int, pages: int) -> None:
    sent = [said(str(number)) for number in range(3)]
    sent += [about("m-1", "one"), about("m-1", "two"), about("m-2", "three")]
    for event in [*sent, about("m-3", "somebody else's"), said(job_id="job-2")]:
        events.archive(event)

    ids: list[str] = []
    cursor, read = None, 0
    while read == 0 or cursor:
        page = events.events(job("m-1", "m-2"), limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        ids += [event["event_id"] for event in page.items]
        cursor, read = page.cursor, read + 1

    assert len(ids) == 6
    assert set(ids) == {event.event_id for event in sent}
    assert pages <= read <= pages + 2  # a full page may have nothing behind it


@pytest.mark.every_engine
def test_one_event_is_read_by_its_id_wherever_it_is() -> None:
    events.archive(said("of the job"))
    events.archive(about("m-1", "of the id"))

    for event in (said("of the job"), about("m-1", "of the id")):
        found = events.event(job("m-0", "m-1"), event.event_id)
        assert found is not None
        assert (found["body"], found["ref"]) == (event.body, event.ref)
    assert events.event(job("m-0"), about("m-1", "of the id").event_id) is None


def test_what_names_no_id_is_found_by_its_day(stack: Stack) -> None:
    events.archive(said(job_id=None, attempt=None, callback="apivideo/encoding_quality_completed"))

    (item,) = stack.items()
    assert item["pk"] == "MEDIUM#apivideo#unnamed 2026-11-01"
