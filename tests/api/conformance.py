"""What schemathesis asks of an API that docs/openapi.json describes, and what it may be answered.

Left out, and why:
- Answers that API Gateway gives because no route has such a path (`{"message": "Not Found"}`): an id that is empty, has
  a slash, or is a dot, makes a path of another route, or of none. It is insisted on that this was why.
- Other methods than the document's: API Gateway answers those before a function is asked.
- Requests without a key: tests/api/test_keys.py asks every route.
- That invalid requests are refused, and valid ones are not: the document cannot say all that the models check (a source
  or a media_id, steps that fit the medium).
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from tests.cloudformation import ROOT

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
OPERATIONS = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def described(*, examples: int, coverage: bool) -> BaseSchema:
    """The API: so many random requests of each kind a route; with `coverage`, every boundary of every value as well.

    The same ones each time.
    """
    config = {
        "generation": {
            "deterministic": True,
            "max-examples": examples,
            "database": "none",
            "no-shrink": True,
            "with-security-parameters": False,
        },
        "phases": {"coverage": {"enabled": coverage, "unexpected-methods": []}, "stateful": {"enabled": False}},
    }
    copy = json.loads(json.dumps(DOCUMENT))
    return schemathesis.openapi.from_dict(copy, config=schemathesis.Config.from_dict(config))


def ask(case: schemathesis.Case[Any], url: str, *, key: str, known: Mapping[str, str], seconds: float) -> int:
    """Ask, for something that there is every other time, and have the answer checked; its status."""
    drawn = json.dumps(case.path_parameters, sort_keys=True, default=str)
    if zlib.crc32(drawn.encode()) % 2:  # always the same for the same case: Hypothesis repeats what fails
        case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
    answer = case.call(base_url=url, headers={"x-api-key": key}, timeout=seconds)
    if answer.status_code == 404 and json.loads(answer.content) == {"message": "Not Found"}:
        assert any(_is_no_segment(str(value)) for value in case.path_parameters.values()), "a route was not found"
    else:
        case.validate_response(answer, checks=CHECKS)
    return answer.status_code


def _is_no_segment(value: str) -> bool:
    return value in ("", ".", "..") or "/" in value
