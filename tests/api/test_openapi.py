"""docs/openapi.json says what the code does, and what is deployed."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from local import openapi
from tests.api.calls import call
from tests.cloudformation import ROOT, of_type
from tests.stack import Stack

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path, operation."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_current() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "local.openapi", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("written", ["{}", None], ids=["other", "missing"])
def test_a_document_that_is_not_current_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, written: str | None
) -> None:
    monkeypatch.setattr(openapi, "ROOT", tmp_path)
    monkeypatch.setattr(openapi, "DOCUMENT", tmp_path / "openapi.json")
    monkeypatch.setattr(openapi, "document", lambda: '{"openapi": "3.1.0"}\n')
    if written is not None:
        openapi.DOCUMENT.write_text(written)

    monkeypatch.setattr(sys, "argv", ["local.openapi", "--check"])
    with pytest.raises(SystemExit, match=r"openapi\.json is not what the code says.*make openapi"):
        openapi.main()

    monkeypatch.setattr(sys, "argv", ["local.openapi"])
    openapi.main()
    assert openapi.DOCUMENT.read_text() == '{"openapi": "3.1.0"}\n'


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_its_operations_are_the_routes_of_the_template() -> None:
    events = [
        event["Properties"]
        for function in of_type("AWS::Serverless::Function").values()
        if function["CodeUri"] == "functions/api"
        for event in function["Events"].values()
    ]
    routes = {(event["Method"], event["Path"]) for event in events}

    assert {(method, path) for method, path, _ in operations()} == routes


def test_operations_have_names_for_those_who_generate_clients() -> None:
    assert {(operation["operationId"], *operation["tags"]) for _, _, operation in operations()} == {
        ("createJob", "jobs"),
        ("listJobs", "jobs"),
        ("showJob", "jobs"),
        ("deleteJob", "jobs"),
        ("retryJob", "jobs"),
        ("listEvents", "events"),
        ("replayEvent", "events"),
        ("createBatch", "batches"),
        ("listBatches", "batches"),
        ("showBatch", "batches"),
        ("cancelBatch", "batches"),
        ("retryBatch", "batches"),
        ("addToBatch", "batches"),
        ("listBatchJobs", "batches"),
        ("showVideo", "videodb"),
    }


def test_both_ways_to_give_a_key_are_told() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {(scheme["type"], scheme.get("name") or scheme.get("scheme")) for scheme in schemes.values()} == {
        ("apiKey", "x-api-key"),
        ("http", "bearer"),
    }
    assert [list(way) for way in DOCUMENT["security"]] == [["apiKey"], ["bearer"]]


def test_every_operation_says_what_it_answers_without_a_key() -> None:
    for _, path, operation in operations():
        assert list(operation["responses"]["401"]["content"]) == ["application/problem+json"], path


def test_errors_are_problems_unless_api_gateway_says_them() -> None:
    by_api_gateway = {"500"}
    for _, path, operation in operations():
        for status, response in operation["responses"].items():
            schemas = {
                content_type: content["schema"].get("$ref", "").split("/")[-1]
                for content_type, content in response["content"].items()
            }
            if status in by_api_gateway:
                assert schemas == {"application/json": "GatewayMessage"}, (path, status)
            elif status >= "400":
                assert schemas["application/problem+json"] == "Problem", (path, status)


def test_schemas_of_the_framework_that_we_never_answer_with_are_not_in_it() -> None:
    assert not [name for name in DOCUMENT["components"]["schemas"] if "Validation" in name]


def test_every_schema_is_used() -> None:
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT))) == set(
        DOCUMENT["components"]["schemas"]
    )


def test_fields_are_described_by_their_docstrings() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["JobView"]["properties"]["progress"]["description"] == "0 to 1: how much of the plan is done."
    assert schemas["RetryPolicy"]["properties"]["base_delay"]["description"].startswith("Seconds")


UNIT = re.compile(
    r"\b(seconds?|minute|bytes|how (many|much|often)|0 to 1|jobs|sources|attempt|version|change|HTTP status)\b",
    re.IGNORECASE,
)


def is_number(schema: Any) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") in ("number", "integer")
        or any(is_number(one) for one in schema.get("anyOf", ()))
        or is_number(schema.get("additionalProperties"))
    )


def test_every_number_says_what_it_counts() -> None:
    described = {
        f"{name}.{field}": (schema, schema.get("description", ""))
        for name, model in DOCUMENT["components"]["schemas"].items()
        for field, schema in model.get("properties", {}).items()
    } | {
        f"{path} {parameter['name']}": (parameter["schema"], parameter.get("description", ""))
        for _, path, operation in operations()
        for parameter in operation.get("parameters", ())
    }
    numbers = {place: said for place, (schema, said) in described.items() if is_number(schema)}

    assert len(numbers) > 30
    assert "RetryPolicy.max_attempts" in numbers
    assert [place for place, said in numbers.items() if not UNIT.search(said)] == []


def test_every_way_in_which_an_event_is_learnt_is_explained() -> None:
    layer = ROOT / "layers/shared/video_jobs"
    ways = {way for file in layer.rglob("*.py") for way in re.findall(r'via="(\w+)"', file.read_text())}
    said = DOCUMENT["components"]["schemas"]["EventView"]["properties"]["via"]["description"]

    assert ways == {"callback", "poll", "submit"}
    assert [way for way in ways if f"{way}: " not in said] == []


def test_location_and_idempotency_key_are_told() -> None:
    created = DOCUMENT["paths"]["/jobs"]["post"]
    assert "Location" in created["responses"]["201"]["headers"]
    assert ("header", "idempotency-key") in {(p["in"], p["name"].lower()) for p in created["parameters"]}


EXAMPLES = DOCUMENT["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]["examples"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_makes_a_job(stack: Stack, name: str) -> None:
    assert call("POST", "/jobs", EXAMPLES[name]["value"]).status == 201
