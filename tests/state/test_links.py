"""Which jobs a platform's id leads to, and how many jobs one signature may have made."""

import pytest
from video_jobs.jobs import transitions
from video_jobs.jobs.model import Job
from video_jobs.store import adoptions, media

from tests.jobs.facts import HINT
from tests.scripted import CREATED_AT, new_job
from tests.stack import Stack

pytestmark = pytest.mark.usefixtures("stack")


def job(number: int) -> Job:
    return new_job(f"job-{number}", plan=["upload"], created_at=CREATED_AT + number)


def adopted(job_id: str = "adopted") -> Job:
    return transitions.adopted_by_hint(job_id, "videodb", HINT, now=CREATED_AT + 10**9, deadline_in=60)


@pytest.mark.every_engine
def test_an_id_leads_to_the_newest_jobs_first() -> None:
    for number in (2, 1, 3):
        media.link(job(number), ["m-1", "m-2"])

    found = media.followers("videodb", "m-1")

    assert (found.items, found.cursor) == (["job-3", "job-2", "job-1"], None)
    assert media.followers("videodb", "m-2").items == found.items
    assert media.followers("apivideo", "m-1").items == []
    assert media.followers("videodb", "m-").items == []


def test_linking_again_is_linking_once(stack: Stack) -> None:
    media.link(job(1), ["m-1", "m-1"])
    media.link(job(1), ["m-1"])

    assert len(stack.items("MEDIUM#")) == 1


def test_only_the_newest_are_given_and_it_is_said_that_there_are_more() -> None:
    for number in range(1, 4):
        media.link(job(number), ["m-1"])

    some = media.followers("videodb", "m-1", limit=2)

    assert some.items == ["job-3", "job-2"]
    assert some.cursor is not None
    assert media.followers("videodb", "m-1", limit=3).cursor is None


@pytest.mark.every_engine
def test_who_started_the_work_comes_before_who_adopted_it_and_what_is_unlinked_is_gone() -> None:
    media.link(adopted(), ["m-1"])
    assert media.followers("videodb", "m-1").items == ["adopted"]

    media.link(job(1), ["m-1"])
    assert media.followers("videodb", "m-1").items == ["job-1"]

    media.unlink(job(1), "m-1")
    assert media.followers("videodb", "m-1").items == ["adopted"]
    media.unlink(adopted(), "m-1")
    assert media.followers("videodb", "m-1").items == []


@pytest.mark.every_engine
def test_a_signature_makes_so_many_jobs_and_no_more_and_a_person_as_many_as_he_wants() -> None:
    allowed = [adoptions.is_allowed("a" * 32) for _ in range(adoptions.MOST + 3)]

    assert allowed == [True] * adoptions.MOST + [False] * 3
    assert adoptions.is_allowed("b" * 32)
    assert all(adoptions.is_allowed(None) for _ in range(adoptions.MOST + 1))
