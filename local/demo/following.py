"""Sends the jobs, looks at what changes, and judges each as soon as it has ended."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from video_jobs.api.views import JobSummary

from local.demo.evidence import Evidence
from local.demo.jobs_api import JobsApi
from local.demo.scenario import Kind
from local.demo.verdict import Finding, Run

LABEL = "demo"
CHECK_SECONDS = 1  # else the first poll comes a minute after the start, where a callback is to be expected
SENT_AT_ONCE = 4
POLL_SECONDS = 0.2  # between two lists, or as long as the last one took: a busy machine is asked less often
LONGEST_POLL_SECONDS = 5.0
# on a slow machine a time-out may cost an attempt: three, as usual, are for a platform's errors alone
RETRY = {"max_attempts": 10, "base_delay": 0.2}


@dataclass(frozen=True, kw_only=True)
class Time:
    """Where time comes from: tests have their own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Following:
    """`adopted`: what must become of work begun elsewhere."""

    def __init__(
        self,
        api: JobsApi,
        evidence: Evidence,
        runs: Sequence[Run],
        adopted: Sequence[Finding],
        *,
        notify_url: str,
        when: Time = Time(),
    ) -> None:
        self._api = api
        self._evidence = evidence
        self._runs = runs
        self._adopted = adopted
        self._notify_url = notify_url
        self._when = when
        self._unsent = deque(in_turns(runs))
        self._line = deque[Run]()  # those that have been sent, the one that was looked at last at the end
        self._known: Mapping[str, JobSummary] = {}

    def until_settled(self, show: Callable[[], None], *, patience: float) -> None:
        """Returns when nothing more is to come, or when nothing has moved for `patience` seconds.

        `show` is called whenever something may have changed.
        """
        show()
        moved, last = self._when.now(), self._standing()
        while True:
            began = self._when.now()
            self._send_some(show)
            listed = self._api.jobs()
            took = self._when.now() - began
            self._look(listed, show)
            if self._is_settled() and self._is_settled_for_good():
                return
            if (standing := self._standing()) != last:
                moved, last = self._when.now(), standing
            elif self._when.now() - moved > patience:
                return
            if not self._unsent:
                self._when.sleep(min(max(POLL_SECONDS, took), LONGEST_POLL_SECONDS))

    def _is_settled(self) -> bool:
        return all(run.over for run in self._runs) and all(found.verdict.is_settled for found in self._adopted)

    def _is_settled_for_good(self) -> bool:
        """Looks again for what may have come since: a second notification, a job that nobody asked for."""
        self._evidence.read_dead_letters()
        for run in self._runs:
            if run.verdict.is_good:
                run.verdict = self._evidence.around(run)
        self._look_at_others(self._api.jobs(), self._adopted)
        return self._is_settled()

    def _standing(self) -> list[object]:
        """What changes when something moves. That a platform was polled once more is no move."""
        jobs = [run.job for run in self._runs if run.job]
        steps = [(job.job_id, step.name, step.status, step.attempt) for job in jobs for step in job.steps]
        return [steps, [run.verdict for run in self._runs], [found.verdict for found in self._adopted]]

    def _send_some(self, show: Callable[[], None]) -> None:
        for _ in range(min(SENT_AT_ONCE, len(self._unsent))):
            run = self._unsent.popleft()
            run.job = self._api.create(
                {
                    "provider": run.scenario.provider,
                    "source": run.scenario.url,
                    "label": LABEL,
                    "check_interval": CHECK_SECONDS,
                    "retry": RETRY,
                    "notify_url": self._notify_url,
                    **run.scenario.request,
                },
                idempotency_key=f"demo-{run.scenario.key}",
            )
            run.verdict = self._evidence.of(run)
            self._line.append(run)
            show()

    def _look(self, listed: Mapping[str, JobSummary], show: Callable[[], None]) -> None:
        """Asks for those jobs whole that have moved as the list says, and for one more: steps move unlisted."""
        open_ = [run for run in self._line if not run.over]
        moved = [run for run in open_ if run.job and self._has_moved(run.job.job_id, listed)]
        running = [run for run in open_ if run.job and not run.job.status.ended and run not in moved]
        self._known = listed
        for run in open_:
            if run.job and run in (*moved, *running[:1]):
                self._line.remove(run)
                self._line.append(run)
                run.job = self._api.job(run.job.job_id) or run.job
            run.verdict = self._evidence.of(run)
            show()
        self._look_at_others(listed, [found for found in self._adopted if not found.verdict.is_good])
        show()

    def _look_at_others(self, listed: Mapping[str, JobSummary], adopted: Iterable[Finding]) -> None:
        """At jobs that nobody asked for: there must be one a platform."""
        ours = {run.job.job_id for run in self._runs if run.job}
        for found in adopted:
            others = [job for job in listed.values() if job.provider == found.provider and job.job_id not in ours]
            found.verdict = self._evidence.of_begun(found.begun, others)

    def _has_moved(self, job_id: str, listed: Mapping[str, JobSummary]) -> bool:
        return job_id in listed and listed.get(job_id) != self._known.get(job_id)


def in_turns(runs: Iterable[Run]) -> Iterator[Run]:
    """The first of each platform, then the second of each, and so on; those before all others that take longest."""
    by_platform: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.scenario.kind is not Kind.LOST):
        by_platform.setdefault(run.scenario.provider, []).append(run)
    return (run for run in chain.from_iterable(zip_longest(*by_platform.values())) if run)
