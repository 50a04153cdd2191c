"""A table that was restored to an earlier moment takes the place of the stack's own: what was open then goes on.

Restoring itself is AWS's; DynamoDB Local has none. Here the items are copied into a second table of the template's.
"""

import json

import pytest
from video_jobs import settings, store

from tests.api.calls import call
from tests.cloudformation import ROOT
from tests.scripted import new_job
from tests.stack import Context, Stack, create_table, handler

pytestmark = pytest.mark.every_engine

UPLOADED = json.loads((ROOT / "events/videodb/upload/video_success.json").read_text())["body"]
STEPS = ("upload", "index_spoken_words")


def restore(name: str) -> None:
    """What a restore makes: another table of the same keys and indexes, with the items of this moment."""
    dynamodb = settings.dynamodb()
    create_table(dynamodb, name)
    for page in dynamodb.get_paginator("scan").paginate(TableName=settings.setting("TABLE_NAME"), ConsistentRead=True):
        for item in page["Items"]:
            dynamodb.put_item(TableName=name, Item=item)


def test_functions_go_on_with_a_restored_table_where_it_stands(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = settings.setting("TABLE_NAME"), f"{settings.setting('TABLE_NAME')}-restored"
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)  # what is written is overdue at once
    store.create(new_job("job-before", plan=STEPS))
    store.create(new_job("job-under-way", plan=STEPS))
    assert stack.callback("videodb/upload", UPLOADED, job="job-before")["outcome"] == "recorded"
    restore(other)
    store.create(new_job("job-after", plan=STEPS))
    lost = stack.items()
    stack.purge("VideoDbSteps")

    monkeypatch.setenv("TABLE_NAME", other)
    try:
        shown = call("GET", "/jobs/job-before").json
        assert shown["steps"][0]["status"] == "succeeded"
        assert call("GET", "/jobs/job-after").status == 404
        assert {job["job_id"] for job in call("GET", "/jobs").json["jobs"]} == {"job-before", "job-under-way"}
        # every open job gets a message, although the queue has none
        assert handler("pipeline/sweep")({}, Context())["overdue"] == 2
        # what came before is known, and what was begun after is taken for work that was begun elsewhere
        assert stack.callback("videodb/upload", UPLOADED, job="job-before")["outcome"] == "repeated"
        assert stack.callback("videodb/upload", UPLOADED, job="job-under-way")["outcome"] == "recorded"
        assert stack.callback("videodb/upload", UPLOADED, job="job-after")["outcome"] == "adopted"
    finally:
        monkeypatch.setenv("TABLE_NAME", own)
        settings.dynamodb().delete_table(TableName=other)
    assert stack.items() == lost  # nothing was written into the table that is no longer used
