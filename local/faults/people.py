"""People who use the stack: they start, retry and end jobs through the API, and try again when it does not answer."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from local.faults.points import Crashed
from local.faults.world import API_KEY, World, http_event

TRIES_AGAIN_AFTER = 20.0
PATIENCE = 30 * 3600.0
"""How long somebody tries, in seconds: an outage of a day is outlasted."""

type Answered = Callable[[int, dict[str, Any]], object]


def ask(
    world: World,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    then: Answered = lambda _status, _body: None,
    after: float = 0.0,
) -> None:
    """Ask the API, again while it does not answer; `then` gets the status and the body. `key`: Idempotency-Key."""
    headers = {"x-api-key": API_KEY, **({"idempotency-key": key} if key else {})}
    text = None if body is None else json.dumps(body)
    until = world.clock.seconds + after + PATIENCE

    def asks() -> None:
        status, answer = call(world, method, path, text, headers)
        if status >= 500 and world.clock.seconds < until:
            world.at(TRIES_AGAIN_AFTER, asks)
        else:
            then(status, answer)

    world.at(after, asks)


def call(
    world: World, method: str, path: str, text: str | None, headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    """One request: 502 if the function was stopped."""
    route, _, query = path.partition("?")
    event = http_event(method, route, text, query=query, headers=headers, at=world.clock.now)
    try:
        answer = world.invoke(world.api_of(route), event)
    except Crashed:
        return 502, {}
    status = int(answer["statusCode"])
    world.answers.append((method, route, status))
    return status, json.loads(answer["body"]) if answer.get("body") else {}


def start(world: World, request: Mapping[str, Any], *, key: str = "start-1", after: float = 0.0) -> None:
    """Start a job."""

    def started(status: int, answer: dict[str, Any]) -> None:
        if status >= 300:
            world.notes.append(f"POST /jobs was answered {status}: {answer}")
        else:
            world.started[key] = str(answer["job_id"])

    ask(world, "POST", "/jobs", request, key=key, then=started, after=after)


def retry_what_fails(world: World, *, times: int = 1) -> None:
    """Have somebody retry a job who hears that it has failed, so often."""
    heard: set[str] = set()

    def hears(event: dict[str, Any]) -> None:
        if event["type"] != "job.failed" or event["id"] in heard or len(heard) >= times:
            return
        heard.add(event["id"])
        ask(world, "POST", f"/jobs/{event['data']['job_id']}/retry", after=5)

    world.listeners.append(hears)


def start_batch(
    world: World,
    request: Mapping[str, Any],
    *,
    key: str = "batch-1",
    then: Callable[[str], object] = lambda _batch_id: None,
) -> None:
    """Start a batch; `then` gets its id."""

    def started(status: int, answer: dict[str, Any]) -> None:
        if status >= 300:
            world.notes.append(f"POST /batches was answered {status}: {answer}")
            return
        world.batches[key] = str(answer["batch_id"])
        then(world.batches[key])

    ask(world, "POST", "/batches", request, key=key, then=started)


def retry_failed_batches(world: World) -> None:
    """Have somebody retry a batch, once, who hears that it has ended with failed jobs."""
    heard: set[str] = set()

    def hears(event: dict[str, Any]) -> None:
        if event["type"] == "batch.ended" and event["data"]["totals"]["failed"] and not heard:
            heard.add(event["id"])
            ask(world, "POST", f"/batches/{event['data']['batch_id']}/retry", after=5)

    world.listeners.append(hears)
