"""Whatever schemathesis makes of docs/openapi.json, the deployed stack answers as that says, and never with 5xx.

What is left out, and why, stands in tests/api/conformance.py; every boundary of every value is tried in
tests/api/test_openapi_conformance.py, where an answer takes no function of its own.
"""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.api.conformance import DOCUMENT, OPERATIONS, ask, described
from tests.e2e.deployment import PATIENCE_SECONDS, Deployment, http

schema = described(examples=6, coverage=False)


@pytest.fixture
def known(deployment: Deployment) -> dict[str, str]:
    """Ids of what there is: a video, a job on it that has ended, so that nothing is waited for, and an open batch."""
    video = {"provider": "videodb", "media_id": "m-1", "steps": ["index_spoken_words"]}
    _, job = deployment.call("POST", "/jobs", video)
    deployment.call("DELETE", f"/jobs/{job['job_id']}")
    _, batch = deployment.call("POST", "/batches", {"provider": "videodb", "open": True})
    return {"job_id": job["job_id"], "batch_id": batch["batch_id"], "video_id": "m-1"}


@schema.parametrize()
@settings(
    deadline=None,
    # what is known is made anew for each route, not for each case
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_documented(
    case: schemathesis.Case[Any], deployment: Deployment, known: dict[str, str]
) -> None:
    ask(case, deployment.stack.api_url, key=deployment.stack.api_key, known=known, seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_route_answers_without_a_key(deployment: Deployment, method: str, path: str) -> None:
    answer = http.request(method.upper(), deployment.stack.api_url + path.replace("{", "").replace("}", ""))

    assert answer.status == 401
    assert json.loads(answer.data)["code"] == "unauthorized"
    assert "401" in DOCUMENT["paths"][path][method]["responses"]
