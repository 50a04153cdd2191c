"""What a route of our own API does not read is refused: nobody takes a misspelt filter for one that was applied."""

import json
from typing import Any

import pytest

from tests.api.calls import call, create
from tests.batch import BATCH, put
from tests.cloudformation import ROOT
from tests.stack import API_KEY, Context, Stack, handler

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
WITHOUT_BODY = [name for name, operation in OPERATIONS.items() if "requestBody" not in operation]


@pytest.fixture(autouse=True)
def known(stack: Stack) -> dict[str, str]:
    """What can be asked for."""
    job_id = create().json["job_id"]
    call("POST", "/jobs", {"provider": "videodb", "media_id": "m-1"})
    put(1)
    return {"job_id": job_id, "batch_id": BATCH, "video_id": "m-1", "event_id": "0" * 32}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_route_refuses_a_parameter_that_it_does_not_know_and_names_those_that_it_does(
    known: dict[str, str], name: str
) -> None:
    method, path = name.split()
    body: Any = {} if "requestBody" in OPERATIONS[name] else None
    if name in ("POST /jobs", "POST /batches"):
        body = {"provider": "videodb", "source": "https://example.com/a.mp4"}
    if name == "POST /batches":
        body = {"provider": "videodb", "sources": ["https://example.com/a.mp4"]}
    if name == "POST /batches/{batch_id}/jobs":
        body = {"close": True}

    answer = call(method, path.format(**known), body, query={"stats": "failed"})

    assert (answer.status, answer.code) == (422, "invalid_request")
    (error,) = answer.json["errors"]
    assert error["field"] == "query.stats"
    parameters = OPERATIONS[name].get("parameters", ())
    for parameter in (each["name"] for each in parameters if each["in"] == "query"):
        assert parameter in error["message"]


@pytest.mark.parametrize("name", WITHOUT_BODY)
def test_a_route_that_takes_no_body_refuses_one(known: dict[str, str], name: str) -> None:
    method, path = name.split()

    answer = call(method, path.format(**known), {"cause": "download_failed"})

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["body"])


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_a_body_that_says_nothing_is_none(known: dict[str, str], text: str | None) -> None:
    assert call("GET", f"/jobs/{known['job_id']}", text=text).status == 200


@pytest.mark.parametrize("query", ["label=a&label=b", "limit=1&limit=1"])
def test_a_parameter_that_comes_twice_is_refused(query: str) -> None:
    name = query.partition("=")[0]
    values = [pair.partition("=")[2] for pair in query.split("&")]

    answer = _raw("/jobs", query, {name: ",".join(values)})  # API Gateway joins them

    assert answer["statusCode"] == 422
    assert json.loads(answer["body"])["errors"][0]["field"] == f"query.{name}"


@pytest.mark.parametrize(("query", "status"), [("status=", 422), ("statu%73=pending", 200), ("", 200), ("&&", 200)])
def test_names_are_compared_as_they_are_meant(query: str, status: int) -> None:
    given = {"status": query.partition("=")[2]} if query.startswith("s") else {}

    assert _raw("/jobs", query, given)["statusCode"] == status


def test_a_route_that_there_is_not_is_not_found_whatever_its_parameters() -> None:
    assert _raw("/jobs/a/nothing", "stats=failed", {"stats": "failed"})["statusCode"] == 404


def test_a_long_name_is_not_repeated_at_length() -> None:
    answer = call("GET", "/jobs", query={"x" * 5000: 1})

    assert answer.status == 422
    assert len(answer.text) < 1000


def _raw(path: str, query: str, parameters: dict[str, str]) -> Any:
    event = {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"x-api-key": API_KEY},
        "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default", "requestId": "r"},
        "isBase64Encoded": False,
        **({"queryStringParameters": parameters} if parameters else {}),
    }
    return handler("api")(event, Context())
