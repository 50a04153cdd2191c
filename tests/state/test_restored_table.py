"""A table that was restored to an earlier moment takes the place of the stack's own: what was open then goes on.

Restoring itself is AWS's; DynamoDB Local has none. Here the items are copied into a second table of the template's.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from video_jobs import clock, settings
from video_jobs.aws import clients
from video_jobs.jobs.model import Job
from video_jobs.store import events, jobs
from video_jobs.store.items import SWEEP_GRACE_SECONDS

from tests.api.calls import call
from tests.cloudformation import ROOT
from tests.scripted import new_job
from tests.stack import Context, Stack, create_table, handler

pytestmark = pytest.mark.every_engine

UPLOADED = json.loads((ROOT / "events/videodb/upload/video_success.json").read_text())["body"]
STEPS = ("upload", "index_spoken_words")


@pytest.fixture
def restored(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Gives what makes a restored table, and what has the functions use it, as the parameter of the stack does."""
    own, other = settings.setting("TABLE_NAME"), f"{settings.setting('TABLE_NAME')}-restored"

    def restore() -> None:
        """Another table of the same keys and indexes, with the items of this moment."""
        create_table(clients.dynamodb(), other)
        for page in clients.dynamodb().get_paginator("scan").paginate(TableName=own, ConsistentRead=True):
            for item in page["Items"]:
                clients.dynamodb().put_item(TableName=other, Item=item)

    yield restore, lambda: monkeypatch.setenv("TABLE_NAME", other)
    monkeypatch.setenv("TABLE_NAME", own)
    clients.dynamodb().delete_table(TableName=other)


def put(job_id: str) -> None:
    jobs.create(new_job(job_id, plan=STEPS, created_at=clock.now()))


def called_back(stack: Stack, job_id: str) -> Job:
    """The job after the platform has said that its upload is done."""
    assert stack.callback("videodb/upload", UPLOADED, job=job_id)["outcome"] == "accepted"
    assert stack.work("InboxQueue", handler("pipeline/inbox")) == 1
    found = jobs.read(job_id)
    assert found is not None
    assert found.steps["upload"].status == "succeeded"
    return found


def test_functions_go_on_with_a_restored_table_where_it_stands(
    stack: Stack, restored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore, use = restored
    put("job-before")
    put("job-under-way")
    before = called_back(stack, "job-before")
    restore()
    put("job-after")
    lost = stack.items()
    stack.purge("VideoDbQueue")
    later = clock.after(clock.now(), SWEEP_GRACE_SECONDS + 1)
    monkeypatch.setattr(clock, "now", lambda: later)

    use()
    shown = call("GET", "/jobs/job-before").json
    assert shown["steps"][0]["status"] == "succeeded"
    assert call("GET", "/jobs/job-after").status == 404
    assert {job["job_id"] for job in call("GET", "/jobs").json["jobs"]} == {"job-before", "job-under-way"}
    # every open job gets a message, although the queue has none
    assert handler("pipeline/sweep")({}, Context())["overdue"] == 2
    assert {json.loads(look)["job_id"] for look in stack.messages("VideoDbQueue")} == {"job-before", "job-under-way"}
    # what came before is known
    assert called_back(stack, "job-before").version == before.version
    assert len(events.events(before, limit=9).items) == 1
    # what the platform was asked for since then is taken, and what was begun after is work that was begun elsewhere
    assert not called_back(stack, "job-under-way").adopted
    assert called_back(stack, "job-after").adopted

    monkeypatch.setenv("TABLE_NAME", settings.setting("TABLE_NAME").removesuffix("-restored"))
    assert stack.items() == lost  # nothing was written into the table that is no longer used
