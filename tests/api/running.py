"""Jobs that a platform's worker brings to their end, as soon as each look at them is due."""

import json
import time
from unittest.mock import patch

from video_jobs import clock
from video_jobs.jobs.model import Job
from video_jobs.store import jobs

from tests.stack import Context, handler, sqs_event

LIMIT_SECONDS = 60
"""For what takes a second, on a machine that is busy."""
AT_ONCE = {"check_interval": 0.001, "retry": {"base_delay": 0}}
"""What has a job wait for nothing."""


def run_to_end(job_id: str) -> None:
    """Have the worker look at a job until nothing is due any more; messages that it sends stay in their queue."""
    end = time.monotonic() + LIMIT_SECONDS
    while (job := jobs.read(job_id)) is not None and job.due_at is not None:
        assert time.monotonic() < end, "waited in vain"
        time.sleep(max(job.due_at - clock.now(), 0) / clock.SECOND)
        _look(job)


def look_once(job_id: str) -> None:
    """Have the worker look at a job, if something is due at some time, as if that were now."""
    job = jobs.read(job_id)
    if job is not None and job.due_at is not None:
        with patch.object(clock, "now", return_value=max(clock.now(), job.due_at)):
            _look(job)


def _look(job: Job) -> None:
    look = {
        "MessageId": "1",
        "ReceiptHandle": "1",
        "Body": json.dumps({"job_id": job.job_id, "due_at": job.due_at}),
    }
    assert handler(f"{job.provider}/worker")(sqs_event(look), Context()) == {"batchItemFailures": []}
