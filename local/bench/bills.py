"""What AWS bills for a callback and for jobs: counted in a process of its own, and put into figures and tables."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from local import template
from local.bench import prices
from local.bench.shown import table
from local.commands import ROOT

type Life = Mapping[str, Any]
"""As `lives.Life` says it."""

ALONE = "videodb"
PLATFORMS: Mapping[str, str] = {
    "videodb": "videodb",
    "twelvelabs": "twelvelabs_asset",
    "apivideo": "apivideo",
    "apsaravideo": "apsaravideo",
}
"""Which plan stands for a platform's jobs."""
INBOX = "pipeline/inbox"
_COUNTED = ("write_units", "read_units", "sqs_requests", "invocations", "gb_seconds", "log_bytes", "secret_calls")


def counted() -> dict[str, Life]:
    """The lives of some jobs, by what lived (see `lives.lives`)."""
    process = subprocess.run(
        [sys.executable, "-m", "local.bench.lives"],
        cwd=ROOT,
        env={"POWERTOOLS_SERVICE_NAME": "video-jobs", "POWERTOOLS_METRICS_NAMESPACE": "VideoJobs"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Life] = json.loads(process.stdout)
    return found


def figures(found: Mapping[str, Life]) -> dict[str, Any]:
    """What .local/bench.json has of it."""
    plans = {name: life for name, life in found.items() if life["jobs"] == 1}
    return {
        "callback_aws_calls": max(one["aws_calls"] for one in _callbacks(found[ALONE])),
        "callback_write_units": max(one["billed"].get("write_units", 0) for one in _inbox(found[ALONE])),
        "job_write_units": {name: _billed(life)["write_units"] for name, life in plans.items()},
        "batch_extra_write_units": round(
            _billed(found["batch"])["write_units"] / found["batch"]["jobs"] - _billed(found[ALONE])["write_units"], 2
        ),
        "usd_per_million_callbacks": round(prices.dollars(_callback(found["together"])) * prices.MILLION, 2),
        "usd_per_thousand_jobs": {
            platform: round(prices.dollars(_billed(found[plan])) * 1000, 4)
            for platform, plan in PLATFORMS.items()
            if plan in found
        },
    }


def shown(found: Mapping[str, Life]) -> list[str]:
    """The tables."""
    return [callback_table(found), job_table(found), price_table()]


def callback_table(found: Mapping[str, Life]) -> str:
    """A VideoDB callback, with the API and all that the inbox does until the worker has its message."""
    columns = {"alone": _callback(found[ALONE]), "ten together": _callback(found["together"])}
    rows = [
        [
            prices.PRICES[name].of,
            *(cell for each in columns.values() for cell in (_number(each[name]), _usd(name, each))),
        ]
        for name in prices.PRICES
        if any(each[name] for each in columns.values())
    ]
    total = [f"{prices.dollars(each) * prices.MILLION:.2f}" for each in columns.values()]
    rows.append(["all of it", "", total[0], "", total[1]])
    headings = ["", "alone", "USD a million", "ten together", "USD a million"]
    return table("One callback, and all that the inbox does", headings, rows)


def job_table(found: Mapping[str, Life]) -> str:
    """What a job takes from the request that makes it until its end is announced."""
    rows = []
    for name, life in found.items():
        billed, jobs = _billed(life), life["jobs"]
        said = f"{name}: {', '.join(life['statuses'])}, {life['polls'] / jobs:g} polls"
        cost = prices.dollars(billed) / jobs * 1000
        rows.append([said, *(_number(billed[kind] / jobs) for kind in _COUNTED), f"{cost:.3f}"])
    headings = ["", *(kind.replace("_", " ") for kind in _COUNTED), "USD a thousand"]
    return table("One job, from the request that makes it until its end is announced", headings, rows)


def price_table() -> str:
    rows = [
        [price.of, f"{price.dollars:g}", f"{price.per:,.0f}", f"aws.amazon.com/{price.source}"]
        for price in prices.PRICES.values()
    ]
    times = ", ".join(f"{name} {milliseconds:g} ms" for name, milliseconds in prices.CALL_MILLISECONDS.items())
    found = table("List prices in us-east-1, without free tiers", ["", "USD", "for", ""], rows)
    return (
        f"{found}\n  Assumed of a function's time: {prices.OWN_MILLISECONDS:g} ms for a request or a message,"
        f" and for each call {times}, a platform {prices.PLATFORM_MILLISECONDS:g} ms."
        "\n  Not in it: storage and backups, metrics and alarms, what polling empty queues and the sweep take all day."
    )


# --- What is billed --------------------------------------------------------------------------------------------------


def _callbacks(life: Life) -> list[Mapping[str, Any]]:
    routes = set(template.callbacks())
    return [one for one in life["invocations"] if one["function"] in routes]


def _inbox(life: Life) -> list[Mapping[str, Any]]:
    return [one for one in life["invocations"] if one["function"] == INBOX]


def _callback(life: Life) -> Counter[str]:
    """On average, of all callbacks of a life."""
    callbacks = _callbacks(life)
    return _sum([*callbacks, *_inbox(life)], of=len(callbacks))


def _billed(life: Life) -> Counter[str]:
    return _sum(life["invocations"], of=1)


def _sum(invocations: Sequence[Mapping[str, Any]], *, of: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for invocation in invocations:
        for name, amount in invocation["billed"].items():
            found[name] += amount / of
    return found


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def _usd(name: str, billed: Mapping[str, float]) -> str:
    return f"{prices.dollars({name: billed[name]}) * prices.MILLION:.2f}"
