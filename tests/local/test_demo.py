"""The demo expects what the simulated platforms do, says precisely what differs, and can be read on any terminal.

Nothing here needs the stack, nor any time: the demo itself is what `make demo` runs.
"""

import io
import json
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter
from rich.console import Console
from video_jobs.api.views import EventView, JobView
from video_jobs.faults import RefusedError
from video_jobs.jobs import Ignored, JobError, JobStatus, News, StepStatus
from video_jobs.platforms.apivideo import encoding
from video_jobs.platforms.apivideo import payloads as apivideo_payloads
from video_jobs.platforms.apivideo import signature as apivideo_signature
from video_jobs.platforms.apsaravideo import payloads as vod_payloads
from video_jobs.platforms.apsaravideo import signature as vod_signature
from video_jobs.platforms.apsaravideo import upload_by_url
from video_jobs.platforms.requests import PROVIDERS, AnyJobRequest, PlatformJobRequest
from video_jobs.platforms.twelvelabs import payloads as twelvelabs_payloads
from video_jobs.platforms.twelvelabs import signature as twelvelabs_signature
from video_jobs.platforms.twelvelabs import task

from local import aws
from local.commands import StackError
from local.demo import __main__ as program
from local.demo import demonstration, lines, strangers, verdict
from local.demo.elsewhere import Asked, Elsewhere
from local.demo.evidence import Evidence
from local.demo.jobs_api import ApiError
from local.demo.report import Report
from local.demo.scenario import Provider, Scenario, Theme
from local.demo.scenarios import PLATFORMS, SCENARIOS, platform_of
from local.demo.screen import Screen, can_move
from local.demo.strangers import Letter
from local.demo.terminal import Board, fitting
from local.demo.twelvelabs import INDEX
from local.demo.verdict import Finding, Notices, Result, Row, Run, Seen
from local.platforms import apivideo, apsaravideo, twelvelabs, videodb
from local.platforms.apivideo.encoding import plan_encoding
from local.platforms.courier import Delivery
from local.platforms.knobs import Knobs
from local.platforms.simulated import SimulatedPlatforms
from local.platforms.twelvelabs.behaviour import Step
from local.platforms.twelvelabs.errors import VIDEO_MESSAGES
from local.platforms.videodb.payloads import Kind
from local.receiver import Receiver, Told
from local.samples import SAMPLE_SECRETS

SIMULATED = {"videodb": videodb, "twelvelabs": twelvelabs, "apivideo": apivideo, "apsaravideo": apsaravideo}
SIGNING: tuple[Provider, ...] = ("twelvelabs", "apivideo", "apsaravideo")
ORDINARY = {"lecture", "course", "podcast", "poster", "outage"}  # names that mean nothing to the simulated platforms
NOON = "2026-01-01T12:00:00.000Z"
LATER = "2026-01-01T12:00:03.210Z"
ERROR = JobError(code="x", message="Said the platform", cause="A cause", action="An action", retryable=False)
RESULTS: Mapping[str, Mapping[str, Any]] = {
    "videodb/upload": {"id": "m-1"},
    "videodb/index_spoken_words": {"id": "m-1"},
    "videodb/index_scenes": {"scene_index_id": "index-1"},
    "videodb/extract_scenes": {"scene_collection_id": "collection-1"},
}
VIDEODB = [each for each in SCENARIOS if each.provider == "videodb"]

requests: TypeAdapter[PlatformJobRequest] = TypeAdapter(AnyJobRequest)
every_scenario = pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.key)


def scenario(key: str) -> Scenario:
    """By its platform and file."""
    [found] = [each for each in SCENARIOS if each.key == key]
    return found


def source_of(each: Scenario) -> Any:
    """What its platform's simulator reads in its URL."""
    return SIMULATED[each.provider].behaviour.read_source(each.url, Knobs())


def job_view(each: Scenario, **changes: Any) -> JobView:
    """The job that the scenario asks for, ended as it must; `changes` are the view's own fields."""
    steps = [
        {
            "name": name,
            "status": status,
            "attempt": each.attempts.get(name, int(status in (StepStatus.SUCCEEDED, StepStatus.FAILED))),
            "checks": 0,
            "platform_job_id": f"{name}-1",
            "progress": each.stays_at if status == StepStatus.RUNNING else None,
            "result": RESULTS.get(f"{each.provider}/{name}", {}) if status == StepStatus.SUCCEEDED else None,
            "error": ERROR if status == StepStatus.FAILED else None,
        }
        for name, status in zip(each.plan, each.steps, strict=True)
    ]
    if each.stays_at is not None:
        steps[-1]["result"] = {"playable": True}
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
    return Run(scenario=each, job=job_view(each, **changes), failed_first=each.fails_first)


def event(callback: str, via: str, *, outcome: str = "recorded") -> EventView:
    return EventView(
        event_id=f"{callback}-{via}",
        callback=callback,
        attempt=1,
        via=via,
        outcome=outcome,
        body="{}",
        headers={},
        received_at=NOON,
    )


def delivery(body: str, *, status: int | None = 200) -> Delivery:
    return Delivery(url="http://127.0.0.1/callbacks", body=body.encode(), status=status, attempt=1)


def made_ids(each: Scenario) -> Iterator[str]:
    for name in each.plan:
        yield from RESULTS.get(f"{each.provider}/{name}", {}).values() or [f"{name}-1"]


def events_of(each: Scenario) -> list[EventView]:
    """What must be archived of the scenario's job: ends, then what its callbacks told, then what nobody needs."""
    ends = [event(f"{each.provider}/{step}", via) for step, via in each.told.items()]
    callbacks = [event("told", "callback")] * (each.callbacks or 0)
    return [*ends, *callbacks, *[event("unneeded", "callback", outcome="ignored")] * each.ignored]


def deliveries_of(each: Scenario) -> list[Delivery]:
    [made, *_] = made_ids(each)
    number_sent = len(each.plan) if each.callbacks is None else each.callbacks
    bodies = [f"{made} tells {number}" for number in range(number_sent)]
    return [delivery(body) for body in bodies for _ in range(each.copies or 1)]


def told_of(each: Scenario) -> list[Told]:
    """The ends that somebody must have been told of."""
    kinds = ["job.failed"] * (each.fails_first is not None) + [f"job.{each.ends}"]
    return [
        Told(f"evt_{number}", kind, f"2026-01-01T12:00:0{number}.000Z", {"job_id": each.key})
        for number, kind in enumerate(kinds)
    ]


def seen(each: Scenario, **changes: Any) -> Seen:
    """What must be seen of the scenario's job."""
    everything: dict[str, Any] = {
        "events": events_of(each),
        "deliveries": deliveries_of(each),
        "asked": [Asked(path="/", fields={"url": each.url, **fields}) for fields in each.asked],
        "told": told_of(each),
        "unreadable": each.unreadable or 0,
        "made": each.made,
    }
    return Seen(**(everything | changes))


# --- The scenarios agree with the simulated platforms --------------------------------------------------------------


def test_every_platform_and_scenario_is_told_apart() -> None:
    assert [platform.provider for platform in PLATFORMS] == list(PROVIDERS)
    assert len({each.key for each in SCENARIOS}) == len(SCENARIOS)
    assert all(platform_of(each).provider == each.provider for each in SCENARIOS)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.provider)
def test_every_platform_shows_something_of_every_theme(platform: Any) -> None:
    assert {each.theme for each in platform.scenarios} == set(Theme)
    assert set(platform.steps) == {step for each in platform.scenarios for step in each.plan}


@every_scenario
def test_a_scenarios_source_means_something_to_its_simulated_platform(each: Scenario) -> None:
    name = PurePosixPath(each.file).stem

    assert (name in SIMULATED[each.provider].BEHAVIOURS) is (name not in ORDINARY)


@every_scenario
def test_a_scenario_has_an_error_exactly_if_it_fails(each: Scenario) -> None:
    assert (each.error is None) is (each.fails is None)
    assert each.fails in (None, *each.plan)


@every_scenario
def test_a_scenario_expects_the_failure_that_its_source_has(each: Scenario) -> None:
    behaviour = source_of(each).behaviour
    refused = behaviour.refused
    match each.provider:
        case "videodb":
            failing = [step.value for step in behaviour.fails]
            assert [each.fails] == failing if each.fails else not failing
        case "twelvelabs":
            ours = {Step.TASK: "task", Step.ASSET: "asset", Step.INDEXED_ASSET: "indexed_asset"}
            failing = [name for step, name in ours.items() if step in {**behaviour.rejects, **behaviour.fails}]
            assert each.fails == next((name for name in each.plan if name in failing), None)
        case "apivideo":
            fails = behaviour.failing is not apivideo.behaviour.Failing.NONE
            assert each.fails == ("upload" if refused else "encoding" if fails else None)
        case "apsaravideo":
            fails = refused or (behaviour.error is not None and not behaviour.takes_back)
            assert (each.fails is not None) is fails


@every_scenario
def test_a_documented_error_of_a_name_is_the_one_that_is_expected(each: Scenario) -> None:
    codes = set(source_of(each).behaviour.rejects.values()) if each.provider == "twelvelabs" else set()

    assert codes <= {each.error}


def test_every_documented_error_of_a_video_is_shown_of_twelvelabs() -> None:
    shown = {each.error for each in SCENARIOS if each.provider == "twelvelabs"}

    assert VIDEO_MESSAGES.keys() <= shown


@every_scenario
def test_a_scenario_expects_an_attempt_for_every_fault_and_one_more(each: Scenario) -> None:
    source = source_of(each)
    answers_lost = int(getattr(source.behaviour, "lost", False))
    faults = len(source.behaviour.faults) + source.knobs.fail + answers_lost

    assert each.attempts.get(each.plan[0], 1) == faults + 1


@every_scenario
def test_a_scenario_expects_as_many_callbacks_as_its_source_sends(each: Scenario) -> None:
    """Of VideoDB's see below."""
    if each.callbacks is None or each.provider == "videodb":
        return
    assert each.callbacks == callbacks_sent(each)


def callbacks_sent(each: Scenario) -> int:
    """How many different ones, that can be read, the simulated platform sends."""
    source = source_of(each)
    behaviour = source.behaviour
    if source.knobs.drop or source.knobs.garble or behaviour.refused:
        return 0
    match each.provider:
        case "twelvelabs":
            return int(each.plan == ("task",) and Step.TASK not in behaviour.rejects)
        case "apivideo":
            return len(plan_encoding(source, mp4_support=True, random=Random(1)).told())
        case _:
            return 1 + int(behaviour.takes_back)


@every_scenario
def test_a_scenario_expects_what_becomes_of_its_sources_callbacks(each: Scenario) -> None:
    source = source_of(each)
    lost = source.knobs.drop == 1 or source.knobs.garble == 1

    assert (each.theme is Theme.LOST) is lost
    assert (each.unreadable is not None) is (source.knobs.garble == 1)
    assert (each.copies or 1) == 1 + source.knobs.duplicate


@pytest.mark.parametrize("each", VIDEODB, ids=lambda each: each.key)
def test_ends_are_told_by_checks_where_videodbs_callbacks_are_lost(each: Scenario) -> None:
    source = source_of(each)

    assert (set(each.told.values()) == {"check"}) is (source.knobs.drop == 1 or source.knobs.garble == 1)
    assert {step for step, via in each.told.items() if via == "submit"} <= source.behaviour.brings
    assert each.callbacks in (None, 0)  # a check's words are theirs: how many come first is chance


@pytest.mark.parametrize("each", VIDEODB, ids=lambda each: each.key)
def test_only_a_videos_steps_are_not_skipped(each: Scenario) -> None:
    skipped = bool(each.skips) or each.request.get("media_type") == "image"

    assert skipped is (source_of(each).kind is not Kind.VIDEO)


@every_scenario
def test_the_api_takes_a_scenarios_request_and_plans_the_expected_steps(each: Scenario) -> None:
    request = {"provider": each.provider, "source": each.url} | dict(each.request)

    assert requests.validate_python(request).new_job("job-1").plan == each.plan


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.provider)
def test_a_platform_that_signs_has_one_job_with_unreadable_callbacks_at_most(platform: Any) -> None:
    """They are counted by platform: nothing but their body could tell whose they are."""
    garbled = [each for each in platform.scenarios if each.unreadable is not None]

    assert len(garbled) <= 1 or not platform.signs


def test_the_job_that_is_retried_by_hand_has_used_up_its_attempts_when_it_fails() -> None:
    each = scenario("videodb/outage.mp4")

    assert source_of(each).knobs.fail == each.request["retry"]["max_attempts"]


def test_the_job_that_is_canceled_stays_where_its_encoding_does() -> None:
    each = scenario("apivideo/stuck-rendition.mp4")
    plan = plan_encoding(source_of(each), mp4_support=True, random=Random(1))

    assert each.stays_at == len(plan.told()) / len(plan.listed)


# --- The verdict ---------------------------------------------------------------------------------------------------


@every_scenario
def test_a_job_that_ended_as_its_scenario_says_differs_in_nothing(each: Scenario) -> None:
    run = ended_run(each)

    assert verdict.of_job(run) == []
    assert verdict.of_evidence(run, seen(each)) == []


def test_a_job_that_was_never_sent_differs() -> None:
    assert verdict.of_job(Run(scenario=scenario("videodb/lecture.mp4"))) == ["it was never sent"]


def test_a_job_that_did_not_end_differs_and_tells_how_it_stands() -> None:
    each = scenario("apivideo/lecture.mp4")

    assert verdict.of_job(Run(scenario=each, job=open_view(each))) == [
        "it was still running when the time was up: upload running, encoding waiting"
    ]


def test_an_unexpected_failure_is_told_with_its_step_and_code() -> None:
    run = Run(scenario=scenario("videodb/early.mp4"), job=job_view(scenario("videodb/private.mp4")))

    assert verdict.of_job(run) == [
        "the job: failed, where succeeded was expected",
        "its steps: failed/waiting/waiting/waiting, where succeeded/succeeded/succeeded/succeeded was expected",
        "its error: download_failed, where None was expected",
    ]


def test_a_job_that_should_have_failed_in_another_way_differs_in_its_code() -> None:
    run = ended_run(scenario("apsaravideo/private.mp4"))
    run.scenario = replace(run.scenario, error="upload_failed")

    assert verdict.of_job(run) == ["its error: download_failed, where upload_failed was expected"]


def test_too_few_attempts_are_told() -> None:
    run = ended_run(scenario("apsaravideo/throttled.mp4"))
    run.scenario = scenario("apsaravideo/flaky.mp4")

    assert verdict.of_job(run) == ["attempts at upload_by_url: 2, where 3 was expected"]


def test_a_job_that_was_to_fail_first_and_did_not_differs() -> None:
    run = ended_run(scenario("videodb/outage.mp4"))
    run.failed_first = "nothing"

    assert verdict.of_job(run) == ["its first error: nothing, where platform_unavailable was expected"]


def test_a_job_is_over_only_after_its_retry_by_hand() -> None:
    each = scenario("videodb/outage.mp4")
    run = Run(scenario=each, job=job_view(each, status=JobStatus.FAILED))
    assert (run.must_be_retried, run.over) == (True, False)

    run.failed_first = "platform_unavailable"
    assert (run.must_be_retried, run.over) == (False, True)


def test_a_job_whose_failure_the_platform_takes_back_is_over_when_it_has_succeeded() -> None:
    each = scenario("apsaravideo/fail-then-success.mp4")

    assert not Run(scenario=each, job=job_view(each, status=JobStatus.FAILED)).over
    assert Run(scenario=each, job=job_view(each)).over


@pytest.mark.parametrize(
    ("progress", "result", "canceled"),
    [(0.8, {"playable": True}, True), (0.6, {"playable": True}, False), (0.8, {"playable": False}, False)],
)
def test_a_job_is_canceled_when_it_is_as_far_as_it_will_come_and_playable(
    progress: float, result: Mapping[str, Any], canceled: bool
) -> None:
    each = scenario("apivideo/stuck-rendition.mp4")
    job = job_view(each, status=JobStatus.RUNNING, ended_at=None)
    steps = [*job.steps[:-1], job.steps[-1].model_copy(update={"progress": progress, "result": result})]
    run = Run(scenario=each, job=job.model_copy(update={"steps": steps}))

    assert run.must_be_canceled is canceled


def test_a_canceled_job_that_had_nothing_to_play_differs() -> None:
    run = ended_run(scenario("apivideo/stuck-rendition.mp4"))
    assert run.job
    run.job.steps[-1] = run.job.steps[-1].model_copy(update={"progress": 0.2, "result": {}})

    assert verdict.of_job(run) == [
        "its progress: 0.2, where 0.8 was expected",
        "playable: False, where True was expected",
    ]


def test_a_step_that_was_told_by_a_callback_although_none_could_come_differs() -> None:
    each = scenario("videodb/silent.mp4")
    first, *others = events_of(each)
    events = [first.model_copy(update={"via": "callback"}), *others]

    assert verdict.of_evidence(ended_run(each), seen(each, events=events)) == [
        "the end of upload was told by: callback, where check was expected",
        "archived callbacks: 1, where 0 was expected",
    ]


def test_a_step_of_which_nothing_is_archived_differs() -> None:
    each = scenario("videodb/scene-exists.mp4")

    assert verdict.of_evidence(ended_run(each), seen(each, events=[])) == [
        "the end of index_scenes was told by: nothing, where submit was expected"
    ]


def test_a_callback_that_is_missing_in_the_archive_is_told() -> None:
    each = scenario("apivideo/transcribed.mp4")
    ends = [one for one in events_of(each) if one.via != "callback"]
    told = [event("told", "callback", outcome=outcome) for outcome in ("adopted", "recorded", "stale", "recorded")]

    assert verdict.of_evidence(ended_run(each), seen(each, events=[*ends, *told])) == [
        "archived callbacks that no step waits for: 0, where 1 was expected",
        "archived callbacks: 4, where 5 was expected",
    ]


@pytest.mark.parametrize("key", ["videodb/lecture.mp4", "twelvelabs/lecture.mp4", "apsaravideo/lecture.mp4"])
def test_options_that_did_not_reach_the_platform_are_told(key: str) -> None:
    each = scenario(key)
    *others, last = seen(each).asked
    changed = Asked(path="/", fields=dict.fromkeys(last.fields, "another") | {"url": each.url})
    of_another = replace(last, fields={**last.fields, "url": "https://media.example.com/another.mp4"})

    [difference] = verdict.of_evidence(ended_run(each), seen(each, asked=[*others, changed, of_another]))

    assert difference.startswith("the platform was not asked with {'")


def test_a_request_is_known_by_what_was_made_before_or_by_its_source_however_it_is_encoded() -> None:
    each = replace(scenario("videodb/lecture.mp4"), asked=({"prompt": "Why?"},))
    indexed = Asked(path="/video/m-1/index/scene", fields={"prompt": "Why?"})
    assert verdict.of_evidence(ended_run(each), seen(each, asked=[indexed])) == []

    each = scenario("apsaravideo/lecture.mp4")
    encoded = Asked(path="/", fields={"UploadURLs": "https%3A%2F%2Fmedia.example.com%2Flecture.mp4", **each.asked[0]})
    assert verdict.of_evidence(ended_run(each), seen(each, asked=[encoded])) == []


@pytest.mark.parametrize("key", ["videodb/twice.mp4", "apivideo/twice.mp4"])
def test_a_copy_that_was_not_sent_is_told_and_others_callbacks_do_not_count(key: str) -> None:
    each = scenario(key)
    deliveries = [*deliveries_of(each)[:-1], delivery("of another job")]

    assert verdict.of_evidence(ended_run(each), seen(each, deliveries=deliveries)) == [
        "one of its callbacks was sent: 1, where at least 2 was expected"
    ]


def test_a_callback_that_was_not_sent_at_all_is_told() -> None:
    each = scenario("apivideo/twice.mp4")

    assert verdict.of_evidence(ended_run(each), seen(each, deliveries=deliveries_of(each)[:-2])) == [
        "different callbacks that were sent: 4, where 5 was expected"
    ]


def test_a_copy_that_was_not_answered_200_is_told() -> None:
    each = scenario("twelvelabs/twice.mp4")
    deliveries = [*deliveries_of(each), replace(deliveries_of(each)[0], status=503)]

    assert verdict.of_evidence(ended_run(each), seen(each, deliveries=deliveries)) == [
        "one of its callbacks was answered: 503, where 200 was expected"
    ]


@pytest.mark.parametrize(
    ("key", "found", "expected"),
    [("videodb/garbled.mp4", 3, 4), ("apsaravideo/garbled.mp4", 4, 3), ("apivideo/lecture.mp4", 1, 0)],
)
def test_dead_letters_are_told_where_there_are_too_few_or_too_many(key: str, found: int, expected: int) -> None:
    each = scenario(key)

    assert verdict.of_evidence(ended_run(each), seen(each, unreadable=found)) == [
        f"its callbacks among the dead letters: {found}, where {expected} was expected"
    ]


@pytest.mark.parametrize(
    ("key", "found"), [("twelvelabs/lost.mp4", 2), ("apivideo/lost.mp4", 2), ("apivideo/refused.mp4", 1)]
)
def test_what_was_made_twice_is_told(key: str, found: int) -> None:
    each = scenario(key)

    assert verdict.of_evidence(ended_run(each), seen(each, made=found)) == [
        f"made of its source: {found}, where {each.made} was expected"
    ]


# --- Evidence ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with SimulatedPlatforms(pace=0) as platforms:
        yield Elsewhere(platforms)


class FakeQueues:
    """Dead letters that are handed out once; each steps queue has as many as `left` says."""

    def __init__(self, letters: Sequence[tuple[str, str | None]], *, left: int = 0) -> None:
        self.outputs = {"DeliveriesDeadLettersQueue": "deliveries", "ApiVideoStepsDeadLettersQueue": "steps"}
        self._letters = [
            {"Body": json.dumps({"callback": callback, "event": {"redelivery": {"job_id": job_id}}})}
            for callback, job_id in letters
        ]
        self._left = left

    def client(self, _service: str) -> "FakeQueues":
        return self

    def receive_message(self, **_: Any) -> dict[str, Any]:
        letters, self._letters = self._letters[:10], self._letters[10:]
        return {"Messages": letters}

    def get_queue_attributes(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803 (boto3's name)
        return {"Attributes": {"ApproximateNumberOfMessages": self._left if QueueUrl == "steps" else 99}}


class FakeEvents:
    def events(self, _job_id: str) -> list[EventView]:
        return []


def evidence(queues: FakeQueues, elsewhere: Elsewhere) -> Evidence:
    found = Evidence(queues, elsewhere, FakeEvents(), Receiver())  # type: ignore[arg-type]
    found.read_dead_letters()
    return found


def test_an_end_that_was_not_told_or_told_otherwise_is_told() -> None:
    each = scenario("videodb/lecture.mp4")
    [end] = told_of(each)

    assert verdict.of_evidence(ended_run(each), seen(each, told=[])) == [
        "the ends that were told: [], where ['job.succeeded'] was expected"
    ]
    assert verdict.of_evidence(ended_run(each), seen(each, told=[replace(end, kind="job.failed")])) == [
        "the ends that were told: ['job.failed'], where ['job.succeeded'] was expected"
    ]


def test_an_end_that_was_told_with_two_ids_is_told() -> None:
    each = scenario("videodb/outage.mp4")
    failed, succeeded = told_of(each)

    differences = verdict.of_evidence(
        ended_run(each), seen(each, told=[failed, succeeded, replace(succeeded, event_id="evt_other")])
    )

    assert differences == [
        "the ends that were told: ['job.failed', 'job.succeeded', 'job.succeeded'], "
        "where ['job.failed', 'job.succeeded'] was expected",
        f"ids of the end of {succeeded.moment}: 2, where 1 was expected",
    ]


def test_a_failure_that_was_taken_back_may_have_been_told() -> None:
    each = next(each for each in SCENARIOS if each.recovers)
    [end] = told_of(each)
    failed = replace(end, event_id="evt_0", kind="job.failed", moment="2026-01-01T11:00:00.000Z")

    assert verdict.of_evidence(ended_run(each), seen(each, told=[end])) == []
    assert verdict.of_evidence(ended_run(each), seen(each, told=[end, failed])) == []


@pytest.mark.parametrize("width", [80, 100])
def test_the_report_says_how_many_ends_were_told(width: int) -> None:
    shown = " ".join(line.strip() for line in printed(report(), width))

    assert "✓ 58 ends told, verified with Standard Webhooks' own library; 5 came again, with the same id" in shown


def test_dead_letters_are_counted_by_job_or_by_the_platform_that_signs(elsewhere: Elsewhere) -> None:
    ours, theirs = ended_run(scenario("videodb/garbled.mp4")), ended_run(scenario("apsaravideo/garbled.mp4"))
    others = ended_run(scenario("apsaravideo/lecture.mp4"))
    assert ours.job
    signed = ("apsaravideo/upload_by_url_complete", None)

    found = evidence(FakeQueues([("videodb/upload", ours.job.job_id), *[signed] * 11]), elsewhere)

    assert [found.of(run).unreadable for run in (ours, theirs, others)] == [1, 11, 0]
    assert found.of_dead_letters([ours, theirs, others]) == []


def test_dead_letters_that_nobody_expects_are_told(elsewhere: Elsewhere) -> None:
    found = evidence(FakeQueues([("apivideo/encoding_quality_completed", None), ("videodb/upload", "x")]), elsewhere)

    assert found.of_dead_letters([ended_run(each) for each in SCENARIOS]) == [
        "other callbacks among the dead letters: 2, where 0 was expected"
    ]


def test_dead_letters_of_steps_are_told(elsewhere: Elsewhere) -> None:
    assert evidence(FakeQueues([], left=2), elsewhere).of_dead_letters([]) == [
        "in ApiVideoStepsDeadLettersQueue: 2, where 0 was expected"
    ]


class FakeJobs(FakeEvents):
    """Platforms' jobs: those of the demo, and others."""

    def __init__(self, others: Sequence[JobView]) -> None:
        self._jobs = {job.job_id: job for job in others}

    def job_ids(self, provider: str) -> set[str]:
        ours = {each.key for each in SCENARIOS if each.provider == provider}
        return ours | {job.job_id for job in self._jobs.values() if job.provider == provider}

    def job(self, job_id: str) -> JobView:
        return self._jobs[job_id]


def adopted(provider: str, job_id: str, **changes: Any) -> JobView:
    each = next(each for each in SCENARIOS if each.provider == provider and not each.fails)
    return job_view(each, job_id=job_id, adopted=True, source=None, **changes)


def others_found(elsewhere: Elsewhere, others: Sequence[JobView]) -> dict[tuple[str, Row], Sequence[str]]:
    last_step = {platform.provider: platform.scenarios[0].plan[-1] for platform in PLATFORMS}
    begun = {provider: f"{last_step[provider]}-1" for provider in SIGNING}
    found = Evidence(FakeQueues([]), elsewhere, FakeJobs(others), Receiver())  # type: ignore[arg-type]
    findings = found.of_other_jobs([ended_run(each) for each in SCENARIOS], begun)
    return {(finding.provider, finding.row): finding.differences for finding in findings}


def test_one_other_job_a_platform_that_has_adopted_what_was_begun_is_as_it_should_be(elsewhere: Elsewhere) -> None:
    found = others_found(elsewhere, [adopted(provider, f"other-{provider}") for provider in PROVIDERS])

    assert set(found.values()) == {()}
    assert {row for _, row in found} == {Row.ADOPTED, Row.ALONE}


def test_a_job_too_many_and_one_that_was_not_adopted_are_told(elsewhere: Elsewhere) -> None:
    others = [adopted("videodb", "a"), adopted("twelvelabs", "b"), adopted("twelvelabs", "c")]
    found = others_found(elsewhere, [*others, adopted("apivideo", "d", status=JobStatus.RUNNING)])

    assert found["videodb", Row.ALONE] == ()
    assert found["twelvelabs", Row.ALONE] == ("jobs beside the demo's own: 2, where 1 was expected",)
    assert found["apivideo", Row.ALONE] == ()
    assert found["apivideo", Row.ADOPTED][0].startswith("the job of other work: [('encoding-1', 'running', True)]")
    assert found["apsaravideo", Row.ADOPTED][0].startswith("the job of other work: [], where ")


# --- Sending and looking after -------------------------------------------------------------------------------------


class FakeApi:
    """Jobs that end when they are looked at; that of `outage.mp4` succeeds only after a retry."""

    def __init__(self) -> None:
        self.created: list[tuple[str, Mapping[str, Any]]] = []
        self.retried: list[str] = []
        self.canceled: list[str] = []

    def create(self, request: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        self.created.append((idempotency_key, request))
        file = request["source"].rsplit("/", 1)[-1].partition("?")[0]
        return open_view(scenario(f"{request['provider']}/{file}"))

    def job(self, job_id: str) -> JobView:
        each = scenario(job_id)
        if each.fails_first and job_id not in self.retried:
            return job_view(replace(each, fails=each.plan[0], error=each.fails_first))
        if each.stays_at is not None and job_id not in self.canceled:
            return job_view(each, status=JobStatus.RUNNING, ended_at=None)
        return job_view(each)

    def ended(self, batch: str) -> set[str]:
        """The lists are behind: they know of none."""
        return set()

    def retry(self, job_id: str) -> JobView:
        self.retried.append(job_id)
        return open_view(scenario(job_id))

    def cancel(self, job_id: str) -> JobView:
        self.canceled.append(job_id)
        return self.job(job_id)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "POLL_SECONDS", 0)


@pytest.mark.usefixtures("unhurried")
def test_every_job_is_sent_once_and_followed_to_its_end() -> None:
    api, runs = FakeApi(), [Run(scenario=each) for each in SCENARIOS]

    demonstration._follow(api, runs, lambda: None, notify_url="http://127.0.0.1/notices")  # type: ignore[arg-type]

    assert [verdict.of_job(run) for run in runs] == [[]] * len(runs)
    assert {request["notify_url"] for _, request in api.created} == {"http://127.0.0.1/notices"}
    assert len({key for key, _ in api.created}) == len(api.created) == len(SCENARIOS)
    assert (api.retried, api.canceled) == (["videodb/outage.mp4"], ["apivideo/stuck-rendition.mp4"])


@pytest.mark.usefixtures("unhurried")
def test_nothing_is_waited_for_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "LIMIT_SECONDS", 0)
    run = Run(scenario=SCENARIOS[0])

    demonstration._follow(FakeApi(), [run], lambda: None, notify_url="")  # type: ignore[arg-type]

    assert verdict.of_job(run) == ["it was never sent"]


def test_the_platforms_take_turns() -> None:
    turns = demonstration.in_turns([Run(scenario=each) for each in SCENARIOS])

    assert [run.scenario.provider for run in turns[:8]] == [*PROVIDERS, *PROVIDERS]
    assert len(turns) == len(SCENARIOS)


def test_those_that_have_ended_are_looked_at_and_a_few_others_by_turns() -> None:
    sent = [Run(scenario=each, job=open_view(each)) for each in SCENARIOS[:20]]
    line = deque(sent)

    first = demonstration._worth_a_look(line, {sent[15].scenario.key})
    second = demonstration._worth_a_look(line, set())

    assert first == [sent[15], *sent[:8]]
    assert second == sent[8:16]


# --- Strangers -----------------------------------------------------------------------------------------------------


def test_a_callback_without_an_answer_is_told_without_its_token() -> None:
    url = f"http://127.0.0.1:{aws.free_port()}/callbacks/videodb/upload?token=secret"

    with pytest.raises(ApiError) as caught:
        strangers.send(Letter(url=url, body=b"{}"))

    assert "secret" not in str(caught.value)


URL = "https://api.example.com/callbacks/signed"


def proven(provider: Provider, letter: Letter) -> None:
    """Raises RefusedError if the layer does not accept the letter's signature, with the local stack's secrets."""
    secrets, header = SAMPLE_SECRETS[provider], letter.headers.get
    keys, now, tolerance = list(secrets.values()), time.time(), 300
    match provider:
        case "twelvelabs":
            twelvelabs_signature.check(header("tl-signature"), letter.body, keys=keys, now=now, tolerance=tolerance)
        case "apivideo":
            webhook, signature = header("x-api-video-webhookid"), header("x-api-video-signature")
            apivideo_signature.check(webhook, signature, letter.body, secrets_of=secrets)
        case "apsaravideo":
            moment, signature = header("x-vod-timestamp"), header("x-vod-signature")
            vod_signature.check(moment, signature, url=letter.url, keys=keys, now=now, tolerance=tolerance)


@pytest.mark.parametrize("provider", SIGNING)
def test_every_forgery_is_one_in_a_way_of_its_own(provider: Provider) -> None:
    reasons = []
    for letter in strangers.forgeries(provider, URL):
        with pytest.raises(RefusedError) as refused:
            proven(provider, letter)
        reasons.append(f"{refused.value} {letter.body!r} {letter.headers}")

    assert len(set(reasons)) == len(reasons) >= 3


@pytest.mark.parametrize("provider", SIGNING)
def test_what_nobody_waits_for_is_well_signed(provider: Provider) -> None:
    proven(provider, strangers.unneeded(provider, URL))


@pytest.mark.parametrize(
    ("decide", "provider", "read"),
    [
        (task.decide, "twelvelabs", twelvelabs_payloads.Event.model_validate_json),
        (encoding.decide, "apivideo", apivideo_payloads.Event.model_validate_json),
        (upload_by_url.decide, "apsaravideo", vod_payloads.Event.model_validate_json),
    ],
)
def test_what_is_forged_would_be_news_and_what_is_unneeded_is_not(decide: Any, provider: Provider, read: Any) -> None:
    assert isinstance(decide(read(strangers.FORGED[provider])), News)
    assert isinstance(decide(read(strangers.UNNEEDED[provider])), Ignored)


# --- Work begun elsewhere ------------------------------------------------------------------------------------------


def test_work_is_begun_with_the_platforms_own_apis_and_is_what_they_made(elsewhere: Elsewhere) -> None:
    begun = strangers.begin_elsewhere(elsewhere)

    assert set(begun) == set(SIGNING)
    assert all(begun.values())
    for provider in SIGNING:
        assert strangers.ELSEWHERE_URL in [asked.source for asked in elsewhere.asked(provider)]
    assert elsewhere.made("apsaravideo", strangers.ELSEWHERE_URL) == 1


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
    """Two that have not begun, one that runs, one that is tried again, and the others over."""
    runs = [ended_run(each) for each in SCENARIOS]
    runs[-2:] = [Run(scenario=run.scenario) for run in runs[-2:]]
    runs[0].job = open_view(runs[0].scenario, progress=0.5)
    runs[3].job = open_view(runs[3].scenario, step=StepStatus.SUBMITTING, attempt=3)
    return runs


def board_lines(width: int, height: int) -> list[str]:
    return drawn(width, height, Board(all_runs()))


@pytest.mark.parametrize(("width", "height"), [(80, 8), (80, 24), (100, 40), (140, 70)])
def test_the_board_stays_within_the_terminal(width: int, height: int) -> None:
    shown = board_lines(width, height)

    assert max(map(len, shown)) <= width
    assert len(shown) < height


def test_a_high_board_shows_every_job_with_its_platform_and_what_it_shows() -> None:
    shown = board_lines(140, len(SCENARIOS) + 6)
    rows = [(platform_of(each).name, each.name, each.shows) for each in SCENARIOS]

    for line, (platform, name, shows) in zip(shown[1:], rows, strict=False):
        assert line[2:].startswith(f"{platform:15} {name} ")
        assert line.endswith(f" {shows}")


def test_a_low_terminal_shows_the_jobs_that_run() -> None:
    shown = board_lines(80, 24)

    [running] = [line for line in shown if " upload running " in line]
    [again] = [line for line in shown if " upload submitting " in line]
    assert "VideoDB         lecture                  upload running 50%" in running
    assert "VideoDB         scene-exists             upload submitting x3" in again
    assert len([line for line in shown if line.endswith(" 3.2 s")]) == 24 - 5 - 2


def test_a_job_that_is_over_shows_a_mark_for_each_step() -> None:
    shown = drawn(80, 24, Board([ended_run(scenario("videodb/flaky.mp4")), ended_run(scenario("videodb/podcast.mp3"))]))

    assert shown[1].startswith("✓ VideoDB         flaky                    ✓x3 ✓ ✓ ✓ ")
    assert shown[2].startswith("✓ VideoDB         podcast.mp3              ✓ - - - ")


def test_a_job_between_two_steps_shows_the_one_to_come() -> None:
    each = scenario("apivideo/lecture.mp4")
    job = job_view(each, status=JobStatus.RUNNING, ended_at=None)
    steps = [job.steps[0], job.steps[1].model_copy(update={"status": StepStatus.WAITING})]

    shown = drawn(80, 24, Board([Run(scenario=each, job=job.model_copy(update={"steps": steps}))]))

    assert "lecture                  encoding waiting" in shown[1]


def test_the_board_counts_the_jobs_of_each_platform_that_have_ended() -> None:
    *_, platforms, bar = board_lines(80, 24)
    sizes = [len(platform.scenarios) for platform in PLATFORMS]

    assert platforms.split("   ") == [
        f"VideoDB {sizes[0] - 2}/{sizes[0]}",
        f"TwelveLabs {sizes[1]}/{sizes[1]}",
        f"api.video {sizes[2]}/{sizes[2]}",
        f"ApsaraVideo VOD {sizes[3] - 2}/{sizes[3]}",
    ]
    assert bar.endswith(f"{len(SCENARIOS) - 4} of {len(SCENARIOS)} jobs have ended, 0 s")


def test_jobs_stay_in_their_order_where_there_is_no_room_for_all() -> None:
    runs = all_runs()
    runs[1].job = job_view(runs[1].scenario, ended_at="2026-01-01T12:00:09.000Z")
    over = [run for run in runs if run.over]

    assert fitting(runs, 3) == [runs[0], runs[1], runs[3]]
    assert fitting(runs, 2 + len(over)) == runs[:-2]
    assert fitting(runs, 100) == runs


def test_a_job_that_ended_otherwise_is_marked_at_once() -> None:
    run = Run(scenario=scenario("videodb/early.mp4"), job=job_view(scenario("videodb/private.mp4")))

    assert drawn(80, 24, Board([run]))[1].startswith("✗")


def test_every_change_worth_a_line_is_told_once() -> None:
    each = scenario("videodb/flaky.mp4")
    told: dict[tuple[str, str], lines.Standing] = {}
    over: set[str] = set()
    run = Run(scenario=each)
    views = [None, open_view(each), open_view(each, step=StepStatus.QUEUED, error=ERROR), job_view(each)]

    news = []
    for run.job in views:
        news += [*lines.news(run, told, over), *lines.news(run, told, over)]

    assert news == [
        "upload will be tried again: Said the platform",
        "upload succeeded (attempt 3)",
        "index_spoken_words succeeded",
        "index_scenes succeeded",
        "extract_scenes succeeded",
        "succeeded after 3.2 s",
    ]


def test_jobs_of_the_same_file_on_two_platforms_are_told_apart() -> None:
    out = io.StringIO()
    runs = [ended_run(scenario("twelvelabs/silent.mp4")), ended_run(scenario("apsaravideo/silent.mp4"))]

    with Screen(Console(file=out, color_system=None, width=80), moves=False).board(runs) as show:
        show()

    assert [line[10:].strip() for line in out.getvalue().splitlines() if "after" in line] == [
        "TwelveLabs       silent                    succeeded after 3.2 s",
        "ApsaraVideo VOD  silent                    succeeded after 3.2 s",
    ]


def test_a_line_says_what_is_not_as_it_should_be() -> None:
    run = Run(scenario=scenario("videodb/early.mp4"), job=job_view(scenario("videodb/private.mp4")))

    *_, last = lines.news(run, {}, set())

    assert last == "failed after 3.2 s, which is not as it should be"


def report(
    wrong: Mapping[str, Sequence[str]] = {}, *, others: Sequence[str] = (), differences: Sequence[str] = ()
) -> Report:
    """`wrong`: the differences of scenarios; `others`: those of what TwelveLabs was told in forged callbacks."""
    results = [
        Result(run=ended_run(each), events=seen(each).events, differences=wrong.get(each.key, ())) for each in SCENARIOS
    ]
    findings = [
        Finding(provider="videodb", row=Row.FORGED, count=1, differences=()),
        Finding(provider="videodb", row=Row.FORGED, count=1, differences=()),
        Finding(provider="twelvelabs", row=Row.FORGED, count=4, differences=others),
    ]
    notices = Notices(told=58, told_again=5, refused=0)
    return Report(results=results, others=findings, notices=notices, differences=differences, seconds=41.4)


def printed(told: Report, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None, highlight=False)
    paper = Screen(console, moves=False)
    paper.report(told)
    paper.conclude(told, logs="Logs: .local/logs/demo-*.log")
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_report_has_a_line_for_each_job_below_its_platform_at_every_width(width: int) -> None:
    shown = printed(report(), width)

    assert max(map(len, shown)) <= min(width, 100)
    for platform in PLATFORMS:
        [heading] = [place for place, line in enumerate(shown) if line.startswith(f"{platform.name}: ")][:1]
        rows = shown[heading + 1 : heading + 1 + len(platform.scenarios)]
        for line, each in zip(rows, platform.scenarios, strict=True):
            assert line.startswith(f"✓ {each.name} ")
            assert line.endswith(f" {each.shows}")


@pytest.mark.parametrize(("width", "marks"), [(80, "✓✓✓✓ "), (100, "✓x3 ✓ ✓ ✓ ")])
def test_the_report_shows_each_step_of_a_job(width: int, marks: str) -> None:
    line = next(line for line in printed(report(), width) if line.startswith("✓ flaky "))

    assert line.startswith(f"✓ flaky                    {marks}")


def test_the_report_counts_callbacks_and_the_ends_that_were_read() -> None:
    shown = printed(report(), 80)

    assert any(line.split()[:5] == ["✓", "transcribed", "✓✓", "5", "1"] for line in shown)
    events = [
        event("x/y", "callback"),
        event("x/y", "callback", outcome="stale"),
        event("x/z", "check", outcome="stale"),
    ]
    result = Result(run=ended_run(scenario("videodb/poster.jpg")), events=events, differences=())
    assert (result.callbacks, result.checks) == (1, 0)


@pytest.mark.parametrize("width", [80, 100])
def test_the_report_gives_cause_and_action_of_every_error_once(width: int) -> None:
    shown = printed(report(), width)
    errors = {(each.provider, each.error) for each in SCENARIOS if each.error}

    assert sum(line == "    A cause. An action." for line in shown) == len(errors)
    assert "TwelveLabs usage_limit_exceeded: Said the platform" in shown


@pytest.mark.parametrize("width", [80, 100])
def test_the_report_ends_with_the_platforms_side_by_side(width: int) -> None:
    shown = printed(report(), width)
    [start] = [place for place, line in enumerate(shown) if line == "Side by side"]
    names, *rows = shown[start + 1 : start + 2 + len(Theme) + len(Row)]

    assert names.split("  ")[-4:] == ["VideoDB", "TwelveLabs", "api.video", "ApsaraVideo VOD"]
    assert [row[:27].strip() for row in rows] == [row.value for row in (*Theme, *Row)]
    in_order = [[sum(each.theme is theme for each in p.scenarios) for p in PLATFORMS] for theme in Theme]
    assert [list(map(int, row[27:].replace("✓", "").split())) for row in rows[: len(Theme)]] == in_order
    assert rows[len(Theme)].split()[-6:] == ["✓", "2", "✓", "4", "-", "-"]


def test_a_good_report_ends_with_the_count_and_where_to_go_next() -> None:
    told = report()
    *_, count, following = printed(told, 100)

    assert told.is_good
    assert count == f"{len(SCENARIOS)} of {len(SCENARIOS)} jobs ended as they should, in 41 s."
    assert "make local" in following
    assert "README.md" in following


def test_a_bad_report_ends_with_what_differs_and_where_the_logs_are() -> None:
    told = report({"apivideo/silent.mp4": ["it was never sent"]})
    shown = printed(told, 100)

    assert not told.is_good
    assert "api.video silent  it was never sent" in shown
    assert len([line for line in shown if line.startswith("✗ silent ")]) == 1
    [row] = [line for line in shown if line.startswith(Theme.LOST)]
    assert row.split()[3:] == ["✓", "2", "✓", "1", "✗", "0", "of", "1", "✓", "2"]
    assert shown[-2:] == [
        f"{len(SCENARIOS) - 1} of {len(SCENARIOS)} jobs ended as they should, in 41 s.",
        "Logs: .local/logs/demo-*.log",
    ]


@pytest.mark.parametrize(
    ("told", "difference"),
    [
        (report(others=["a forged callback was answered: 200"]), "TwelveLabs  a forged callback was answered: 200"),
        (report(differences=["in ADeadLettersQueue: 1"]), "in ADeadLettersQueue: 1"),
    ],
)
def test_a_report_is_bad_if_something_else_differs(told: Report, difference: str) -> None:
    shown = printed(told, 100)

    assert not told.is_good
    assert difference in [line.strip() for line in shown]
    assert "but not everything else is as it should be" in shown[-2]


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
    with plain.board(all_runs()) as show:
        show()
    plain.report(report())
    plain.conclude(report(), logs="")

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
def interruptible(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("sys.argv", ["demo"])
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
@pytest.mark.parametrize(("end", "code"), [(report(), 0), (report({"videodb/early.mp4": ["it was never sent"]}), 1)])
def test_the_exit_code_says_whether_all_is_well(monkeypatch: pytest.MonkeyPatch, end: Report, code: int) -> None:
    assert ends_with(monkeypatch, end) == code


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("error", [StackError("no stack"), ApiError("no stack")])
def test_a_demo_that_cannot_go_on_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert ends_with(monkeypatch, error) == 1
    assert "no stack" in capsys.readouterr().out


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_it_with_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(monkeypatch, KeyboardInterrupt()) == 130
    assert "Stopped" in capsys.readouterr().out
