"""Every boundary of every value in docs/openapi.json, as schemathesis finds them: answered as the document says.

The functions answer in this process; that the deployed stack does, too, is seen in tests/e2e.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.api.bridge import serve
from tests.api.calls import call, create
from tests.api.conformance import ask, described
from tests.stack import API_KEY, Stack, handler

LIMIT_SECONDS = 60
"""For what takes milliseconds, on a machine that is busy."""
schema = described(examples=2, coverage=True)


@pytest.fixture
def url(stack: Stack) -> Iterator[str]:
    """Where the API is."""
    with serve(dict.fromkeys(("/jobs", "/batches", "/videodb/"), handler("api"))) as url:
        yield url


@pytest.fixture
def known(stack: Stack) -> dict[str, str]:
    """Ids of what there is: a video, a job on it that has ended, so that nothing is waited for, and an open batch."""
    job_id = create(source=None, media_id="m-1").json["job_id"]
    call("DELETE", f"/jobs/{job_id}")
    batch = call("POST", "/batches", {"provider": "videodb", "open": True}).json
    return {"job_id": job_id, "batch_id": batch["batch_id"], "video_id": "m-1"}


@schema.parametrize()
@settings(
    deadline=None,
    # what is known is made anew for each route, not for each case
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_documented(case: schemathesis.Case[Any], url: str, known: dict[str, str]) -> None:
    if (case.query or {}).get("wait") not in (None, 0):
        case.query = {**case.query, "wait": 0}
    ask(case, url, key=API_KEY, known=known, seconds=LIMIT_SECONDS)
