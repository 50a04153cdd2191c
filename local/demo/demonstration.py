"""The demo from its first line to its last: brings the stack up, sends jobs through it, judges what came of them."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from local import slowness
from local.commands import LOGS, StackError
from local.demo import logs, unexpected
from local.demo.elsewhere import Elsewhere
from local.demo.evidence import Evidence
from local.demo.following import Following
from local.demo.jobs_api import ApiError, JobsApi
from local.demo.report import Report
from local.demo.scenarios import SCENARIOS
from local.demo.screen import Screen, screen
from local.demo.verdict import Run
from local.platforms.simulated import SimulatedPlatforms
from local.receiver import Receiver
from local.stack import LocalStack

PACE_SECONDS = 0.3  # that a platform takes for a step: long enough to be seen
# few workers: each is a process to start, on a machine that has other things to do
PARAMETERS: Mapping[str, str | int] = {
    "CheckIntervalSeconds": 1,
    "VideoDbConcurrency": 2,
    "TwelveLabsConcurrency": 2,
    "ApiVideoConcurrency": 2,
    "ApsaraVideoConcurrency": 2,
    "NotifyConcurrency": 2,
}
# without any move. A message whose worker did not end in time comes back after 360 s: until then no job is lost
PATIENCE_SECONDS = 400.0
FALTERS_EVERY = 8  # one in so many ends has to be announced again
EXPLAINED = {
    "starting ministack": "ministack, which stands in for AWS",
    "sam build": "sam build (the first time, it installs the layer's packages)",
    "sam deploy": "sam deploy",
    "routes and secrets": "the API's routes, the secrets",
}
WHERE_THE_LOGS_ARE = f"Logs: {os.path.relpath(LOGS)}/demo-*.log"


def main() -> int:
    """The exit code."""
    shown = screen()
    shown.introduce()
    logs.forget()
    try:
        with ExitStack() as exits:
            report = _demonstrate(shown, exits)
            shown.report(report)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends anyway, and nothing is to be left behind
            with shown.stages() as begin:
                begin("stopping all of it, and removing its files")
                exits.close()
    except (StackError, ApiError, BotoCoreError, ClientError, HTTPError, ValueError) as error:  # pydantic's are, too
        shown.say(f"\n{error}\n{WHERE_THE_LOGS_ARE}\nOnce more: make demo")
        return 1
    shown.conclude(report)
    return 0 if report.is_good else 1


def _demonstrate(shown: Screen, exits: ExitStack) -> Report:
    """What is started ends with `exits`."""
    began = time.monotonic()
    runs = [Run(scenario=scenario) for scenario in SCENARIOS]
    with shown.stages() as begin:
        begin("four simulated platforms, and a receiver of notifications")
        platforms = exits.enter_context(SimulatedPlatforms(pace=PACE_SECONDS))
        receiver = exits.enter_context(Receiver(falters_every=FALTERS_EVERY))
        parameters = {**PARAMETERS, **platforms.parameters}
        stack = exits.enter_context(
            LocalStack(name="demo", parameters=parameters, progress=lambda what: begin(EXPLAINED.get(what, what)))
        )
        exits.enter_context(_logs_kept(stack))
        begin("the platforms' webhooks, which `make webhooks` sets in AWS")
        platforms.connect(stack)
        receiver.trust(stack.notify_key)
        begin("the first request to the API")
        api, elsewhere = JobsApi(stack.api_url, stack.api_key), Elsewhere(platforms)
        api.probe()
        begin("forged callbacks, to be rejected")
        findings = unexpected.forge(stack.api_url)
        begin("how long this machine takes for a callback")
        times = slowness.measure(unexpected.one_to_each_function(stack.api_url))
        api.slowness = platforms.slowness = times
    if times > 1:
        shown.say(
            f"This machine takes {times:g} times as long as two idle cores do: "
            f"the platforms' time-outs are {times:g} times the documented ones."
        )
    with shown.stages() as begin:
        begin("callbacks about work begun elsewhere, to be adopted")
        adopted = unexpected.begin_elsewhere(stack, elsewhere)
        findings += adopted
    evidence = Evidence(stack, elsewhere, api, receiver)
    following = Following(api, evidence, runs, adopted, notify_url=receiver.url)
    with shown.board(runs, findings) as show:
        following.until_settled(show, patience=PATIENCE_SECONDS * times)
    report = Report(
        runs=runs,
        findings=findings,
        differences=evidence.of_all(runs),
        remarks=evidence.remarks(),
        announced=len(receiver.notifications),
        announced_again=receiver.repeated,
        seconds=time.monotonic() - began,
    )
    if not report.is_good:
        logs.keep(stack.client("logs"))
    return report


@contextmanager
def _logs_kept(stack: LocalStack) -> Iterator[None]:
    """Before the stack is gone, if the demo breaks off."""
    try:
        yield
    except Exception:
        logs.keep(stack.client("logs"))
        raise
