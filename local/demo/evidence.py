"""What can be seen of the jobs from outside: archived events, the simulated VideoDB's books, dead letters."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from video_jobs import queues

from local import redrive
from local.demo import verdict
from local.demo.jobs_api import JobsApi
from local.demo.verdict import Finding, Run, Seen
from local.platforms.videodb import SimulatedVideoDb
from local.stack import LocalStack


class Evidence:
    """Dead letters that were read once stay read: the queue does not show them again for a while."""

    def __init__(self, stack: LocalStack, videodb: SimulatedVideoDb, api: JobsApi) -> None:
        self._sqs: Any = stack.client("sqs")
        self._outputs = stack.outputs
        self._videodb = videodb
        self._api = api
        self._letters = Counter[str]()

    def of(self, run: Run) -> Seen:
        return Seen(
            events=self._api.events(run.job.job_id) if run.job else [],
            deliveries=self._videodb.deliveries,
            requests=self._videodb.requests,
            unreadable=self._letters[run.job.job_id] if run.job else 0,
        )

    def read_dead_letters(self) -> None:
        """Count the callbacks among them, by job."""
        while letters := self._receive():
            for letter in letters:
                _, event = queues.read_delivery(letter["Body"])
                self._letters[event["redelivery"]["job_id"]] += 1

    def of_everybody(self, runs: Sequence[Run]) -> Finding:
        """What must not be, whoever it is about."""
        known = {run.job.job_id for run in runs if run.job}
        strange = [job_id for job_id in self._letters if job_id not in known]
        left = redrive.count(self._sqs, self._outputs["VideoDbStepsDeadLettersQueue"])
        differences = [
            *verdict.differs("callbacks of unknown jobs among the dead letters", 0, len(strange)),
            *verdict.differs("dead letters of VideoDbSteps", 0, left),
        ]
        return Finding(what="no other dead letters", differences=differences)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._outputs["DeliveriesDeadLettersQueue"], MaxNumberOfMessages=10, VisibilityTimeout=600
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages
