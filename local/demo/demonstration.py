"""The demo from its first line to its last: brings the stack up, sends jobs through it, and judges how they ended."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain, zip_longest

from local.commands import LOGS, StackError
from local.demo import strangers, verdict
from local.demo.elsewhere import Elsewhere
from local.demo.evidence import Evidence
from local.demo.jobs_api import ApiError, JobsApi
from local.demo.report import Report
from local.demo.scenarios import PLATFORMS
from local.demo.screen import Screen, screen
from local.demo.verdict import Result, Run
from local.platforms.simulated import SimulatedPlatforms
from local.receiver import Receiver
from local.stack import LocalStack

PACE_SECONDS = 0.4  # that a platform takes for a step: long enough to be seen
# few workers: each is a process to start, on a machine that has other things to do
PARAMETERS: Mapping[str, str | int] = {
    "CheckIntervalSeconds": 1,
    "VideoDbConcurrency": 3,
    "TwelveLabsConcurrency": 2,
    "ApiVideoConcurrency": 2,
    "ApsaraVideoConcurrency": 2,
    "NotifyConcurrency": 2,
}
POLL_SECONDS = 0.2
SENT_AT_ONCE = len(PLATFORMS)
LOOKED_AT_ONCE = 8  # jobs that are asked for whole, to be shown: all of them would keep the machine from its work
LIMIT_SECONDS = 180.0  # for all jobs together
EVIDENCE_SECONDS = 20.0  # for what comes after a job's end: the last copy of a callback that comes twice
BATCH = "demo"
FALTERS_EVERY = 10  # one in so many ends has to be told again
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
    runs = [Run(scenario=scenario) for platform in PLATFORMS for scenario in platform.scenarios]
    with shown.stages() as begin:
        begin("four simulated platforms, and somebody to be told of ends")
        platforms = exits.enter_context(SimulatedPlatforms(pace=PACE_SECONDS))
        receiver = exits.enter_context(Receiver(falters_every=FALTERS_EVERY))
        parameters = {**PARAMETERS, **platforms.parameters}
        stack = exits.enter_context(
            LocalStack(name="demo", parameters=parameters, progress=lambda what: begin(EXPLAINED.get(what, what)))
        )
        begin("the platforms' webhooks, which `make webhooks` sets in AWS")
        platforms.connect(stack)
        receiver.trust(stack.notify_key)
        begin("the first request to the API")
        api, elsewhere = JobsApi(stack.api_url, stack.api_key), Elsewhere(platforms)
        api.probe()
        begin("forged callbacks, to be refused; unneeded ones")
        others = strangers.call(stack)
        begin("callbacks about work begun elsewhere, to be adopted")
        begun = strangers.begin_elsewhere(elsewhere)
        others.append(strangers.call_from_elsewhere(stack, api))
    with shown.board(runs) as show:
        _follow(api, runs, show, notify_url=receiver.url)
    with shown.stages() as begin:
        begin("evidence: events, dead letters, the platforms' books")
        evidence = Evidence(stack, elsewhere, api, receiver)
        results = _judge(runs, evidence)
        others += evidence.of_other_jobs(runs, begun)
        differences = [*evidence.of_dead_letters(runs), *evidence.of_strangers_notices()]
        notices = evidence.notices
    seconds = time.monotonic() - began
    return Report(results=results, others=others, notices=notices, differences=differences, seconds=seconds)


def _follow(api: JobsApi, runs: Sequence[Run], show: Callable[[], None], *, notify_url: str) -> None:
    """Sends a job to each platform after the other, and looks after all until they are over, or the time is."""
    unsent = in_turns(runs)
    sent: deque[Run] = deque()
    until = time.monotonic() + LIMIT_SECONDS
    while not all(run.over for run in runs) and time.monotonic() < until:
        for run in unsent[:SENT_AT_ONCE]:
            _send(api, run, notify_url)
            sent.append(run)
        del unsent[:SENT_AT_ONCE]
        ended = api.ended(BATCH)
        for run in _worth_a_look(sent, ended):
            _look_after(api, run)
        sent = deque(run for run in sent if not run.over)
        show()
        time.sleep(POLL_SECONDS)


def _worth_a_look(sent: deque[Run], ended: Collection[str]) -> list[Run]:
    """Those that have ended since, and some of the others, which go to the end of the line."""
    over = [run for run in sent if run.job and run.job.job_id in ended]
    others = [run for run in sent if run not in over][:LOOKED_AT_ONCE]
    for run in others:
        sent.remove(run)
        sent.append(run)
    return over + others


def in_turns(runs: Iterable[Run]) -> list[Run]:
    """The first of each platform, then the second of each, and so on."""
    by_platform: dict[str, list[Run]] = {}
    for run in runs:
        by_platform.setdefault(run.scenario.provider, []).append(run)
    return [run for run in chain.from_iterable(zip_longest(*by_platform.values())) if run]


def _send(api: JobsApi, run: Run, notify_url: str) -> None:
    scenario = run.scenario
    source = {"provider": scenario.provider, "source": scenario.url, "batch": BATCH, "notify_url": notify_url}
    run.job = api.create(source | dict(scenario.request), idempotency_key=f"demo-{scenario.key}")


def _look_after(api: JobsApi, run: Run) -> None:
    if run.job is None or run.over:
        return
    run.job = api.job(run.job.job_id)
    if run.must_be_canceled:
        run.job = api.cancel(run.job.job_id)
    if run.must_be_retried:
        run.failed_first = run.job.error.code if run.job.error else "nothing"
        if run.job.status == "failed":
            run.job = api.retry(run.job.job_id)


def _judge(runs: Sequence[Run], evidence: Evidence) -> list[Result]:
    """Looks again for a while at those of which something is missing that may still come."""
    until = time.monotonic() + EVIDENCE_SECONDS
    results: dict[Run, Result] = {}
    while True:
        evidence.read_dead_letters()
        for run in runs:
            if run not in results or results[run].differences:
                results[run] = _result(run, evidence)
        if not any(results[run].differences for run in runs if run.over) or time.monotonic() > until:
            return [results[run] for run in runs]
        time.sleep(POLL_SECONDS)


def _result(run: Run, evidence: Evidence) -> Result:
    seen = evidence.of(run)
    return Result(run=run, events=seen.events, differences=[*verdict.of_job(run), *verdict.of_evidence(run, seen)])
