"""Writes docs/openapi.json, the description of our own API, from the code that answers it."""

import argparse
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn, HTTPBearer
from pydantic import BaseModel
from video_jobs import __version__

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "openapi.json"
DESCRIPTION = (
    "Jobs on video platforms: create them, follow them, try them again. "
    "Errors are application/problem+json with a stable `code`; times are UTC, ISO 8601."
)
_SCHEMAS = "#/components/schemas/"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the document is current")
    only_check = parser.parse_args().check
    text = document()
    if not only_check:
        DOCUMENT.write_text(text)
    elif not DOCUMENT.exists() or DOCUMENT.read_text() != text:
        sys.exit(f"{DOCUMENT.relative_to(ROOT)} is not what the code says. Write it anew: make openapi")


def document() -> str:
    """The description as JSON text.

    Call it in a process of its own: models that were imported before it have no descriptions of their fields.
    """
    # what the models' fields are is told by docstrings; reading those takes the source, and time at each cold start
    BaseModel.model_config["use_attribute_docstrings"] = True
    # what answers in a platform's own shape, the platform describes
    resolver = importlib.import_module("functions.api.app").handler.resolver
    text = resolver.get_openapi_json_schema(
        title="video-jobs",
        version=__version__,
        description=DESCRIPTION,
        security_schemes={
            "apiKey": APIKey(name="x-api-key", in_=APIKeyIn.header),
            "bearer": HTTPBearer(description="The same keys as in x-api-key"),
        },
        security=[{"apiKey": []}, {"bearer": []}],
    )
    described: dict[str, Any] = json.loads(text)
    _drop_unused(described)
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _drop_unused(described: dict[str, Any]) -> None:
    """Remove the schemas of errors that the framework would answer with, had we not our own."""
    schemas = described["components"]["schemas"]
    used: set[str] = set()
    found = set(_references(described["paths"]))
    while found:
        used |= found
        found = {name for schema in found for name in _references(schemas[schema])} - used
    described["components"]["schemas"] = {name: schemas[name] for name in schemas if name in used}


def _references(part: Any) -> Iterator[str]:
    """The names of all schemas that a part of the document refers to."""
    if isinstance(part, dict):
        if str(part.get("$ref", "")).startswith(_SCHEMAS):
            yield part["$ref"].removeprefix(_SCHEMAS)
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from _references(inner)


if __name__ == "__main__":
    main()
