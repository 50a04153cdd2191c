"""What can be seen of the jobs from outside: archived events, the simulated platforms' books, dead letters."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from video_jobs import queues
from video_jobs.api.views import JobView

from local import redrive
from local.demo import verdict
from local.demo.elsewhere import Elsewhere
from local.demo.jobs_api import JobsApi
from local.demo.scenario import Provider
from local.demo.scenarios import PLATFORMS, platform_of
from local.demo.verdict import Finding, Notices, Row, Run, Seen
from local.receiver import Receiver
from local.stack import LocalStack

STEPS_DEAD_LETTERS = "StepsDeadLettersQueue"  # how those outputs of the template end


class Evidence:
    """Dead letters that were read once stay read: the queue does not show them again for a while."""

    def __init__(self, stack: LocalStack, elsewhere: Elsewhere, api: JobsApi, receiver: Receiver) -> None:
        self._sqs: Any = stack.client("sqs")
        self._outputs = stack.outputs
        self._elsewhere = elsewhere
        self._api = api
        self._receiver = receiver
        self._letters = Counter[str]()

    def of(self, run: Run) -> Seen:
        scenario = run.scenario
        return Seen(
            events=self._api.events(run.job.job_id) if run.job else [],
            deliveries=self._elsewhere.deliveries(scenario.provider),
            asked=self._elsewhere.asked(scenario.provider),
            told=[told for told in self._receiver.told if run.job and told.job_id == run.job.job_id],
            unreadable=self._letters[whose(run)],
            made=None if scenario.made is None else self._elsewhere.made(scenario.provider, scenario.url),
        )

    def read_dead_letters(self) -> None:
        """Count the callbacks among them: by job, or by platform where only the body could have named the job."""
        while letters := self._receive():
            for letter in letters:
                callback, event = queues.read_delivery(letter["Body"])
                self._letters[event["redelivery"]["job_id"] or callback.split("/")[0]] += 1

    def of_dead_letters(self, runs: Sequence[Run]) -> list[str]:
        """What must not be there, whoever it is about."""
        known = {whose(run) for run in runs}
        strange = sum(count for key, count in self._letters.items() if key not in known)
        left = {name: redrive.count(self._sqs, url) for name, url in self._outputs.items() if _is_of_steps(name)}
        return [
            *verdict.differs("other callbacks among the dead letters", 0, strange),
            *(sentence for name, count in left.items() for sentence in verdict.differs(f"in {name}", 0, count)),
        ]

    def of_strangers_notices(self) -> list[str]:
        """Notices that the receiver could not verify."""
        return list(verdict.differs("notices whose signature does not hold", 0, self._receiver.refused))

    @property
    def notices(self) -> Notices:
        receiver = self._receiver
        return Notices(told=len(receiver.told), told_again=receiver.told_again, refused=receiver.refused)

    def of_other_jobs(self, runs: Sequence[Run], begun: Mapping[Provider, str]) -> list[Finding]:
        """Of work begun elsewhere there is one job a platform; and beside the demo's own there is no other job."""
        return [finding for platform in PLATFORMS for finding in self._others(platform.provider, runs, begun)]

    def _others(self, provider: Provider, runs: Sequence[Run], begun: Mapping[Provider, str]) -> Iterator[Finding]:
        ours = {run.job.job_id for run in runs if run.job}
        others = [self._api.job(job_id) for job_id in self._api.job_ids(provider) if job_id not in ours]
        alone = tuple(verdict.differs("jobs beside the demo's own", 1, len(others)))
        yield Finding(provider=provider, row=Row.ALONE, differences=alone)
        if provider in begun:
            found = [_brief(job) for job in others]
            adopted = tuple(verdict.differs("the job of other work", [(begun[provider], "succeeded", True)], found))
            yield Finding(provider=provider, row=Row.ADOPTED, differences=adopted)

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._outputs["DeliveriesDeadLettersQueue"], MaxNumberOfMessages=10, VisibilityTimeout=600
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages


def whose(run: Run) -> str:
    """What an unreadable callback of the job is counted by. A platform that signs has one such job at most."""
    if platform_of(run.scenario).signs and run.scenario.unreadable is not None:
        return run.scenario.provider
    return run.job.job_id if run.job else run.scenario.key


def _brief(job: JobView) -> tuple[str | None, str, bool]:
    return job.steps[-1].platform_job_id, job.status.value, job.adopted


def _is_of_steps(output: str) -> bool:
    return output.endswith(STEPS_DEAD_LETTERS)
