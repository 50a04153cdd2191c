"""Templates as CloudFormation gets them: translated by SAM's own translator, offline."""

from typing import Any

import pytest
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from tests.cloudformation import ROOT

type Template = dict[str, Any]


def ours() -> Template:
    """This release's template."""
    return translated((ROOT / "template.yaml").read_text())


def translated(text: str) -> Template:
    template = yaml_parse(text)
    for resource in template["Resources"].values():  # the transform asks for what `sam package` puts there
        for uri in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][uri] = "s3://bucket/key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        found: Template = Translator({}, Parser()).translate(template, {})
    return found
