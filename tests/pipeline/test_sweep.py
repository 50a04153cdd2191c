"""The sweep, when one of its jobs cannot be helped."""

import pytest
from video_jobs import store

from functions.pipeline.sweep.app import NotSweptError
from tests.scripted import new_job
from tests.stack import Context, Stack, handler


def test_one_job_that_cannot_be_helped_does_not_keep_the_others_from_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.table, "SWEEP_GRACE_SECONDS", -1)  # overdue as soon as they are made
    for number in range(8):
        store.create(new_job(f"job-{number}"))
    store.create(new_job("of-a-platform-that-was-removed", provider="gone"))

    with pytest.raises(NotSweptError, match="1 of 9"):  # and so the alarm on the function's errors
        handler("pipeline/sweep")({}, Context())

    assert len(stack.messages("VideoDbSteps")) == 8
