"""A job, its platform and its worker, on a clock of their own: no test waits."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from video_jobs.jobs.model import Job, RetryPolicy, Step
from video_jobs.platforms.errors import RefusedByPlatformError, TransientError
from video_jobs.store import jobs

from tests.scripted import CREATED_AT, ScriptedPlatform, ScriptedStep, fault, new_job
from tests.stack import WORKER_QUEUES, Context, Stack, sqs_event

SECOND = 1000
PASSES = TransientError(fault("platform_unavailable", "VideoDB answered 503"))
REFUSED = RefusedByPlatformError(fault("invalid_media_type", "Invalid media type"), status=400)


def no_room(asked: float | None = None) -> TransientError:
    error = fault("platform_unavailable", "VideoDB answered 429")
    return TransientError(error, wait_seconds=asked, status=429, rate_limited=True)


@dataclass
class Scene:
    """A job of one step, unless a test says otherwise."""

    stack: Stack
    script: ScriptedStep = field(default_factory=ScriptedStep)
    now: int = CREATED_AT
    """Milliseconds since 1970."""
    looks: list[dict[str, Any]] = field(default_factory=list)
    """What was sent to the worker: job_id, due_at and the delay."""
    hidden: list[int] = field(default_factory=list)
    """Seconds after which a message comes again, each time that was set."""
    platform: ScriptedPlatform = field(init=False)

    def __post_init__(self) -> None:
        self.platform = ScriptedPlatform(steps={"upload": self.script})

    def create(self, *, max_attempts: int = 3, base_delay: float = 1, plan: Any = ("upload",), **request: Any) -> Job:
        retry = RetryPolicy(max_attempts=max_attempts, base_delay=base_delay)
        return jobs.create(new_job(plan=plan, retry=retry, created_at=self.now, **request))

    @property
    def job(self) -> Job:
        found = jobs.read("job-1")
        assert found is not None
        return found

    @property
    def upload(self) -> Step:
        return self.job.steps["upload"]

    def look(self, *, sent_for: int | None = None, received: int = 1, job_id: str = "job-1") -> bool:
        """Hand the worker a message; whether it is done with it. `sent_for`: as the job is due, unless given."""
        if sent_for is None:
            job = jobs.read(job_id)
            sent_for = (job.due_at if job else None) or self.now
        return self.take(json.dumps({"job_id": job_id, "due_at": sent_for}), received=received)

    def take(self, body: str, *, received: int = 1) -> bool:
        attributes = {"ApproximateReceiveCount": str(received)}
        message = {"MessageId": "1", "ReceiptHandle": "1", "Body": body, "Attributes": attributes}
        return not self.platform.worker(sqs_event(message), Context())["batchItemFailures"]

    def wait(self) -> None:
        """Until the job is due."""
        self.now = max(self.now, self.job.due_at or 0)

    def run(self, *, rounds: int = 100) -> Job:
        """Look at the job whenever it is due, until it no longer is."""
        for _ in range(rounds):
            if self.job.due_at is None:
                return self.job
            self.wait()
            self.look()
        raise AssertionError("it does not come to rest")

    def notifications(self) -> list[dict[str, Any]]:
        """What was announced on the bus."""
        return [json.loads(message) for message in self.stack.messages("BusNotifications")]

    @contextmanager
    def noted(self) -> Iterator[None]:
        original = BaseClient._make_api_call  # type: ignore[attr-defined]
        queues = [self.stack.queue_urls[queue] for queue in WORKER_QUEUES.values()]

        def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if operation == "ChangeMessageVisibility":
                self.hidden.append(parameters["VisibilityTimeout"])
                return {}
            if operation == "SendMessage" and parameters["QueueUrl"] in queues:
                message = json.loads(parameters["MessageBody"])
                self.looks.append({**message, "delay": parameters.get("DelaySeconds", 0)})
            return original(client, operation, parameters)

        with patch.object(BaseClient, "_make_api_call", call):
            yield
