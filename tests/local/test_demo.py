"""The demo expects what the simulated platforms do, judges outcomes and no speed, and can be read on any terminal.

Nothing here needs the stack, nor any time: the demo itself is what `make demo` runs.
"""

import io
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from pydantic import TypeAdapter
from rich.console import Console
from video_jobs.api.views import EventView, JobSummary, JobView
from video_jobs.callbacks.messages import Received
from video_jobs.callbacks.registry import CALLBACKS
from video_jobs.http import Request
from video_jobs.jobs.model import Hint, JobError, JobStatus, StepStatus
from video_jobs.platforms.callback import Proof, RejectedError
from video_jobs.platforms.requests import PROVIDERS, AnyJobRequest, PlatformJobRequest

from local import aws
from local.commands import StackError
from local.demo import __main__ as program
from local.demo import demonstration, logs, unexpected, verdict
from local.demo.elsewhere import Asked, Elsewhere
from local.demo.evidence import Evidence
from local.demo.following import CHECK_SECONDS, RETRY, Following, Time, in_turns
from local.demo.jobs_api import ApiError, JobsApi
from local.demo.lines import QUIET_SECONDS, Changes, waiting
from local.demo.report import MOST_DIFFERENCES, NAME_COLUMNS, PROOF_COLUMNS, Report
from local.demo.scenario import Kind, Provider, Scenario
from local.demo.scenarios import PLATFORMS, SCENARIOS, platform_of
from local.demo.screen import Screen, can_move
from local.demo.terminal import Board, fitting
from local.demo.twelvelabs import INDEX
from local.demo.unexpected import Letter
from local.demo.verdict import GOOD, Finding, Run, Seen, Verdict
from local.platforms import apivideo, apsaravideo, twelvelabs, videodb
from local.platforms.courier import Delivery
from local.platforms.knobs import Knobs
from local.platforms.simulated import SimulatedPlatforms
from local.platforms.twelvelabs.behaviour import Step
from local.receiver import Notification, Receiver
from local.samples import SAMPLE_SECRETS

SIMULATED = {"videodb": videodb, "twelvelabs": twelvelabs, "apivideo": apivideo, "apsaravideo": apsaravideo}
SIGNING: tuple[Provider, ...] = ("twelvelabs", "apivideo", "apsaravideo")
NOON = "2026-01-01T12:00:00.000Z"
LATER = "2026-01-01T12:00:03.210Z"
ERROR = JobError(code="x", message="Said the platform", cause="A cause", action="An action", retryable=False)
RESULTS: Mapping[str, Mapping[str, Any]] = {
    "videodb/upload": {"id": "m-1"},
    "videodb/index_spoken_words": {"id": "m-1"},
    "videodb/index_scenes": {"scene_index_id": "index-1"},
    "videodb/extract_scenes": {"scene_collection_id": "collection-1"},
}

requests: TypeAdapter[PlatformJobRequest] = TypeAdapter(AnyJobRequest)
every_scenario = pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.key)


def scenario(key: str) -> Scenario:
    """By its platform and file."""
    [found] = [each for each in SCENARIOS if each.key == key]
    return found


def source_of(each: Scenario) -> Any:
    """What its platform's simulator reads in its URL."""
    return SIMULATED[each.provider].behaviour.read_source(each.url, Knobs())


def job_view(each: Scenario, *, more_attempts: int = 0, **changes: Any) -> JobView:
    """The job that the scenario asks for, ended as it must; `changes` are the view's own fields."""
    steps = [
        {
            "name": name,
            "status": status,
            "attempt": more_attempts
            + each.attempts.get(name, int(status in (StepStatus.SUCCEEDED, StepStatus.FAILED))),
            "polls": 0,
            "platform_job_id": f"{name}-1",
            "result": RESULTS.get(f"{each.provider}/{name}", {}) if status == StepStatus.SUCCEEDED else None,
            "error": ERROR if status == StepStatus.FAILED else None,
        }
        for name, status in zip(each.plan, each.steps, strict=True)
    ]
    view = {
        "job_id": each.key,
        "provider": each.provider,
        "status": each.ends,
        "source": each.url,
        "created_at": NOON,
        "updated_at": LATER,
        "ended_at": LATER,
        "progress": 1.0,
        "steps": steps,
        "options": {},
        "error": ERROR.model_copy(update={"code": each.error}) if each.error else None,
        "adopted": False,
        "version": 7,
    }
    return JobView.model_validate(view | changes)


def open_view(each: Scenario, *, step: StepStatus = StepStatus.RUNNING, attempt: int = 1, **of_step: Any) -> JobView:
    """The job at its first step."""
    ended = job_view(each, status=JobStatus.RUNNING, ended_at=None, error=None, progress=0.0)
    begun = {"status": step, "attempt": attempt, "result": None, "error": None} | of_step
    waiting = {"status": StepStatus.WAITING, "attempt": 0, "result": None, "error": None}
    first, *others = ended.steps
    steps = [first.model_copy(update=begun), *(other.model_copy(update=waiting) for other in others)]
    return ended.model_copy(update={"steps": steps})


def ended_run(each: Scenario, **changes: Any) -> Run:
    return Run(scenario=each, job=job_view(each, **changes), verdict=GOOD)


def event(via: str, body: str = "{}") -> EventView:
    return EventView(
        event_id=f"{via}-{body}",
        callback="a/step",
        attempt=1,
        via=via,
        meaning="hint",
        body=body,
        headers={},
        received_at=NOON,
    )


def delivery(body: str, *, status: int | None = 200, attempt: int = 1) -> Delivery:
    return Delivery(url="http://127.0.0.1/callbacks", body=body.encode(), status=status, attempt=attempt)


def body_of(each: Scenario, number: int = 1) -> str:
    """A callback that names what the platform made for the job."""
    made = "m-1" if each.provider == "videodb" else f"{each.plan[0]}-1"
    return f"{made} says {number}"


def sent_of(each: Scenario, *, status: int | None = 200) -> list[Delivery]:
    """Two callbacks, as often as they must have been sent."""
    copies = (1, 2) if each.doubled else (1,)
    return [
        delivery(body_of(each, number), status=status, attempt=copy)
        for copy in copies
        for number in (1, 2)
        if each.callbacks
    ]


def archive_of(each: Scenario) -> list[EventView]:
    """Both callbacks once each, and what polling found."""
    return [*(event("callback", body_of(each, number)) for number in (1, 2) if each.callbacks), event("poll")]


def end_of(each: Scenario, **changes: Any) -> Notification:
    return replace(Notification("evt_1", f"job.{each.ends}", LATER, {"job_id": each.key}), **changes)


def seen(each: Scenario, **changes: Any) -> Seen:
    """What must be seen around the scenario's job."""
    everything: dict[str, Any] = {
        "deliveries": sent_of(each),
        "asked": [Asked(path="/", fields={"url": each.url, **fields}) for fields in each.asked],
        "notifications": [end_of(each)],
        "unreadable": int(each.unreadable),
        "made": each.made,
    }
    return Seen(**(everything | changes))


def judged(run: Run, around: Seen, events: Sequence[EventView]) -> Verdict:
    """All that is thought of a job."""
    return (
        verdict.of_job(run)
        .and_then(verdict.of_surroundings(run, around))
        .and_then(verdict.of_archive(run, events, around.deliveries))
    )


# --- The scenarios agree with the simulated platforms --------------------------------------------------------------


def test_every_platform_and_scenario_is_told_apart() -> None:
    assert [platform.provider for platform in PLATFORMS] == list(PROVIDERS)
    assert len({each.key for each in SCENARIOS}) == len(SCENARIOS)
    assert all(platform_of(each).provider == each.provider for each in SCENARIOS)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.provider)
def test_every_platform_shows_something_of_every_kind(platform: Any) -> None:
    assert {each.kind for each in platform.scenarios} == set(Kind)
    assert set(platform.steps) == {step for each in platform.scenarios for step in each.plan}


def test_the_demo_is_short() -> None:
    assert len(SCENARIOS) + len(PLATFORMS) <= 30  # one job a platform is adopted


@every_scenario
def test_a_scenario_says_what_it_proves_in_one_line(each: Scenario) -> None:
    assert 0 < len(each.proves) <= PROOF_COLUMNS
    assert len(each.name) <= NAME_COLUMNS


@every_scenario
def test_a_scenarios_source_means_something_to_its_simulated_platform(each: Scenario) -> None:
    name = PurePosixPath(each.file).stem

    assert (name in SIMULATED[each.provider].BEHAVIOURS) is (name != "lecture")


@every_scenario
def test_a_scenario_has_an_error_exactly_if_it_fails(each: Scenario) -> None:
    assert (each.error is None) is (each.fails is None)
    assert (each.fails is not None) is (each.kind is Kind.FAILS)
    assert each.fails in (None, *each.plan)


@every_scenario
def test_a_scenario_expects_the_failure_that_its_source_has(each: Scenario) -> None:
    behaviour = source_of(each).behaviour
    match each.provider:
        case "videodb":
            failing = [step.value for step in behaviour.fails]
            assert [each.fails] == failing if each.fails else not failing
        case "twelvelabs":
            ours = {Step.TASK: "task", Step.ASSET: "asset", Step.INDEXED_ASSET: "indexed_asset"}
            failing = [name for step, name in ours.items() if step in {**behaviour.rejects, **behaviour.fails}]
            assert each.fails == next((name for name in each.plan if name in failing), None)
            assert set(behaviour.rejects.values()) <= {each.error}
        case "apivideo":
            assert (each.fails == "encoding") is (behaviour.failing is not apivideo.behaviour.Failing.NONE)
        case "apsaravideo":
            assert (each.fails is not None) is (behaviour.error is not None)


@every_scenario
def test_a_scenario_expects_an_attempt_for_every_error_and_one_more(each: Scenario) -> None:
    source = source_of(each)
    errors = len(source.behaviour.faults) + source.knobs.fail + int(getattr(source.behaviour, "lost", False))

    assert each.attempts.get(each.plan[0], 1) == errors + 1
    assert (errors > 0) is (each.kind is Kind.HEALED)
    assert errors + 2 < RETRY["max_attempts"]  # some are left for what a slow machine costs


@every_scenario
def test_a_scenario_expects_what_becomes_of_its_sources_callbacks(each: Scenario) -> None:
    source = source_of(each)
    lost = source.knobs.drop == 1 or source.knobs.garble == 1

    assert (each.kind is Kind.LOST) is lost is not each.callbacks
    assert each.unreadable is (source.knobs.garble == 1)
    assert each.doubled is (source.knobs.duplicate == 1)
    assert (each.kind is Kind.DISORDER) is (each.doubled or source.behaviour.early)


@every_scenario
def test_the_api_takes_a_scenarios_request_and_plans_the_expected_steps(each: Scenario) -> None:
    request = {"provider": each.provider, "source": each.url, "retry": RETRY} | dict(each.request)

    assert requests.validate_python(request).new_job("job-1").plan == each.plan


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.provider)
def test_a_platform_that_signs_has_one_job_with_unreadable_callbacks_at_most(platform: Any) -> None:
    """They are counted by platform: nothing but their body could tell whose they are."""
    garbled = [each for each in platform.scenarios if each.unreadable]

    assert len(garbled) <= 1 or not platform.signs


# --- The verdict ---------------------------------------------------------------------------------------------------


@every_scenario
def test_a_job_that_became_what_its_scenario_says_is_good(each: Scenario) -> None:
    assert judged(ended_run(each), seen(each), archive_of(each)) == GOOD


@every_scenario
def test_a_slow_machines_history_is_good(each: Scenario) -> None:
    """No callback was answered in time, and each was sent again; polling found every end; submits timed out, too."""
    run = ended_run(each, more_attempts=4)
    unanswered = [*sent_of(each, status=None), *sent_of(each, status=504)]
    later = end_of(each, moment="2026-01-01T13:00:00.000Z")

    assert judged(run, seen(each, deliveries=unanswered, notifications=[later]), [event("poll")]) == GOOD


def test_what_a_poll_has_said_first_need_not_be_archived_as_a_callback() -> None:
    each = scenario("videodb/lecture.mp4")
    polled = [event("poll", body_of(each, number)) for number in (1, 2)]

    assert judged(ended_run(each), seen(each), polled) == GOOD


def test_a_job_that_was_never_sent_is_missing() -> None:
    run = Run(scenario=scenario("videodb/lecture.mp4"))

    assert verdict.of_job(run).differences == ["not finished yet: it was not sent"]
    assert not run.over


def test_a_job_that_did_not_end_is_not_finished_yet_and_says_what_it_waits_for() -> None:
    each = scenario("apivideo/lecture.mp4")

    found = verdict.of_job(Run(scenario=each, job=open_view(each, attempt=2)))

    assert found.differences == ["not finished yet: the job is running: upload running, attempt 2"]
    assert not found.is_settled


def test_an_unexpected_failure_is_named_with_its_step_and_code() -> None:
    run = Run(scenario=scenario("videodb/flaky.mp4"), job=job_view(scenario("videodb/private.mp4")))

    assert verdict.of_job(run).wrong == [
        "the job: failed, where succeeded was expected",
        "its steps: failed/waiting/waiting/waiting, where succeeded/succeeded/succeeded/succeeded was expected",
        "its error: download_failed, where None was expected",
        "attempts at upload: 1, where at least 3 were expected",
    ]


@pytest.mark.parametrize("field", ["message", "cause", "action"])
def test_an_error_that_does_not_say_what_happened_why_and_what_to_do_is_wrong(field: str) -> None:
    each = scenario("videodb/private.mp4")
    error = ERROR.model_copy(update={"code": each.error, field: ""})

    assert verdict.of_job(ended_run(each, error=error)).wrong == ["its error has no message, no cause or no action"]


def test_an_end_that_was_not_announced_may_still_be() -> None:
    each = scenario("videodb/lecture.mp4")

    found = judged(ended_run(each), seen(each, notifications=[]), archive_of(each))

    assert found == Verdict(missing=["no notification of its end has come"])
    assert not found.is_settled


def test_an_end_that_was_announced_otherwise_or_twice_is_wrong() -> None:
    each = scenario("videodb/lecture.mp4")
    otherwise, again = end_of(each, kind="job.failed"), end_of(each, event_id="evt_2")

    assert judged(ended_run(each), seen(each, notifications=[otherwise]), archive_of(each)).wrong == [
        "the ends that were announced: ['job.failed'], where ['job.succeeded'] was expected"
    ]
    assert judged(ended_run(each), seen(each, notifications=[end_of(each), again]), archive_of(each)).wrong == [
        "the ends that were announced: ['job.succeeded', 'job.succeeded'], where ['job.succeeded'] was expected"
    ]


@pytest.mark.parametrize("key", ["videodb/lecture.mp4", "twelvelabs/lecture.mp4", "apsaravideo/lecture.mp4"])
def test_options_that_did_not_reach_the_platform_are_wrong(key: str) -> None:
    each = scenario(key)
    *others, last = seen(each).asked
    changed = Asked(path="/", fields=dict.fromkeys(last.fields, "another") | {"url": each.url})
    of_another = replace(last, fields={**last.fields, "url": "https://media.example.com/another.mp4"})

    [difference] = judged(
        ended_run(each), seen(each, asked=[*others, changed, of_another]), archive_of(each)
    ).differences

    assert difference.startswith("the platform was not asked with {'")


def test_a_request_is_known_by_what_was_made_before_or_by_its_source_however_it_is_encoded() -> None:
    each = replace(scenario("videodb/lecture.mp4"), asked=({"prompt": "Why?"},))
    indexed = Asked(path="/video/m-1/index/scene", fields={"prompt": "Why?"})
    assert verdict.of_surroundings(ended_run(each), seen(each, asked=[indexed])) == GOOD

    each = scenario("apsaravideo/lecture.mp4")
    encoded = Asked(path="/", fields={"UploadURLs": "https%3A%2F%2Fmedia.example.com%2Flecture.mp4", **each.asked[0]})
    assert verdict.of_surroundings(ended_run(each), seen(each, asked=[encoded])) == GOOD


@pytest.mark.parametrize(
    ("key", "found"), [("twelvelabs/lost.mp4", 2), ("apivideo/lost.mp4", 0), ("apsaravideo/flaky.mp4", 2)]
)
def test_what_was_made_twice_or_never_is_wrong(key: str, found: int) -> None:
    each = scenario(key)

    assert verdict.of_surroundings(ended_run(each), seen(each, made=found)).wrong == [
        f"made of its source: {found}, where 1 was expected"
    ]


def test_an_accepted_callback_that_is_not_in_the_archive_is_missing() -> None:
    each = scenario("apivideo/lecture.mp4")
    first, *_ = archive_of(each)

    assert judged(ended_run(each), seen(each), [first]) == Verdict(
        missing=["1 accepted callbacks are not in its archive"]
    )


@pytest.mark.parametrize("key", ["videodb/twice.mp4", "apivideo/twice.mp4?", "twelvelabs/twice.mp4"])
def test_a_callback_that_is_archived_twice_is_wrong(key: str) -> None:
    each = scenario(key.rstrip("?"))
    again = replace_id(archive_of(each)[0])

    assert judged(ended_run(each), seen(each), [*archive_of(each), again]).wrong == ["a callback is archived 2 times"]


def test_two_attempts_of_which_videodb_says_the_same_are_two_callbacks() -> None:
    # a slow machine may not have waited for the first one's answer
    each = scenario("videodb/twice.mp4")
    second = replace_id(archive_of(each)[0])
    second = second.model_copy(update={"attempt": (second.attempt or 1) + 1})

    assert judged(ended_run(each), seen(each), [*archive_of(each), second]).wrong == []


def replace_id(archived: EventView) -> EventView:
    return archived.model_copy(update={"event_id": "another"})


def test_a_callback_of_a_silent_platform_is_wrong() -> None:
    each = scenario("videodb/silent.mp4")

    assert judged(ended_run(each), seen(each), [event("callback"), event("poll")]).wrong == [
        "callbacks in its archive: 1, where 0 was expected"
    ]


def test_a_callback_that_was_not_sent_again_is_waited_for_and_others_do_not_count() -> None:
    each = scenario("apivideo/twice.mp4")
    once = [one for one in sent_of(each) if one.attempt == 1]

    found = judged(
        ended_run(each), seen(each, deliveries=[*once, delivery("of another job", attempt=2)]), archive_of(each)
    )

    assert found == Verdict(missing=["the platform has not sent any of its callbacks again"])


def test_an_unreadable_callback_is_waited_for_and_wrong_where_none_is_expected() -> None:
    garbled, whole = scenario("twelvelabs/garbled.mp4"), scenario("apivideo/lecture.mp4")

    assert verdict.of_surroundings(ended_run(garbled), seen(garbled, unreadable=0)).missing == [
        "its unreadable callback is not among the dead letters"
    ]
    assert verdict.of_surroundings(ended_run(garbled), seen(garbled, unreadable=3)) == GOOD
    assert verdict.of_surroundings(ended_run(whole), seen(whole, unreadable=1)).wrong == [
        "its callbacks among the dead letters: 1, where 0 was expected"
    ]


def adopted_view(provider: str, **changes: Any) -> JobView:
    each = next(each for each in SCENARIOS if each.provider == provider and not each.fails)
    view: dict[str, Any] = {"job_id": f"other-{provider}", "adopted": True, "source": None} | changes
    return job_view(each, **view)


def test_work_begun_elsewhere_is_one_adopted_job_that_succeeds() -> None:
    job = adopted_view("apivideo")
    begun = job.steps[-1].platform_job_id
    assert begun

    assert verdict.of_work_begun_elsewhere(begun, [job]) == GOOD
    assert verdict.of_work_begun_elsewhere(job.job_id, [job]) == GOOD  # VideoDB's, whose URL names the job
    assert verdict.of_work_begun_elsewhere(begun, []).missing == ["no callback has made a job of it"]
    assert verdict.of_work_begun_elsewhere(begun, [job, job]).missing == [
        "2 jobs that nobody asked for, where 1 was expected"
    ]
    running = JobSummary.model_validate(job.model_dump() | {"status": "running"})
    assert verdict.of_work_begun_elsewhere(begun, [running]).missing == ["its job is running"]
    failed = job.model_copy(update={"status": JobStatus.FAILED, "adopted": False})
    assert verdict.of_work_begun_elsewhere("another", [failed]).wrong == [
        "the job of it: failed, where succeeded was expected",
        "adopted: False, where True was expected",
        "whose work it is: False, where True was expected",
    ]


# --- Evidence ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with SimulatedPlatforms(pace=0) as platforms:
        yield Elsewhere(platforms)


class FakeQueues:
    """Dead letters that are handed out once; those of a worker are as many as `left` says."""

    def __init__(self, letters: Sequence[tuple[str, str | None]], *, left: int = 0) -> None:
        self.outputs = {"InboxDeadLettersQueue": "inbox", "ApiVideoDeadLettersQueue": "looks"}
        self._letters: list[dict[str, str]] = []
        self._left = left
        for callback, job_id in letters:
            self.put(callback, job_id)

    def client(self, _service: str) -> "FakeQueues":
        return self

    def put(self, callback: str, job_id: str | None) -> None:
        letter = Received(callback=callback, body=b"{", headers={}, received_at=0, proof=Proof(job_id=job_id))
        self._letters.append({"Body": letter.written()})

    def receive_message(self, **_: Any) -> dict[str, Any]:
        letters, self._letters = self._letters[:10], self._letters[10:]
        return {"Messages": letters}

    def get_queue_attributes(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803 (boto3's name)
        return {"Attributes": {"ApproximateNumberOfMessages": self._left if QueueUrl == "looks" else 99}}


class FakeArchive:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def events(self, job_id: str) -> list[EventView]:
        self.asked.append(job_id)
        return []


def evidence(queues: FakeQueues, elsewhere: Elsewhere, *, archive: FakeArchive | None = None) -> Evidence:
    found = Evidence(queues, elsewhere, archive or FakeArchive(), Receiver())  # type: ignore[arg-type]
    found.read_dead_letters()
    return found


def test_dead_letters_are_counted_by_job_or_by_the_platform_that_signs(elsewhere: Elsewhere) -> None:
    theirs, others = ended_run(scenario("twelvelabs/garbled.mp4")), ended_run(scenario("twelvelabs/lost.mp4"))
    known = ended_run(scenario("videodb/lecture.mp4"))
    signed = ("twelvelabs/index_task", None)

    found = evidence(FakeQueues([*[signed] * 11, ("videodb/upload", "videodb/lecture.mp4")]), elsewhere)

    assert found.around(theirs).wrong == []
    assert found.around(theirs).missing == ["no notification of its end has come"]
    assert "its callbacks among the dead letters: 1, where 0 was expected" in found.around(known).wrong
    assert found.of_all([theirs, others, known]) == []


def test_an_unreadable_callback_that_comes_late_is_found(elsewhere: Elsewhere) -> None:
    run, queues = ended_run(scenario("twelvelabs/garbled.mp4")), FakeQueues([])
    found = evidence(queues, elsewhere)
    assert "its unreadable callback is not among the dead letters" in found.around(run).missing

    queues.put("twelvelabs/index_task", None)

    assert found.around(run).missing == ["no notification of its end has come"]


def test_dead_letters_that_nobody_expects_are_named(elsewhere: Elsewhere) -> None:
    found = evidence(FakeQueues([("apivideo/encoding_quality_completed", None), ("videodb/upload", "x")]), elsewhere)

    assert found.of_all([ended_run(each) for each in SCENARIOS]) == [
        "other callbacks among the dead letters: 2, where 0 was expected"
    ]


def test_messages_that_no_function_could_handle_are_worth_a_remark_and_no_difference(elsewhere: Elsewhere) -> None:
    found = evidence(FakeQueues([], left=2), elsewhere)

    assert found.of_all([]) == []
    assert found.remarks() == ["2 messages that no function could handle are in ApiVideoDeadLettersQueue"]


def test_the_archive_is_asked_for_once_all_else_is_there(elsewhere: Elsewhere) -> None:
    each, archive = scenario("videodb/private.mp4"), FakeArchive()
    receiver = Receiver()
    found = Evidence(FakeQueues([]), elsewhere, archive, receiver)  # type: ignore[arg-type]

    assert found.of(Run(scenario=each, job=open_view(each))).missing[0].startswith("the job is running")
    assert found.of(ended_run(each)).missing == ["no notification of its end has come"]
    assert archive.asked == []

    receiver._events["evt_1"] = end_of(each)

    assert found.of(ended_run(each)) == GOOD
    assert archive.asked == [each.key]


# --- Sending and following -----------------------------------------------------------------------------------------


class FakeApi:
    """Jobs that end when they were listed so often."""

    def __init__(self, *, ends_after: int = 2) -> None:
        self.created: dict[str, Mapping[str, Any]] = {}
        self.asked: list[str] = []
        self.extra: list[JobView] = []
        self.lists = 0
        self._ends_after = ends_after

    def create(self, request: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        assert idempotency_key not in self.created
        self.created[idempotency_key] = request
        return open_view(self._scenario(request))

    def jobs(self) -> dict[str, JobSummary]:
        self.lists += 1
        ours = [self._view(self._scenario(request)) for request in self.created.values()]
        return {job.job_id: JobSummary.model_validate(job.model_dump()) for job in [*ours, *self.extra]}

    def job(self, job_id: str) -> JobView | None:
        self.asked.append(job_id)
        return self._view(scenario(job_id))

    def _view(self, each: Scenario) -> JobView:
        return job_view(each) if self.lists >= self._ends_after else open_view(each)

    def _scenario(self, request: Mapping[str, Any]) -> Scenario:
        file = request["source"].rsplit("/", 1)[-1].partition("?")[0]
        return scenario(f"{request['provider']}/{file}")


class FakeEvidence:
    """Of what ended all is as it should be, or else as `around` says."""

    def __init__(self, around: Callable[[Run], Verdict] = lambda _run: GOOD) -> None:
        self.around = around

    def of(self, run: Run) -> Verdict:
        found = verdict.of_job(run)
        return self.around(run) if found.is_good else found

    def read_dead_letters(self) -> None:
        pass

    def of_begun(self, begun: str, jobs: Sequence[JobSummary]) -> Verdict:
        whole = [adopted_view(job.provider, job_id=job.job_id) for job in jobs]
        return verdict.of_work_begun_elsewhere(begun, whole)


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    @property
    def time(self) -> Time:
        return Time(now=lambda: self.now, sleep=self.sleep)


def follow(
    runs: Sequence[Run],
    api: FakeApi,
    *,
    around: FakeEvidence | None = None,
    adopted: Sequence[Finding] = (),
    show: Callable[[], None] = lambda: None,
    patience: float = 60.0,
    clock: Clock | None = None,
) -> Clock:
    clock = clock or Clock()
    Following(
        api,  # type: ignore[arg-type]
        around or FakeEvidence(),  # type: ignore[arg-type]
        runs,
        adopted,
        notify_url="http://127.0.0.1/notifications",
        when=clock.time,
    ).until_settled(show, patience=patience)
    return clock


def all_unsent() -> list[Run]:
    return [Run(scenario=each) for each in SCENARIOS]


def test_every_job_is_sent_once_and_followed_to_its_end() -> None:
    api, runs = FakeApi(), all_unsent()

    follow(runs, api)

    assert [run.verdict for run in runs] == [GOOD] * len(runs)
    assert len(api.created) == len(SCENARIOS)
    assert {request["notify_url"] for request in api.created.values()} == {"http://127.0.0.1/notifications"}
    assert {request["label"] for request in api.created.values()} == {"demo"}
    assert {request["check_interval"] for request in api.created.values()} == {CHECK_SECONDS}


def test_a_job_is_asked_for_when_the_list_says_that_it_moved_and_one_more_each_time() -> None:
    api, runs = FakeApi(ends_after=20), all_unsent()

    follow(runs, api)

    # once when it is first listed, once when it has ended; and one a list, for its steps
    assert len(api.asked) <= 2 * len(runs) + api.lists


def test_what_ends_is_shown_before_the_others_have_ended() -> None:
    each, other = scenario("videodb/lecture.mp4"), scenario("videodb/private.mp4")
    runs = [Run(scenario=each), Run(scenario=other)]
    slow = [3]
    shown = []

    def around(run: Run) -> Verdict:
        if run.scenario is other:
            slow[0] -= 1
            return Verdict(missing=["no notification of its end has come"]) if slow[0] > 0 else GOOD
        return GOOD

    follow(runs, FakeApi(), around=FakeEvidence(around), show=lambda: shown.append([run.over for run in runs]))

    assert [True, False] in shown
    assert shown[-1] == [True, True]


def test_a_second_notification_that_comes_later_is_noticed() -> None:
    runs, looks = [Run(scenario=scenario("videodb/private.mp4"))], iter([GOOD, Verdict(wrong=["announced twice"])])

    follow(runs, FakeApi(), around=FakeEvidence(lambda _run: next(looks)))

    assert runs[0].verdict.differences == ["announced twice"]


def test_a_job_that_nobody_asked_for_is_waited_for_to_go_away() -> None:
    api, begun = FakeApi(), "encoding-1"
    api.extra = [adopted_view("apivideo", job_id="a"), adopted_view("apivideo", job_id="b")]
    found = Finding(provider="apivideo", name="", proves="", verdict=Verdict(missing=["-"]), begun=begun)

    def show() -> None:
        if api.lists > 5:
            del api.extra[1:]

    follow([Run(scenario=scenario("apivideo/lecture.mp4"))], api, adopted=[found], show=show)
    assert found.verdict == GOOD

    two = FakeApi()
    two.extra = [adopted_view("apivideo", job_id="a"), adopted_view("apivideo", job_id="b")]
    follow([], two, adopted=[found])
    assert found.verdict.differences == ["not finished yet: 2 jobs that nobody asked for, where 1 was expected"]


def test_nothing_is_waited_for_once_nothing_moves_any_more() -> None:
    runs = [Run(scenario=SCENARIOS[0])]

    clock = follow(runs, FakeApi(ends_after=10**6), patience=30.0)

    assert 30 < clock.now < 31
    assert runs[0].verdict.differences == ["not finished yet: the job is running: upload running"]


def test_what_moves_slowly_is_waited_for_longer_than_the_patience() -> None:
    """A hundred attempts, each of which takes most of the patience."""
    runs, attempts, clock = [Run(scenario=SCENARIOS[0])], iter(range(1, 1000)), Clock()

    class Slow(FakeApi):
        def job(self, job_id: str) -> JobView | None:
            clock.now += 20.0
            attempt = next(attempts)
            return job_view(scenario(job_id)) if attempt > 100 else open_view(scenario(job_id), attempt=attempt)

    follow(runs, Slow(), patience=30.0, clock=clock)

    assert runs[0].verdict == GOOD


def test_a_busy_machine_is_asked_less_often() -> None:
    clock = Clock()

    class Busy(FakeApi):
        def jobs(self) -> dict[str, JobSummary]:
            clock.now += 3.0
            return super().jobs()

    follow([Run(scenario=SCENARIOS[0])], Busy(ends_after=4), clock=clock)

    assert set(clock.slept) == {3.0}


def test_the_platforms_take_turns_and_those_that_take_longest_go_first() -> None:
    turns = list(in_turns(all_unsent()))
    lost = sum(each.kind is Kind.LOST for each in SCENARIOS)

    assert [run.scenario.provider for run in turns[:4]] == list(PROVIDERS)
    assert [run.scenario.name for run in turns[:4]] == ["silent"] * 4
    assert len({run.scenario.key for run in turns}) == len(turns) == len(SCENARIOS)
    assert lost >= len(PLATFORMS)


def test_a_job_that_is_gone_is_none_and_every_other_answer_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        status, data = 404, b"no such job"

    api = JobsApi("http://127.0.0.1:9", "key")
    monkeypatch.setattr(api._connections, "request", lambda *_, **__: Answer)

    assert api.job("gone") is None
    with pytest.raises(ApiError, match=r"GET /jobs\?limit=1 was answered 404, not 200: no such job"):
        api.probe()


# --- Forgeries -----------------------------------------------------------------------------------------------------


def test_a_callback_without_an_answer_is_named_without_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unexpected, "RETRY", False)
    url = f"http://127.0.0.1:{aws.free_port()}/callbacks/videodb/upload?token=secret"

    with pytest.raises(ApiError) as caught:
        unexpected.send(Letter(url=url, body=b"{}"))

    assert "secret" not in str(caught.value)
    assert "NewConnectionError" in str(caught.value)


@pytest.mark.parametrize("answer", [(200, "accepted"), (503, "unavailable")])
def test_a_forged_callback_that_is_not_rejected_is_wrong(answer: unexpected.Answer) -> None:
    good, bad = unexpected.forged("apivideo", [(401, "rejected")] * 3), unexpected.forged("apivideo", [answer])

    assert good.verdict == GOOD
    assert bad.verdict.wrong == [f"a forged callback was answered: {answer}, where (401, 'rejected') was expected"]


URL = "https://api.example.com/callbacks/signed"
SIGNED: Mapping[Provider, str] = {
    "twelvelabs": "twelvelabs/index_task",
    "apivideo": "apivideo/encoding_quality_completed",
    "apsaravideo": "apsaravideo/upload_by_url_complete",
}


@pytest.mark.parametrize("provider", SIGNING)
def test_every_forgery_is_one_in_a_way_of_its_own(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is accepted with the local stack's secrets."""
    monkeypatch.setenv("APSARAVIDEO_CALLBACK_URL", URL)
    monkeypatch.setenv("SIGNATURE_TOLERANCE_SECONDS", "300")
    verify = CALLBACKS[SIGNED[provider]].verify
    assert verify
    reasons = []
    for letter in unexpected.forgeries(provider, URL):
        with pytest.raises(RejectedError) as rejected:
            verify(request_of(letter), SAMPLE_SECRETS[provider])
        reasons.append(f"{rejected.value} {letter.body!r} {letter.headers}")

    assert len(set(reasons)) == len(reasons) >= 3


def request_of(letter: Letter) -> Request:
    context = {"timeEpoch": int(time.time() * 1000)}
    headers = dict(letter.headers)
    return Request(
        {"headers": headers, "body": letter.body.decode(), "isBase64Encoded": False, "requestContext": context}
    )


@pytest.mark.parametrize("provider", SIGNING)
def test_what_is_forged_would_have_an_effect(provider: Provider) -> None:
    callback = CALLBACKS[SIGNED[provider]]

    assert isinstance(callback.decide(callback.payload_of(unexpected.FORGED[provider])), Hint)


# --- Work begun elsewhere ------------------------------------------------------------------------------------------


def test_work_is_begun_with_the_platforms_own_apis_and_is_what_they_made(elsewhere: Elsewhere) -> None:
    for provider in SIGNING:
        assert elsewhere.begin(provider, unexpected.ELSEWHERE_URL)
        assert unexpected.ELSEWHERE_URL in [asked.source for asked in elsewhere.asked(provider)]
    assert elsewhere.made("apsaravideo", unexpected.ELSEWHERE_URL) == 1


def test_what_a_platform_has_made_of_a_source_is_counted(elsewhere: Elsewhere) -> None:
    url = "https://media.example.com/counted.mp4"
    assert [elsewhere.made(provider, url) for provider in SIGNING] == [0, 0, 0]

    for number in (1, 2):
        elsewhere._apivideo("POST", "/videos", json={"title": "counted.mp4", "source": url})
        elsewhere._vod("UploadMediaByURL", UploadURLs=url)
        asset = elsewhere._twelvelabs("POST", "/assets", fields={"method": "url", "url": url})
        elsewhere._twelvelabs("POST", f"/indexes/{INDEX}/indexed-assets", json={"asset_id": asset["_id"]})
        assert [elsewhere.made(provider, url) for provider in SIGNING] == [number] * 3


def test_a_platform_that_does_not_answer_as_it_should_ends_the_demo_with_its_words(elsewhere: Elsewhere) -> None:
    with pytest.raises(ApiError, match=r"answered 404 to GET /tasks/unknown: .*resource_not_exist"):
        elsewhere._twelvelabs("GET", "/tasks/unknown")


# --- What a person sees --------------------------------------------------------------------------------------------


def drawn(width: int, height: int, thing: Any) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True, force_terminal=True, highlight=False)
    console.print(thing)
    return [line.rstrip() for line in console.export_text().splitlines()]


def all_runs() -> list[Run]:
    """Two that have not begun, one that runs, one that is tried again, one that lacks evidence, and the others over."""
    runs = [ended_run(each) for each in SCENARIOS]
    runs[-2:] = [Run(scenario=run.scenario) for run in runs[-2:]]
    runs[0] = Run(scenario=runs[0].scenario, job=open_view(runs[0].scenario, progress=0.5))
    runs[3] = Run(scenario=runs[3].scenario, job=open_view(runs[3].scenario, step=StepStatus.SUBMITTING, attempt=3))
    runs[4].verdict = Verdict(missing=["no notification of its end has come"])
    return runs


def board_lines(width: int, height: int) -> list[str]:
    return drawn(width, height, Board(all_runs()))


@pytest.mark.parametrize(("width", "height"), [(80, 8), (80, 24), (100, 40), (140, 70)])
def test_the_board_stays_within_the_terminal(width: int, height: int) -> None:
    shown = board_lines(width, height)

    assert max(map(len, shown)) <= width
    assert len(shown) < height


def test_a_low_terminal_shows_the_jobs_that_run() -> None:
    shown = board_lines(80, 20)

    [running] = [line for line in shown if " upload running " in line]
    [again] = [line for line in shown if " upload submitting " in line]
    [ended] = [line for line in shown if " ended; evidence " in line]
    assert "VideoDB         lecture             upload running 50%" in running
    assert "VideoDB         twice               upload submitting x3" in again
    assert "VideoDB         flaky " in ended
    assert len([line for line in shown if line.startswith(("✓", "✗"))]) == 20 - 5 - 3


def test_a_job_that_is_over_shows_a_mark_for_each_step() -> None:
    runs = [ended_run(scenario(key)) for key in ("videodb/lecture.mp4", "videodb/private.mp4")]
    shown = drawn(80, 24, Board(runs))

    assert shown[1].startswith("✓ VideoDB         lecture             ✓✓✓✓ ")
    assert shown[2].startswith("✓ VideoDB         private             ✗··· ")


def test_the_board_says_what_it_waits_for_when_all_jobs_have_ended() -> None:
    waited_for = [replace_verdict(found, Verdict(missing=["-"])) for found in adoptions()[:2]]

    *_, bar = drawn(80, 60, Board([ended_run(each) for each in SCENARIOS], waited_for))

    assert bar.endswith("waiting for 2 begun elsewhere")


def replace_verdict(found: Finding, other: Verdict) -> Finding:
    return Finding(provider=found.provider, name=found.name, proves=found.proves, verdict=other, begun=found.begun)


def adoptions() -> list[Finding]:
    return [
        Finding(provider=platform.provider, name="begun elsewhere", proves="adopted", verdict=GOOD, begun="x")
        for platform in PLATFORMS
    ]


def test_jobs_stay_in_their_order_where_there_is_no_room_for_all() -> None:
    runs = all_runs()
    runs[1].job = job_view(runs[1].scenario, ended_at="2026-01-01T12:00:09.000Z")
    open_ = [runs[0], runs[3], runs[4]]

    assert fitting(runs, 3) == open_
    assert fitting(runs, 4) == [runs[0], runs[1], runs[3], runs[4]]
    assert fitting(runs, len(runs) - 2) == runs[:-2]
    assert fitting(runs, 100) == runs


def test_a_job_that_ended_otherwise_is_marked_at_once() -> None:
    run = Run(scenario=scenario("videodb/flaky.mp4"), job=job_view(scenario("videodb/private.mp4")))
    run.verdict = verdict.of_job(run)

    assert drawn(80, 24, Board([run]))[1].startswith("✗")


def test_every_change_worth_a_line_is_told_once_and_the_end_with_what_it_proves() -> None:
    each = scenario("videodb/flaky.mp4")
    run = Run(scenario=each)
    lines = Changes([run], [])
    again = open_view(each, step=StepStatus.QUEUED, error=ERROR)
    further = job_view(each, status=JobStatus.RUNNING, ended_at=None)
    further.steps[-1] = further.steps[-1].model_copy(update={"status": StepStatus.RUNNING})
    views = [None, open_view(each), again, further, job_view(each)]

    said = []
    for run.job in views:
        run.verdict = verdict.of_job(run)
        said += [*lines(), *lines()]

    assert said == [
        "… VideoDB flaky: upload is tried again: Said the platform",
        "… VideoDB flaky: upload succeeded",
        "… VideoDB flaky: index_spoken_words succeeded",
        "… VideoDB flaky: index_scenes succeeded",
        f"✓ VideoDB flaky: succeeded in 3.2 s; {each.proves}",
    ]


def test_a_line_says_what_is_not_as_it_should_be() -> None:
    run = Run(scenario=scenario("videodb/lecture.mp4"), job=job_view(scenario("videodb/private.mp4")))
    run.verdict = verdict.of_job(run)
    found = replace_verdict(adoptions()[2], Verdict(wrong=["adopted: False, where True was expected"]))

    finding, job = Changes([run], [found])()
    assert finding == "✗ api.video, begun elsewhere: adopted: False, where True was expected"
    assert job.startswith("✗ VideoDB lecture: the job: failed, where succeeded was expected; its steps: ")


def test_who_waits_is_told_what_for() -> None:
    runs = all_runs()
    found = replace_verdict(adoptions()[0], Verdict(missing=["no callback has made a job of it"]))

    assert waiting(runs, [found]) == (
        "… waiting for 6: VideoDB lecture (upload running), VideoDB twice (upload submitting, attempt 3), "
        "VideoDB flaky (no notification of its end has come), …"
    )
    assert waiting([], [found]) == "… waiting for 1: VideoDB, begun elsewhere (no callback has made a job of it)"


def test_plain_lines_say_what_is_waited_for_when_nothing_happens() -> None:
    out, clock = io.StringIO(), Clock()
    screen = Screen(Console(file=out, color_system=None, width=80), moves=False, clock=lambda: clock.now)

    with screen.board(all_runs(), []) as show:
        show()
        clock.sleep(QUIET_SECONDS - 1)
        show()
        said = out.getvalue()
        clock.sleep(2)
        show()
        show()

    assert out.getvalue().removeprefix(said).count("waiting for 5") == 1
    assert "waiting" not in said


def report(
    wrong: Mapping[str, Verdict] = {},
    *,
    forged: Verdict = GOOD,
    differences: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> Report:
    """`wrong`: the verdicts of scenarios; `forged`: that of TwelveLabs' forged callbacks."""
    runs = [Run(scenario=each, job=job_view(each), verdict=wrong.get(each.key, GOOD)) for each in SCENARIOS]
    forgeries = [unexpected.forged(platform.provider, [(401, "rejected")] * 4) for platform in PLATFORMS]
    forgeries[1] = replace_verdict(forgeries[1], forged)
    return Report(
        runs=runs,
        findings=[*forgeries, *adoptions()],
        differences=differences,
        remarks=remarks,
        announced=23,
        announced_again=4,
        seconds=31.4,
    )


def printed(found: Report, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None, highlight=False)
    paper = Screen(console, moves=False)
    paper.report(found)
    paper.conclude(found)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_report_has_a_line_for_each_job_that_says_what_it_proves_at_every_width(width: int) -> None:
    shown = printed(report(), width)

    assert max(map(len, shown)) <= min(width, 100)
    for platform in PLATFORMS:
        [heading] = [place for place, line in enumerate(shown) if line.startswith(f"{platform.name}: ")]
        rows = shown[heading + 1 : heading + 1 + len(platform.scenarios)]
        for line, each in zip(rows, platform.scenarios, strict=True):
            assert line.startswith(f"✓ {each.name} ")
            assert line.endswith(f" 3.2 s {each.proves}")
        forged, adopted = shown[heading + 1 + len(platform.scenarios) :][:2]
        assert forged.split(maxsplit=2) == ["✓", "forged", "all of 4 forged callbacks rejected with 401"]
        assert adopted.split() == ["✓", "begun", "elsewhere", "adopted"]


@pytest.mark.parametrize("width", [80, 100])
def test_the_report_fits_on_a_high_screen(width: int) -> None:
    assert len(printed(report(), width)) <= 60


@pytest.mark.parametrize("width", [80, 100])
def test_the_report_gives_cause_and_action_of_every_error_once(width: int) -> None:
    shown = printed(report(), width)
    errors = {(each.provider, each.error) for each in SCENARIOS if each.error}

    assert sum(line == "  A cause. An action." for line in shown) == len(errors)
    assert "TwelveLabs resolution_too_high: Said the platform" in shown


@pytest.mark.parametrize("width", [80, 100])
def test_the_report_says_how_many_ends_were_announced(width: int) -> None:
    shown = " ".join(printed(report(remarks=["2 messages are in XQueue"]), width))

    assert "23 ends announced, their signatures verified with Standard Webhooks' library; 4 had to be sent" in shown
    assert "2 messages are in XQueue" in shown


def test_a_good_report_ends_with_the_count_and_where_to_go_next() -> None:
    found = report(remarks=["2 messages are in XQueue"])
    *_, count, following = printed(found, 100)

    assert found.is_good
    assert count == f"{len(SCENARIOS)} of {len(SCENARIOS)} jobs ended as they should, after 31 s in all."
    assert "make local" in following
    assert "README.md" in following


def test_a_bad_report_ends_with_what_to_look_at() -> None:
    found = report({"apivideo/silent.mp4": Verdict(missing=["no notification of its end has come"])})
    shown = printed(found, 100)

    assert not found.is_good
    [row] = [line for line in shown if line.startswith("✗ silent ")]
    assert row.endswith("not finished yet: no notification of its end has come")
    assert shown[-4:] == [
        f"{len(SCENARIOS) - 1} of {len(SCENARIOS)} jobs ended as they should, after 31 s in all. Not as it should be:",
        "  api.video silent (job apivideo/silent.mp4): not finished yet: no notification of its end has come",
        "What the functions logged of it: grep apivideo/silent.mp4 .local/logs/demo-functions.log",
        "All logs: .local/logs/demo-*.log. Once more: make demo",
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_a_report_of_which_all_is_bad_still_fits_on_a_screen(width: int) -> None:
    long = "the job: failed, where succeeded was expected, and so on, which no line has room for at either width"
    found = report(dict.fromkeys([each.key for each in SCENARIOS], Verdict(wrong=[long])))
    shown = printed(found, width)

    assert sum(line.startswith("✗ ") and line.endswith("…") for line in shown) == len(SCENARIOS)
    assert f"  and {len(SCENARIOS) - MOST_DIFFERENCES} more" in shown


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        (report(forged=Verdict(wrong=["answered: 200"])), "TwelveLabs, forged: answered: 200"),
        (
            report(differences=["other callbacks among the dead letters: 1"]),
            "other callbacks among the dead letters: 1",
        ),
    ],
)
def test_a_report_is_bad_if_something_else_differs(found: Report, difference: str) -> None:
    shown = printed(found, 100)

    assert not found.is_good
    assert [line.strip() for line in shown[-3:]] == [
        difference,
        "What the functions logged of it: grep ERROR .local/logs/demo-functions.log",
        "All logs: .local/logs/demo-*.log. Once more: make demo",
    ]


@pytest.mark.parametrize(
    ("environment", "is_terminal", "moves"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm-256color"}, False, False),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
    ],
)
def test_lines_are_drawn_over_only_where_that_works(
    environment: dict[str, str], is_terminal: bool, moves: bool
) -> None:
    assert can_move(environment, is_terminal=is_terminal) is moves


def test_plain_lines_have_no_escape_codes() -> None:
    out = io.StringIO()
    plain = Screen(Console(file=out, color_system=None, width=100, highlight=False), moves=False)

    plain.introduce()
    with plain.stages() as begin:
        begin("sam build")
    with plain.board(all_runs(), adoptions()) as show:
        show()
    plain.report(report())
    plain.conclude(report())

    assert "sam build" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_terminal_keeps_what_was_done_and_marks_what_broke_off() -> None:
    console = Console(width=80, file=io.StringIO(), record=True, force_terminal=True)

    def break_off() -> None:
        with Screen(console, moves=True).stages() as begin:
            begin("sam build")
            begin("sam deploy")
            raise StackError

    with pytest.raises(StackError):
        break_off()

    shown = [line.split() for line in console.export_text().splitlines()]
    assert ["✓", "sam", "build", "0.0", "s"] in shown
    assert ["✗", "sam", "deploy", "0.0", "s"] in shown


# --- The program ---------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    monkeypatch.setattr("sys.argv", ["demo"])
    monkeypatch.setattr(logs, "FILE", tmp_path / "demo-functions.log")
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def ends_with(monkeypatch: pytest.MonkeyPatch, end: BaseException | Report) -> int:
    def demonstrate(*_: object) -> Report:
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setattr(demonstration, "_demonstrate", demonstrate)
    return program.main()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("end", "code"), [(report(), 0), (report({"videodb/flaky.mp4": Verdict(missing=["it was not sent"])}), 1)]
)
def test_the_exit_code_says_whether_all_is_well(monkeypatch: pytest.MonkeyPatch, end: Report, code: int) -> None:
    assert ends_with(monkeypatch, end) == code


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    "error", [StackError("no stack"), ApiError("no stack"), EndpointConnectionError(endpoint_url="no stack")]
)
def test_a_demo_that_cannot_go_on_says_why_and_where_the_logs_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert ends_with(monkeypatch, error) == 1
    *_, why, where, again = capsys.readouterr().out.splitlines()
    assert "no stack" in why
    assert where == "Logs: .local/logs/demo-*.log"
    assert again == "Once more: make demo"


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_it_with_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(monkeypatch, KeyboardInterrupt()) == 130
    assert "Stopped" in capsys.readouterr().out


class FakeLogs:
    """Two groups of one function each."""

    def __init__(self, *, gone: bool = False) -> None:
        self._gone = gone

    def get_paginator(self, operation: str) -> "FakeLogs":
        if self._gone:
            raise EndpointConnectionError(endpoint_url="gone")
        self._operation = operation
        return self

    def paginate(self, **which: Any) -> list[dict[str, Any]]:
        if self._operation == "describe_log_groups":
            return [{"logGroups": [{"logGroupName": "a"}]}, {"logGroups": [{"logGroupName": "b"}]}]
        second, first = {"timestamp": 2, "message": "second\n"}, {"timestamp": 1, "message": "first"}
        return [{"events": [second]}] if which["logGroupName"] == "a" else [{"events": []}, {"events": [first]}]


def test_what_the_functions_logged_is_kept_in_its_order_until_the_next_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(logs, "FILE", tmp_path / "demo-functions.log")

    logs.keep(FakeLogs())
    assert logs.FILE.read_text() == "first\nsecond\n"

    logs.keep(FakeLogs(gone=True))
    assert logs.FILE.read_text() == "first\nsecond\n"

    logs.forget()
    logs.forget()
    assert not logs.FILE.exists()
