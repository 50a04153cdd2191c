"""A deployed stack, and what asks of it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3

from local.platforms.simulated import SimulatedPlatforms
from local.platforms.videodb import SimulatedVideoDb
from local.stack import LocalStack

PATIENCE_SECONDS = 240
"""How long anything may take before a test gives up: no promise about speed, only an end."""
http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=35), retries=False)


@dataclass(frozen=True)
class Deployment:
    """A deployed stack, the platforms that it talks to, and a caller with an API key."""

    stack: LocalStack
    platforms: SimulatedPlatforms

    @property
    def videodb(self) -> SimulatedVideoDb:
        return self.platforms.videodb

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = http.request(
            method,
            self.stack.api_url + path,
            body=None if body is None else json.dumps(body),
            headers={"x-api-key": self.stack.api_key, "content-type": "application/json"} | headers,
        )
        return answer.status, json.loads(answer.data) if answer.data else None

    def create(self, source: str, *, provider: str = "videodb", **wishes: Any) -> str:
        url = f"https://media.example.com/{source}"
        wished = {"provider": provider, "source": url, "check_interval": 1, **wishes}
        status, job = self.call("POST", "/jobs", wished)
        assert status == 201, job
        return str(job["job_id"])

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job, once it has ended."""

        def end() -> dict[str, Any] | None:
            _, job = self.call("GET", f"/jobs/{job_id}")
            return job if job["status"] in ("succeeded", "failed", "canceled") else None

        return eventually(end)

    def events(self, job_id: str) -> list[dict[str, Any]]:
        _, page = self.call("GET", f"/jobs/{job_id}/events?limit=100")
        events: list[dict[str, Any]] = page["events"]
        return events

    def dead_letters(self) -> list[dict[str, Any]]:
        queue = self.stack.outputs["InboxDeadLettersQueue"]
        answer = self.stack.client("sqs").receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=1
        )
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def eventually[T](find: Callable[[], T | None]) -> T:
    """What `find` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := find()) is None:
        assert time.monotonic() < deadline, "gave up"
        time.sleep(0.2)
    return found
