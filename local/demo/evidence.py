"""What can be seen of the jobs from outside: archived events, the simulated platforms' books, dead letters."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from video_jobs.api.views import JobSummary
from video_jobs.callbacks.messages import Received

from local.demo import verdict
from local.demo.elsewhere import Elsewhere
from local.demo.jobs_api import JobsApi
from local.demo.scenarios import platform_of
from local.demo.verdict import Run, Seen, Verdict
from local.receiver import Receiver
from local.stack import LocalStack
from ops import redrive

DEAD_LETTERS = "DeadLettersQueue"  # how those outputs of the template end
INBOX_DEAD_LETTERS = f"Inbox{DEAD_LETTERS}"


class Evidence:
    """Dead letters that were read once stay read: the queue does not show them again for a while."""

    def __init__(self, stack: LocalStack, elsewhere: Elsewhere, api: JobsApi, receiver: Receiver) -> None:
        self._sqs: Any = stack.client("sqs")
        self._outputs = stack.outputs
        self._elsewhere = elsewhere
        self._api = api
        self._receiver = receiver
        self._letters = Counter[str]()

    def of(self, run: Run) -> Verdict:
        """What is to be thought of a job. The stack is asked for its archive when all else is as it should be."""
        found = verdict.of_job(run)
        if found.is_good:
            found = self.around(run)
        if run.job is None or not found.is_good:
            return found
        deliveries = self._elsewhere.deliveries(run.scenario.provider)
        return verdict.of_archive(run, self._api.events(run.job.job_id), deliveries)

    def around(self, run: Run) -> Verdict:
        """Without a request to the stack's API."""
        scenario = run.scenario
        if scenario.unreadable and not self._letters[whose(run)]:
            self.read_dead_letters()
        seen = Seen(
            deliveries=self._elsewhere.deliveries(scenario.provider),
            asked=self._elsewhere.asked(scenario.provider),
            notifications=[one for one in self._receiver.notifications if run.job and one.job_id == run.job.job_id],
            unreadable=self._letters[whose(run)],
            made=None if scenario.made is None else self._elsewhere.made(scenario.provider, scenario.url),
        )
        return verdict.of_surroundings(run, seen)

    def read_dead_letters(self) -> None:
        """Count the callbacks among them: by job, or by platform where only the body could have named the job."""
        while letters := self._receive():
            for letter in letters:
                received = Received.read(letter["Body"])
                self._letters[received.proof.job_id or received.callback.split("/")[0]] += 1

    def of_begun(self, begun: str, jobs: Sequence[JobSummary]) -> Verdict:
        """Of work begun elsewhere. `jobs`: its platform's that nobody asked for."""
        whole = [self._api.job(job.job_id) if job.status.ended else job for job in jobs]
        return verdict.of_work_begun_elsewhere(begun, [job for job in whole if job])  # one may have been taken over

    def of_all(self, runs: Sequence[Run]) -> list[str]:
        """What is not as it should be, and is about no job of the demo."""
        known = {whose(run) for run in runs}
        strange = sum(count for key, count in self._letters.items() if key not in known)
        return [
            *verdict.differs("other callbacks among the dead letters", 0, strange),
            *verdict.differs("notifications whose signature does not hold", 0, self._receiver.rejected),
        ]

    def remarks(self) -> list[str]:
        """What a developer wants to know, although no job is lost by it: the sweep sends a job's message again."""
        left = {name: redrive.count(self._sqs, url) for name, url in self._outputs.items() if _is_of_others(name)}
        return [
            f"{count} messages that no function could handle are in {name}" for name, count in left.items() if count
        ]

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._outputs[INBOX_DEAD_LETTERS], MaxNumberOfMessages=10, VisibilityTimeout=600
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages


def whose(run: Run) -> str:
    """What an unreadable callback of the job is counted by. A platform that signs has one such job at most."""
    if platform_of(run.scenario).signs and run.scenario.unreadable:
        return run.scenario.provider
    return run.job.job_id if run.job else run.scenario.key


def _is_of_others(output: str) -> bool:
    return output.endswith(DEAD_LETTERS) and output != INBOX_DEAD_LETTERS
