"""Batches on the whole machine: made, filled, waited for, retried by cause, canceled, and announced once."""

from typing import Any

import pytest

from local.receiver import Receiver
from tests.e2e.deployment import Deployment, eventually

WAIT_SECONDS = 5


def url(file: str) -> str:
    return f"https://media.example.com/{file}"


def waited_for(deployment: Deployment, batch_id: str) -> dict[str, Any]:
    """The batch when it has ended, by asking each time for a newer version."""
    known = ""

    def end() -> dict[str, Any] | None:
        nonlocal known
        status, batch = deployment.call("GET", f"/batches/{batch_id}?wait={WAIT_SECONDS}{known}")
        assert status == 200, batch
        known = f"&since={batch['version']}"
        return batch if batch["status"] == "ended" else None

    return eventually(end)


def totals(batch: dict[str, Any]) -> dict[str, int]:
    return {status: number for status, number in batch["totals"].items() if number}


def test_a_batch_ends_with_its_jobs_and_again_with_a_retry_of_one_cause(deployment: Deployment) -> None:
    with Receiver() as receiver:
        receiver.trust(deployment.stack.notify_key)
        asked = {
            "provider": "videodb",
            "steps": ["upload"],
            "sources": [url(f"{number}.mp4") for number in range(8)] + [url("private.mp4")],
            "open": True,
            "notify_url": receiver.url,
        }
        status, batch = deployment.call("POST", "/batches", asked)
        assert (status, batch["total"], batch["closed"]) == (201, 9, False)
        batch_id = batch["batch_id"]
        more = {"sources": [url("8.mp4"), url("corrupt.mp4")], "close": True}
        for _ in range(2):  # the same key adds them once
            status, batch = deployment.call("POST", f"/batches/{batch_id}/jobs", more, **{"idempotency-key": batch_id})
            assert (status, batch["total"], batch["closed"]) == (202, 11, True)

        ended = waited_for(deployment, batch_id)
        causes = ended["causes"]
        assert totals(ended) == {"succeeded": 9, "failed": 2}
        assert sum(causes.values()) == 2
        assert (ended["progress"], ended["estimated_end_at"]) == (1.0, None)
        _, page = deployment.call("GET", f"/batches/{batch_id}/jobs?status=failed")
        assert {job["source"] for job in page["jobs"]} == {url("private.mp4"), url("corrupt.mp4")}

        cause = next(iter(causes))
        status, retried = deployment.call("POST", f"/batches/{batch_id}/retry", {"cause": cause})
        assert (status, retried["status"], retried["ended_at"]) == (202, "running", None)
        again = eventually(lambda: _ended_again(deployment, batch_id, ended["ended_at"]))
        assert (totals(again), again["causes"]) == (totals(ended), causes)

        ends = eventually(lambda: _of(receiver, batch_id, number=2))
    assert [each.kind for each in ends] == ["batch.ended"] * 2
    assert len({each.event_id for each in ends}) == 2


def _ended_again(deployment: Deployment, batch_id: str, before: str) -> dict[str, Any] | None:
    _, batch = deployment.call("GET", f"/batches/{batch_id}")
    return batch if batch["status"] == "ended" and batch["ended_at"] > before else None


def _of(receiver: Receiver, batch_id: str, *, number: int) -> list[Any] | None:
    found = [each for each in receiver.notifications if each.data.get("batch_id") == batch_id]
    return found if len(found) >= number else None


def test_a_batch_is_canceled_while_its_jobs_are_being_made(deployment: Deployment) -> None:
    asked = {"provider": "videodb", "sources": [url(f"stuck.mp4?{number}") for number in range(250)]}
    _, batch = deployment.call("POST", "/batches", asked)

    status, canceled = deployment.call("DELETE", f"/batches/{batch['batch_id']}")

    assert (status, canceled["canceled"]) == (200, True)
    assert totals(waited_for(deployment, batch["batch_id"])) == {"canceled": 250}


@pytest.mark.parametrize("path", ["", "/jobs", "/retry"])
def test_an_unknown_batch_is_unknown(deployment: Deployment, path: str) -> None:
    method = "POST" if path == "/retry" else "GET"
    status, problem = deployment.call(method, f"/batches/nobody{path}", {} if method == "POST" else None)
    assert (status, problem["code"]) == (404, "not_found")
