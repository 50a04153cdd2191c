"""The demo from its first line to its last: brings the stack up, sends jobs through it, and judges how they ended."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from local.commands import LOGS, StackError
from local.demo import strangers, verdict
from local.demo.evidence import Evidence
from local.demo.jobs_api import ApiError, JobsApi
from local.demo.report import Report
from local.demo.scenarios import SCENARIOS
from local.demo.screen import Screen, screen
from local.demo.verdict import Result, Run
from local.platforms.videodb import SimulatedVideoDb
from local.stack import LocalStack

PACE_SECONDS = 0.4  # that VideoDB takes for a step: long enough to be seen
# few workers: each is a process to start, on a machine that has other things to do
PARAMETERS = {"CheckIntervalSeconds": 1, "VideoDbConcurrency": 3}
POLL_SECONDS = 0.3
LIMIT_SECONDS = 180.0  # for all jobs together
EVIDENCE_SECONDS = 20.0  # for what comes after a job's end: the last copy of a callback that comes twice
BATCH = "demo"
EXPLAINED = {
    "starting ministack": "ministack, which stands in for AWS",
    "sam build": "sam build (the first time, it installs the layer's packages)",
    "sam deploy": "sam deploy",
    "routes and secrets": "the API's routes, the secrets",
}


def main() -> int:
    """The exit code."""
    shown = screen()
    shown.introduce()
    try:
        with ExitStack() as exits:
            report = _demonstrate(shown, exits)
            shown.report(report)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends anyway, and nothing is to be left behind
            with shown.stages() as begin:
                begin("stopping all of it, and removing its files")
                exits.close()
    except StackError as error:
        shown.say(f"\n{error}")
        return 1
    except ApiError as error:
        shown.say(f"\n{error}\n{_where_the_logs_are()}")
        return 1
    shown.conclude(report, logs=_where_the_logs_are())
    return 0 if report.is_good else 1


def _where_the_logs_are() -> str:
    return f"Logs: {os.path.relpath(LOGS)}/demo-*.log"


def _demonstrate(shown: Screen, exits: ExitStack) -> Report:
    """What is started ends with `exits`."""
    began = time.monotonic()
    runs = [Run(scenario=scenario) for scenario in SCENARIOS]
    with shown.stages() as begin:
        begin("a simulated VideoDB")
        videodb = exits.enter_context(SimulatedVideoDb(pace=PACE_SECONDS))
        parameters = PARAMETERS | {"VideoDbUrl": videodb.url}
        stack = exits.enter_context(
            LocalStack(name="demo", parameters=parameters, progress=lambda what: begin(EXPLAINED.get(what, what)))
        )
        begin("the first request to the API")
        api = JobsApi(stack.api_url, stack.api_key)
        api.probe()
        begin("four forged callbacks, which must be refused")
        forged = strangers.forge(stack, api)
        begin("a callback about work begun elsewhere, to be adopted")
        adopted = strangers.call_from_elsewhere(stack, api)
    with shown.board(runs) as show:
        _follow(api, runs, show)
    with shown.stages() as begin:
        begin("evidence: events, dead letters, what VideoDB has seen")
        evidence = Evidence(stack, videodb, api)
        results = _judge(runs, evidence)
        others = [forged, adopted, evidence.of_everybody(runs)]
    return Report(results=results, others=others, seconds=time.monotonic() - began)


def _follow(api: JobsApi, runs: Sequence[Run], show: Callable[[], None]) -> None:
    """Sends one job after the other, and looks after all until they are over, or the time is."""
    unsent = list(runs)
    until = time.monotonic() + LIMIT_SECONDS
    while not all(run.over for run in runs) and time.monotonic() < until:
        if unsent:
            _send(api, unsent.pop(0))
        for run in runs:
            _look_after(api, run)
        show()
        time.sleep(POLL_SECONDS)


def _send(api: JobsApi, run: Run) -> None:
    source = {"provider": "videodb", "source": run.scenario.url, "batch": BATCH}
    run.job = api.create(source | dict(run.scenario.request), idempotency_key=f"demo-{run.scenario.file}")


def _look_after(api: JobsApi, run: Run) -> None:
    if run.job is None or run.over:
        return
    run.job = api.job(run.job.job_id)
    if run.must_be_retried:
        run.failed_first = run.job.error.code if run.job.error else "nothing"
        if run.job.status == "failed":
            run.job = api.retry(run.job.job_id)


def _judge(runs: Sequence[Run], evidence: Evidence) -> list[Result]:
    """Looks again for a while, as long as something is missing that may still come."""
    until = time.monotonic() + EVIDENCE_SECONDS
    while True:
        evidence.read_dead_letters()
        results = [_result(run, evidence) for run in runs]
        missing = any(result.differences for result in results if not verdict.of_job(result.run))
        if not missing or time.monotonic() > until:
            return results
        time.sleep(POLL_SECONDS)


def _result(run: Run, evidence: Evidence) -> Result:
    seen = evidence.of(run)
    return Result(run=run, events=seen.events, differences=[*verdict.of_job(run), *verdict.of_evidence(run, seen)])
