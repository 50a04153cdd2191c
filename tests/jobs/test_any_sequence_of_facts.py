"""What holds of a job whatever happens to it, and in whatever order: a machine that applies transitions alone.

It plays everybody who acts on a job: workers with what they read some time ago, callbacks of every attempt, people, and
the clock. INVARIANTS are the sentences that hold after every fact.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from video_jobs.jobs import transitions
from video_jobs.jobs.messages import messages
from video_jobs.jobs.model import (
    MOST_HINTS,
    Hint,
    Job,
    JobStatus,
    Request,
    RetryPolicy,
    Step,
    StepEnd,
    StepFailed,
    StepRunning,
    StepStatus,
    StepSucceeded,
    Submitted,
)

from tests.scripted import CREATED_AT, STEPS, fault

OPEN = (JobStatus.PENDING, JobStatus.RUNNING)
UNDER_WAY = (StepStatus.QUEUED, StepStatus.SUBMITTING, StepStatus.RUNNING)
LEASE, POLL, DEADLINE = 90, 60, 3600
REFS = ("ref-1", "ref-2")

# --- What holds ------------------------------------------------------------------------------------------------------

type Holds = Callable[[Job, Job], bool]
"""Of a job before a fact, and after it."""


def current(job: Job) -> Step | None:
    return job.steps[job.current] if job.current else None


def done(job: Job) -> dict[str, Step]:
    return {name: step for name, step in job.steps.items() if step.status.done}


def is_one_under_way(job: Job) -> bool:
    """All before it are done, it is under way, and all behind it wait, or are done already."""
    names = [name for name, step in job.steps.items() if step.status in (*UNDER_WAY, StepStatus.FAILED)]
    return names == [job.current] and job.steps[names[0]].status in UNDER_WAY


def is_failed_with_reason(job: Job) -> bool:
    return any(step.status == StepStatus.FAILED and step.error for step in job.steps.values())


def is_settled(job: Job) -> bool:
    """Whether nothing is left to do."""
    step = current(job)
    waits = job.status in OPEN or (job.status == JobStatus.FAILED and step is not None and step.hinted)
    return job.is_announced and not waits


def counting(step: Step) -> int:
    """Where the attempts end that count."""
    return step.attempt_limit - step.spared


def new_ends(before: Job, after: Job) -> int:
    """How many ends a fact has brought: one if the job has ended, or has ended in another way."""
    return int(after.status.ended and after.status != before.status)


INVARIANTS: dict[str, Holds] = {
    "who a job is, and what it was asked for, never changes": lambda was, job: (
        (job.job_id, job.provider, job.request, job.created_at, job.adopted)
        == (was.job_id, was.provider, was.request, was.created_at, was.adopted)
    ),
    "steps are not taken away, and keep their order": lambda was, job: job.plan[: len(was.plan)] == was.plan,
    "a step that has succeeded or was skipped never changes": lambda was, job: done(was).items() <= done(job).items(),
    "a canceled job stays canceled": lambda was, job: (
        was.status != JobStatus.CANCELED or job.status == JobStatus.CANCELED
    ),
    "a job that has succeeded stays so, unless a step is found that it had not": lambda was, job: (
        was.status != JobStatus.SUCCEEDED or job.status == JobStatus.SUCCEEDED or len(job.steps) > len(was.steps)
    ),
    "each end has a number of its own": lambda was, job: job.ends == was.ends + new_ends(was, job),
    "nothing is announced that has not happened": lambda was, job: was.announced <= job.announced <= job.ends,
    "an open job has no end that is not announced or taken back": lambda was, job: job.status.ended or job.is_announced,
    "a job that has ended says when, and an open one does not": lambda was, job: (
        (job.ended_at is not None) == job.status.ended
    ),
    "an open job has one step under way, all before it are done": lambda was, job: (
        job.status not in OPEN or is_one_under_way(job)
    ),
    "an open job is due when its step wakes": lambda was, job: (
        job.status not in OPEN or (job.due_at is not None and job.due_at == job.steps[str(job.current)].wake_at)
    ),
    "a job is due if and only if something is left to do": lambda was, job: (job.due_at is None) == is_settled(job),
    "whoever saves a job sends one look at it, if it is due, for the moment at which it is": lambda was, job: (
        [look.due_at for look in messages(job)] == [job.due_at] * (job.due_at is not None)
    ),
    "a job has failed if and only if a step has, and says why": lambda was, job: (
        job.status == JobStatus.CANCELED or (job.status == JobStatus.FAILED) == is_failed_with_reason(job)
    ),
    "a job has succeeded when all steps are done": lambda was, job: (
        (job.status == JobStatus.SUCCEEDED) == (job.current is None)
        or (job.status == JobStatus.CANCELED and job.current is not None)
    ),
    "a batch counts a job once it has ended, as what it is": lambda was, job: (
        job.counted is None or (job.in_batch and job.status.ended and job.counted == job.outcome)
    ),
    "a batch's job whose end is announced is counted": lambda was, job: (
        not (job.in_batch and job.is_announced and job.status.ended) or job.counted is not None
    ),
    "attempts only grow": lambda was, job: all(
        job.steps[name].attempt >= step.attempt for name, step in was.steps.items()
    ),
    "attempts keep to their limit": lambda was, job: all(
        step.attempt <= step.attempt_limit for step in job.steps.values()
    ),
    "only a person's retry of a failed step gives it more attempts that count": lambda was, job: all(
        counting(job.steps[name]) == counting(step)
        or (step.status == StepStatus.FAILED and job.steps[name].status == StepStatus.QUEUED)
        for name, step in was.steps.items()
    ),
    "what runs has a deadline": lambda was, job: all(
        (step.deadline_at is not None) == (step.status == StepStatus.RUNNING) for step in job.steps.values()
    ),
    "what has ended says when, and what was skipped never began to end": lambda was, job: all(
        (step.ended_at is not None) == (step.status in (StepStatus.SUCCEEDED, StepStatus.FAILED))
        for step in job.steps.values()
    ),
    "what has succeeded has no error and no hint to look into": lambda was, job: all(
        step.error is None and not step.hinted for step in job.steps.values() if step.status == StepStatus.SUCCEEDED
    ),
    "hints are bounded": lambda was, job: all(len(step.hints) <= MOST_HINTS for step in job.steps.values()),
    "a hint has its moment": lambda was, job: all(
        step.hinted_at is not None for step in job.steps.values() if step.hints or step.hinted
    ),
    "ids that lead to a job are not taken away": lambda was, job: job.refs[: len(was.refs)] == was.refs,
    "ids are noted once": lambda was, job: len(set(job.refs)) == len(job.refs),
    "what is confirmed stays so": lambda was, job: job.confirmed or not was.confirmed,
}


# --- What may happen -------------------------------------------------------------------------------------------------

BATCHED = Request(source="https://example.com/a.mp4", batch_id="batch-1", batch_index=0)
REQUESTS = st.sampled_from(
    [Request(), BATCHED, Request(retry=RetryPolicy(max_attempts=1)), Request(media_id=REFS[0], batch_id="batch-1")]
)
ENDS: st.SearchStrategy[StepEnd] = st.sampled_from(
    [
        StepSucceeded(),
        StepSucceeded(result={"id": "m-1"}, refs=("m-1",)),
        StepFailed(error=fault()),
        StepFailed(error=fault("other"), result={"part": 1}),
    ]
)
GOES_ON = st.sampled_from(
    [StepRunning(), StepRunning(progress=0.5, platform_status="encoding", soon=True), StepRunning(result={"part": 1})]
)
NAMES = st.sampled_from([*STEPS[:3], "nobody's"])
SIZES = st.integers(1, 3)
WORDS = st.sampled_from(["encoded", "failed"])


class Facts(RuleBasedStateMachine):
    """A job, and all who act on it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = CREATED_AT
        self.seen: list[Job] = []
        self.has_hints = True

    @initialize(how=st.sampled_from(["asked for", "asked for", "hint", "end"]), request=REQUESTS, end=ENDS, size=SIZES)
    def it_begins(self, how: str, request: Request, end: StepEnd, size: int) -> None:
        """A person asks for it, or a callback comes of work that was started elsewhere."""
        if how == "asked for":
            self.job = transitions.created("job-1", "videodb", STEPS[:size], request, now=self.now)
        elif how == "hint":
            hint = Hint(ref=REFS[0], step=STEPS[0], part="status", word="ready")
            self.job = transitions.adopted_by_hint("job-1", "videodb", hint, now=self.now, deadline_in=DEADLINE)
        else:
            self.job = transitions.adopted_by_end("job-1", "videodb", STEPS[0], 1, end, now=self.now)
        self.seen = [self.job]
        self.has_hints = how != "end"  # a platform's callbacks have a token, or they are hints

    def apply(self, after: Job | None, *, asked: tuple[str, Step] | None = None) -> None:
        """Save it, as the store does, if it is something new. `asked`: about what the platform was asked."""
        if after is None:
            return
        before, self.job = self.job, after
        assert after.model_copy(update={"updated_at": before.updated_at}) != before, "a fact that changes nothing"
        assert after.updated_at == self.now
        for sentence, holds in INVARIANTS.items():
            assert holds(before, after), sentence
        if asked:
            name, seen = asked
            came_since = before.steps[name].hinted and before.steps[name].hints != seen.hints
            step = after.steps[name]
            assert not came_since or step.status.done or step.hinted, "a hint that came meanwhile is looked into, too"

    @rule(seconds=st.sampled_from([0, 0, 1, 60, 120, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.now += 1 + seconds * 1000

    @rule()
    def somebody_reads_it(self) -> None:
        self.seen.append(self.job)

    # workers

    @rule(name=NAMES)
    def claimed(self, name: str) -> None:
        self.apply(transitions.claimed(self.job, name, now=self.now, lease=LEASE))

    @rule()
    def the_current_step_is_claimed_in_time(self) -> None:
        step = current(self.job)
        if step and step.status in (StepStatus.QUEUED, StepStatus.SUBMITTING):
            self.now = max(self.now, step.wake_at or 0)
            self.apply(transitions.claimed(self.job, str(self.job.current), now=self.now, lease=LEASE))

    @rule(
        name=NAMES,
        behind=st.integers(0, 2),
        ref=st.sampled_from([None, *REFS]),
        result=st.sampled_from([None, {"part": 1}]),
    )
    def submitted(self, name: str, behind: int, ref: str | None, result: Any) -> None:
        accepted = Submitted(platform_job_id=ref, refs=(ref,) if ref else (), result=result)
        self.apply(
            transitions.submitted(
                self.job,
                name,
                self.attempt(name, behind),
                accepted,
                now=self.now,
                poll_in=POLL,
                deadline_in=DEADLINE,
            )
        )

    @rule(name=NAMES, behind=st.integers(0, 1), counts=st.booleans(), wait=st.sampled_from([0, 2, 900]))
    def backed_off(self, name: str, behind: int, counts: bool, wait: float) -> None:
        error = fault() if counts else None
        attempt = self.attempt(name, behind)
        self.apply(transitions.backed_off(self.job, name, attempt, error, now=self.now, wait=wait, counts=counts))

    @rule(name=NAMES, old=st.integers(0, 5), running=GOES_ON)
    def polled(self, name: str, old: int, running: StepRunning) -> None:
        if seen := self.read_before(name, old):
            self.apply(
                transitions.polled(self.job, name, seen, running, now=self.now, wake_in=POLL), asked=(name, seen)
            )

    @rule(name=NAMES, old=st.integers(0, 5), running=GOES_ON)
    def hint_followed(self, name: str, old: int, running: StepRunning) -> None:
        if seen := self.read_before(name, old):
            self.apply(
                transitions.hint_followed(self.job, name, seen, running, now=self.now, wake_in=POLL), asked=(name, seen)
            )

    @precondition(lambda self: self.has_hints)
    @rule(name=NAMES, old=st.integers(0, 5), running=GOES_ON)
    def resumed(self, name: str, old: int, running: StepRunning) -> None:
        if seen := self.read_before(name, old):
            self.apply(
                transitions.resumed(self.job, name, seen, running, now=self.now, deadline_in=DEADLINE),
                asked=(name, seen),
            )

    @rule(name=NAMES, old=st.integers(0, 5), again=st.sampled_from([None, 30]))
    def failure_stands(self, name: str, old: int, again: float | None) -> None:
        if seen := self.read_before(name, old):
            self.apply(
                transitions.failure_stands(self.job, name, seen, now=self.now, ask_again_in=again), asked=(name, seen)
            )

    @rule(name=NAMES, old=st.integers(0, 5), end=ENDS)
    def a_poll_finds_the_end(self, name: str, old: int, end: StepEnd) -> None:
        if seen := self.read_before(name, old):
            after = transitions.step_ended(self.job, name, seen.attempt, end, now=self.now, seen=seen)
            self.apply(after, asked=(name, seen))

    @rule(name=NAMES)
    def given_up(self, name: str) -> None:
        self.apply(transitions.given_up(self.job, name, fault("broke_off"), now=self.now))

    @rule(names=st.lists(NAMES, max_size=3))
    def skipped(self, names: list[str]) -> None:
        self.apply(transitions.skipped(self.job, names, now=self.now))

    @rule(ref=st.sampled_from(REFS))
    def medium_noted(self, ref: str) -> None:
        self.apply(transitions.medium_noted(self.job, ref, now=self.now))

    @rule(ref=st.sampled_from(REFS))
    def refs_noted(self, ref: str) -> None:
        self.apply(transitions.refs_noted(self.job, (ref,), now=self.now))

    @rule()
    def confirmed(self) -> None:
        self.apply(transitions.confirmed(self.job, now=self.now))

    @rule(number=st.integers(0, 1))
    def announced(self, number: int) -> None:
        self.apply(transitions.counted(self.job, self.job.ends - number, now=self.now))
        self.apply(transitions.announced(self.job, self.job.ends - number, now=self.now))

    # callbacks

    @rule(name=NAMES, behind=st.integers(-1, 2), end=ENDS)
    def a_callback_ends_it(self, name: str, behind: int, end: StepEnd) -> None:
        attempt = max(self.attempt(name, behind), 1)
        known = self.job
        if name not in known.steps:
            adopted = transitions.step_adopted(known, name, attempt, now=self.now)
            if adopted is None or self.has_hints:
                return
            known = adopted
        self.apply(transitions.step_ended(known, name, attempt, end, now=self.now))

    @precondition(lambda self: self.has_hints)
    @rule(
        ref=st.sampled_from(REFS),
        name=NAMES,
        part=st.integers(0, MOST_HINTS + 8),
        word=WORDS,
        good=st.booleans(),
    )
    def hinted(self, ref: str, name: str, part: int, word: str, good: bool) -> None:
        hint = Hint(ref=ref, step=name, part=f"part {part}", word=word, good=good)
        self.apply(transitions.hinted(self.job, hint, now=self.now))

    # people

    @rule()
    def retried(self) -> None:
        self.apply(transitions.retried(self.job, now=self.now))

    @rule()
    def canceled(self) -> None:
        self.apply(transitions.canceled(self.job, now=self.now))

    # what they share

    def attempt(self, name: str, behind: int) -> int:
        """An attempt at the step: this one, an earlier one, or one that we know nothing of."""
        step = self.job.steps.get(name)
        return (step.attempt if step else 1) - behind

    def read_before(self, name: str, old: int) -> Step | None:
        """The step as a worker has read it, some time ago."""
        job = [self.job, *reversed(self.seen)][min(old, len(self.seen))]
        return job.steps.get(name, self.job.steps.get(name))

    def teardown(self) -> None:
        """Whatever has happened: if its worker goes on, and the platform is silent, the job ends and is announced."""
        if not hasattr(self, "job"):
            return
        for _ in range(200):
            due = self.job.due_at
            if due is None:
                break
            self.now = max(self.now + 1, due)
            before = self.job
            self._look()
            assert self.job != before, "a look at a job that is due changes nothing"
        else:
            raise AssertionError(f"it never comes to rest: {self.job}")
        assert self.job.status.ended
        assert self.job.is_announced

    def _look(self) -> None:
        """What a worker does, as far as it is about the job."""
        job, now = self.job, self.now
        if not job.is_announced:
            self.apply(transitions.counted(job, job.ends, now=now))
            self.apply(transitions.announced(self.job, job.ends, now=now))
            return
        name = str(job.current)
        step = job.steps[name]
        if step.status in (StepStatus.QUEUED, StepStatus.SUBMITTING):
            if step.attempt >= step.attempt_limit:
                self.apply(transitions.given_up(job, name, fault("broke_off"), now=now))
            else:
                self.apply(transitions.claimed(job, name, now=now, lease=LEASE))
        elif step.status == StepStatus.RUNNING and (step.deadline_at or 0) <= now:
            self.apply(
                transitions.step_ended(
                    job, name, step.attempt, StepFailed(error=fault("timed_out")), now=now, seen=step
                )
            )
        elif step.status == StepStatus.RUNNING:
            self.apply(transitions.polled(job, name, step, StepRunning(), now=now, wake_in=900))
        else:
            self.apply(transitions.failure_stands(job, name, step, now=now))


TestAnySequenceOfFacts = Facts.TestCase
TestAnySequenceOfFacts.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
