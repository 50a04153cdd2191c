"""The demo expects what the simulated VideoDB does, says precisely what differs, and can be read on any terminal.

Nothing here needs the stack, nor any time: the demo itself is what `make demo` runs.
"""

import io
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
from rich.console import Console
from video_jobs.api.views import EventView, JobView
from video_jobs.jobs import JobError, JobStatus, StepStatus
from video_jobs.platforms.videodb import errors
from video_jobs.platforms.videodb.plan import STEPS
from video_jobs.platforms.videodb.request import VideoDbJobRequest

from local import aws
from local.commands import StackError
from local.demo import __main__ as program
from local.demo import demonstration, lines, strangers, verdict
from local.demo.jobs_api import ApiError
from local.demo.report import Report
from local.demo.scenarios import CHAPTERS, SCENARIOS, Scenario
from local.demo.screen import Screen, can_move
from local.demo.terminal import Board, fitting
from local.demo.verdict import Finding, Result, Run, Seen
from local.platforms.videodb import BEHAVIOURS, Delivery, Knobs, ReceivedRequest
from local.platforms.videodb.behaviour import Source, read_source
from local.platforms.videodb.payloads import Kind

ORDINARY = {"lecture", "podcast", "poster", "outage"}  # file names that mean nothing to the simulated VideoDB
NOON = "2026-01-01T12:00:00.000Z"
LATER = "2026-01-01T12:00:03.210Z"
ERROR = JobError(code="x", message="Said VideoDB", cause="A cause", action="An action", retryable=False)
RESULTS = {
    "upload": {"id": "m-1"},
    "index_spoken_words": {"id": "m-1"},
    "index_scenes": {"scene_index_id": "index-1"},
    "extract_scenes": {"scene_collection_id": "collection-1"},
}


def scenario(file: str) -> Scenario:
    [found] = [each for each in SCENARIOS if each.file == file]
    return found


def source_of(each: Scenario) -> Source:
    return read_source(each.url, Knobs())


def job_view(each: Scenario, **changes: Any) -> JobView:
    """The job that the scenario asks for, ended as it must; `changes` are the view's own fields."""
    names = each.request.get("steps", STEPS)[: len(each.steps)]
    steps = [
        {
            "name": name,
            "status": status,
            "attempt": each.attempts.get(name, int(status in (StepStatus.SUCCEEDED, StepStatus.FAILED))),
            "checks": 0,
            "result": RESULTS[name] if status == StepStatus.SUCCEEDED else None,
            "error": ERROR if status == StepStatus.FAILED else None,
        }
        for name, status in zip(names, each.steps, strict=True)
    ]
    view = {
        "job_id": each.file,
        "provider": "videodb",
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
    }
    return JobView.model_validate(view | changes)


def open_view(each: Scenario, *, step: StepStatus = StepStatus.RUNNING, attempt: int = 1, **of_step: Any) -> JobView:
    """The job at its upload."""
    ended = job_view(each, status=JobStatus.RUNNING, ended_at=None, error=None, progress=0.0)
    upload = {"status": step, "attempt": attempt, "result": None, "error": None} | of_step
    waiting = {"status": StepStatus.WAITING, "attempt": 0, "result": None, "error": None}
    first, *others = ended.steps
    steps = [first.model_copy(update=upload), *(other.model_copy(update=waiting) for other in others)]
    return ended.model_copy(update={"steps": steps})


def ended_run(each: Scenario, **changes: Any) -> Run:
    return Run(scenario=each, job=job_view(each, **changes), failed_first=each.fails_first)


def event(step: str, via: str, *, outcome: str = "recorded") -> EventView:
    return EventView(
        event_id=f"{step}-{via}",
        callback=f"videodb/{step}",
        attempt=1,
        via=via,
        outcome=outcome,
        body="{}",
        headers={},
        received_at=NOON,
    )


def delivery(step: str, made: str, *, status: int | None = 200) -> Delivery:
    url = f"http://127.0.0.1/callbacks/videodb/{step.replace('_', '-')}"
    return Delivery(url=url, body=f'{{"id": "{made}"}}'.encode(), status=status, attempt=1)


def request(path: str, **body: Any) -> ReceivedRequest:
    return ReceivedRequest(method="POST", path=path, body=body, at=datetime.now(UTC))


def requests_with_options(each: Scenario) -> list[ReceivedRequest]:
    return [
        request("/collection/default/upload", url=each.url, **each.asked.get("upload", {})),
        request("/video/m-1/index", **each.asked.get("index_spoken_words", {})),
        request("/video/m-1/index/scene", **each.asked.get("index_scenes", {})),
    ]


def seen(each: Scenario, **changes: Any) -> Seen:
    """What must be seen of the scenario's job."""
    events = [event(step, each.told.get(step, "callback")) for step in STEPS[: len(each.steps)]]
    made = [(step, next(iter(RESULTS[step].values()))) for step in STEPS]
    everything: dict[str, Any] = {
        "events": events,
        "deliveries": [delivery(step, name) for step, name in made for _ in range(each.copies or 1)],
        "requests": requests_with_options(each),
        "unreadable": each.unreadable or 0,
    }
    return Seen(**(everything | changes))


# --- The scenarios agree with the simulated VideoDB ----------------------------------------------------------------


def test_every_chapter_and_scenario_is_told_apart() -> None:
    assert len({chapter.title for chapter in CHAPTERS}) == len(CHAPTERS)
    assert len({each.file for each in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.file)
def test_a_scenarios_source_means_something_to_the_simulated_videodb(each: Scenario) -> None:
    name = PurePosixPath(each.file).stem

    assert (name in BEHAVIOURS) is (name not in ORDINARY)


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.file)
def test_a_scenario_expects_the_failure_that_its_source_has(each: Scenario) -> None:
    fails = source_of(each).behaviour.fails
    codes = {step.value: errors.from_message(message).code for step, message in fails.items()}
    expected = {STEPS[place]: each.error for place, step in enumerate(each.steps) if step == StepStatus.FAILED}

    assert expected == codes


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.file)
def test_a_scenario_expects_an_attempt_for_every_fault_and_one_more(each: Scenario) -> None:
    source = source_of(each)
    faults = len(source.behaviour.faults) + source.knobs.fail

    assert each.attempts.get("upload", 1) == faults + 1


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.file)
def test_a_scenario_expects_what_its_sources_callbacks_do(each: Scenario) -> None:
    source = source_of(each)
    lost = source.knobs.drop == 1 or source.knobs.garble == 1

    assert (set(each.told.values()) == {"check"}) is lost
    assert {step for step, via in each.told.items() if via == "submit"} <= source.behaviour.brings
    assert (each.unreadable is not None) is (source.knobs.garble == 1)
    assert (each.copies or 1) == 1 + source.knobs.duplicate


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.file)
def test_only_a_videos_steps_are_not_skipped(each: Scenario) -> None:
    skipped = StepStatus.SKIPPED in each.steps or each.request.get("media_type") == "image"

    assert skipped is (source_of(each).kind is not Kind.VIDEO)


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.file)
def test_the_api_takes_a_scenarios_request_and_plans_the_expected_steps(each: Scenario) -> None:
    asked = VideoDbJobRequest.model_validate({"provider": "videodb", "source": each.url} | dict(each.request))

    assert len(asked.new_job("job-1").plan) == len(each.steps)


def test_the_job_that_is_retried_by_hand_has_used_up_its_attempts_when_it_fails() -> None:
    each = scenario("outage.mp4")

    assert source_of(each).knobs.fail == each.request["retry"]["max_attempts"]


# --- The verdict ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", SCENARIOS, ids=lambda each: each.file)
def test_a_job_that_ended_as_its_scenario_says_differs_in_nothing(each: Scenario) -> None:
    run = ended_run(each)

    assert verdict.of_job(run) == []
    assert verdict.of_evidence(run, seen(each)) == []


def test_a_job_that_was_never_sent_differs() -> None:
    assert verdict.of_job(Run(scenario=scenario("lecture.mp4"))) == ["it was never sent"]


def test_a_job_that_did_not_end_differs_and_tells_how_it_stands() -> None:
    each = scenario("poster.jpg")

    assert verdict.of_job(Run(scenario=each, job=open_view(each))) == [
        "it was still running when the time was up: upload running"
    ]


def test_an_unexpected_failure_is_told_with_its_step_and_code() -> None:
    failed = job_view(scenario("private.mp4"))
    run = Run(scenario=scenario("early.mp4"), job=failed)

    assert verdict.of_job(run) == [
        "the job: failed, where succeeded was expected",
        "its steps: failed/waiting/waiting/waiting, where succeeded/succeeded/succeeded/succeeded was expected",
        "its error: download_failed, where None was expected",
    ]


def test_a_job_that_should_have_failed_in_another_way_differs_in_its_code() -> None:
    run = ended_run(scenario("private.mp4"))
    run.scenario = replace(run.scenario, error="invalid_media_type")

    assert verdict.of_job(run) == ["its error: download_failed, where invalid_media_type was expected"]


def test_too_few_attempts_are_told() -> None:
    run = ended_run(scenario("throttled.mp4"))
    run.scenario = scenario("flaky.mp4")

    assert verdict.of_job(run) == ["attempts at upload: 2, where 3 was expected"]


def test_a_job_that_was_to_fail_first_and_did_not_differs() -> None:
    run = ended_run(scenario("outage.mp4"))
    run.failed_first = "nothing"

    assert verdict.of_job(run) == ["its first error: nothing, where platform_unavailable was expected"]


def test_a_job_is_over_only_after_its_retry_by_hand() -> None:
    each = scenario("outage.mp4")
    run = Run(scenario=each, job=job_view(each, status=JobStatus.FAILED))
    assert (run.must_be_retried, run.over) == (True, False)

    run.failed_first = "platform_unavailable"
    assert (run.must_be_retried, run.over) == (False, True)


def test_a_step_that_was_told_by_a_callback_although_none_could_come_differs() -> None:
    each = scenario("silent.mp4")
    events = [event("upload", "callback"), *(event(step, "check") for step in STEPS[1:])]

    assert verdict.of_evidence(ended_run(each), seen(each, events=events)) == [
        "the end of upload was told by: callback, where check was expected"
    ]


def test_a_step_of_which_nothing_is_archived_differs() -> None:
    each = scenario("already-indexed.mp4")

    assert verdict.of_evidence(ended_run(each), seen(each, events=[])) == [
        "the end of index_spoken_words was told by: nothing, where submit was expected"
    ]


def test_options_that_did_not_reach_videodb_are_told() -> None:
    each = scenario("lecture.mp4")
    upload, words, scenes = requests_with_options(each)
    others = request("/video/m-2/index/scene", **each.asked["index_scenes"])
    changed = replace(scenes, body={**scenes.body, "prompt": "Another one"})

    [difference] = verdict.of_evidence(ended_run(each), seen(each, requests=[upload, words, changed, others]))

    assert difference.startswith("VideoDB was not asked for index_scenes with {'extraction_type': 'time'")


def test_a_copy_that_was_not_sent_is_told_and_others_callbacks_do_not_count() -> None:
    each = scenario("twice.mp4")
    deliveries = [one for one in seen(each).deliveries if not one.url.endswith("index-scenes")]
    deliveries += [delivery("index_scenes", "index-1"), delivery("index_scenes", "index-2")]

    assert verdict.of_evidence(ended_run(each), seen(each, deliveries=deliveries)) == [
        "callbacks of index_scenes: 1, where at least 2 were expected"
    ]


def test_a_copy_that_was_not_answered_200_is_told() -> None:
    each = scenario("twice.mp4")
    deliveries = [*seen(each).deliveries, delivery("upload", "m-1", status=503)]

    assert verdict.of_evidence(ended_run(each), seen(each, deliveries=deliveries)) == [
        "a callback of upload was answered: 503, where 200 was expected"
    ]


@pytest.mark.parametrize(("file", "found", "expected"), [("garbled.mp4", 3, 4), ("lecture.mp4", 1, 0)])
def test_dead_letters_are_told_where_there_are_too_few_or_too_many(file: str, found: int, expected: int) -> None:
    each = scenario(file)

    assert verdict.of_evidence(ended_run(each), seen(each, unreadable=found)) == [
        f"its callbacks among the dead letters: {found}, where {expected} was expected"
    ]


# --- Sending and looking after -------------------------------------------------------------------------------------


class FakeApi:
    """Jobs that end when they are looked at; that of `outage.mp4` succeeds only after a retry."""

    def __init__(self) -> None:
        self.created: list[tuple[str, Mapping[str, Any]]] = []
        self.retried: list[str] = []

    def create(self, request: Mapping[str, Any], *, idempotency_key: str) -> JobView:
        self.created.append((idempotency_key, request))
        return open_view(scenario(request["source"].rsplit("/", 1)[-1].partition("?")[0]))

    def job(self, job_id: str) -> JobView:
        each = scenario(job_id)
        if each.fails_first and job_id not in self.retried:
            return job_view(replace(each, error=each.fails_first))
        return job_view(each)

    def retry(self, job_id: str) -> JobView:
        self.retried.append(job_id)
        return open_view(scenario(job_id))


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "POLL_SECONDS", 0)


@pytest.mark.usefixtures("unhurried")
def test_every_job_is_sent_once_and_followed_to_its_end() -> None:
    api, runs = FakeApi(), [Run(scenario=each) for each in SCENARIOS]

    demonstration._follow(api, runs, lambda: None)  # type: ignore[arg-type]

    assert [verdict.of_job(run) for run in runs] == [[]] * len(runs)
    assert len({key for key, _ in api.created}) == len(api.created) == len(SCENARIOS)
    assert api.retried == ["outage.mp4"]


@pytest.mark.usefixtures("unhurried")
def test_nothing_is_waited_for_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "LIMIT_SECONDS", 0)
    run = Run(scenario=SCENARIOS[0])

    demonstration._follow(FakeApi(), [run], lambda: None)  # type: ignore[arg-type]

    assert verdict.of_job(run) == ["it was never sent"]


def test_a_callback_without_an_answer_is_told_without_its_token() -> None:
    url = f"http://127.0.0.1:{aws.free_port()}/callbacks/videodb/upload?token=secret"

    with pytest.raises(ApiError) as caught:
        strangers.send(b"{}", url)

    assert "secret" not in str(caught.value)


# --- What a person sees --------------------------------------------------------------------------------------------


def drawn(width: int, height: int, thing: Any) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True, force_terminal=True, highlight=False)
    console.print(thing)
    return [line.rstrip() for line in console.export_text().splitlines()]


def all_runs() -> list[Run]:
    """Two that have not begun, one that is tried again, one that runs, and the others over."""
    runs = [ended_run(each) for each in SCENARIOS]
    runs[-2:] = [Run(scenario=run.scenario) for run in runs[-2:]]
    runs[0].job = open_view(runs[0].scenario)
    runs[3].job = open_view(runs[3].scenario, step=StepStatus.SUBMITTING, attempt=3)
    return runs


def board_lines(width: int, height: int) -> list[str]:
    return drawn(width, height, Board(all_runs()))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 40), (140, 50)])
def test_the_board_shows_every_job_within_the_terminal(width: int, height: int) -> None:
    shown = board_lines(width, height)

    assert max(map(len, shown)) <= width
    assert len(shown) < height
    assert [line[2:].split()[0] for line in shown if ".mp" in line or ".jpg" in line] == [s.file for s in SCENARIOS]


def test_the_board_tells_of_each_step_how_it_stands() -> None:
    shown = board_lines(80, 24)

    assert "lecture.mp4         running       waiting    waiting    waiting" in shown[1]
    assert shown[2].split() == ["✓", "podcast.mp3", "done", "skipped", "skipped", "skipped", "3.2", "s"]
    assert "private.mp4         submitting x3 waiting" in shown[4]
    assert shown[-1].endswith(f"14 of {len(SCENARIOS)} jobs have ended, 0 s")


def test_a_wide_board_says_what_each_job_shows() -> None:
    shown = "\n".join(board_lines(140, 50))

    assert all(each.shows in shown for each in SCENARIOS)
    assert all(chapter.title in shown for chapter in CHAPTERS)


def test_a_low_terminal_shows_the_jobs_that_run() -> None:
    shown = board_lines(80, 8)

    assert len(shown) < 8
    assert [line.split()[1] for line in shown[1:3]] == ["lecture.mp4", "private.mp4"]


def test_jobs_stay_in_their_order_where_there_is_no_room_for_all() -> None:
    runs = all_runs()

    assert fitting(runs, 4) == [runs[0], runs[3], runs[-2], runs[-1]]
    assert fitting(runs, 100) == runs


def test_a_job_that_ended_otherwise_is_marked_at_once() -> None:
    run = Run(scenario=scenario("early.mp4"), job=job_view(scenario("private.mp4")))

    assert drawn(80, 24, Board([run]))[2].startswith("✗")


def test_every_change_worth_a_line_is_told_once() -> None:
    each = scenario("flaky.mp4")
    told: dict[tuple[str, str], lines.Standing] = {}
    over: set[str] = set()
    run = Run(scenario=each)
    views = [None, open_view(each), open_view(each, step=StepStatus.QUEUED, error=ERROR), job_view(each)]

    news = []
    for run.job in views:
        news += [*lines.news(run, told, over), *lines.news(run, told, over)]

    assert news == [
        "upload will be tried again: Said VideoDB",
        "upload succeeded (attempt 3)",
        "index_spoken_words succeeded",
        "index_scenes succeeded",
        "extract_scenes succeeded",
        "succeeded after 3.2 s",
    ]


def test_a_line_says_what_is_not_as_it_should_be() -> None:
    run = Run(scenario=scenario("early.mp4"), job=job_view(scenario("private.mp4")))

    *_, last = lines.news(run, {}, set())

    assert last == "failed after 3.2 s, which is not as it should be"


def report(differences: Mapping[str, Sequence[str]] = {}, *, others: Sequence[str] = ()) -> Report:
    results = [
        Result(run=ended_run(each), events=seen(each).events, differences=differences.get(each.file, ()))
        for each in SCENARIOS
    ]
    return Report(results=results, others=[Finding(what="Forged ones were refused", differences=others)], seconds=41.4)


def printed(told: Report, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None, highlight=False)
    paper = Screen(console, moves=False)
    paper.report(told)
    paper.conclude(told, logs="Logs: .local/logs/demo-*.log")
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_report_has_a_line_for_each_job_at_every_width(width: int) -> None:
    shown = printed(report(), width)

    assert max(map(len, shown)) <= min(width, 100)
    for each in SCENARIOS:
        assert [line for line in shown if line.startswith(f"✓ {each.file} ") and line.endswith(f" {each.shows}")]


@pytest.mark.parametrize(("width", "marks"), [(80, "✓✓✗·"), (100, "✓      ✓     ✗      ·")])
def test_the_report_shows_each_step_of_a_job(width: int, marks: str) -> None:
    [line] = [line for line in printed(report(), width) if "its scenes cannot be indexed" in line]

    assert line.startswith(f"✓ no-scenes.mp4       {marks} ")


def test_the_report_counts_how_the_ends_of_steps_became_known() -> None:
    shown = printed(report(), 80)

    assert any(line.split()[:4] == ["✓", "lecture.mp4", "✓✓✓✓", "4"] for line in shown)
    events = [event("upload", "callback"), event("upload", "check", outcome="stale")]
    result = Result(run=ended_run(scenario("poster.jpg")), events=events, differences=())
    assert (result.ends_told_by("callback"), result.ends_told_by("check")) == (1, 0)


def test_the_report_gives_cause_and_action_of_every_failed_job() -> None:
    shown = printed(report(), 100)

    for each in SCENARIOS:
        if each.error:
            assert [line for line in shown if line.split("  ")[0] == each.file and "An action" in line]


def test_a_good_report_ends_with_the_count_and_where_to_go_next() -> None:
    told = report()
    *_, count, following = printed(told, 100)

    assert told.is_good
    assert count == f"{len(SCENARIOS)} of {len(SCENARIOS)} jobs ended as they should, in 41 s."
    assert "make local" in following
    assert "README.md" in following


def test_a_bad_report_ends_with_what_differs_and_where_the_logs_are() -> None:
    told = report({"silent.mp4": ["it was never sent"]})
    shown = printed(told, 100)

    assert not told.is_good
    assert "silent.mp4  it was never sent" in shown
    assert [line for line in shown if line.startswith("✗ silent.mp4 ")]
    assert shown[-2:] == [
        f"{len(SCENARIOS) - 1} of {len(SCENARIOS)} jobs ended as they should, in 41 s.",
        "Logs: .local/logs/demo-*.log",
    ]


def test_a_report_is_bad_if_something_else_differs() -> None:
    told = report(others=["a forged callback was answered: 200"])

    assert not told.is_good
    assert "but not everything else is as it should be" in printed(told, 100)[-2]


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
@pytest.mark.parametrize(("end", "code"), [(report(), 0), (report({"early.mp4": ["it was never sent"]}), 1)])
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
