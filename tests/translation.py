"""template.yaml as AWS gets it: SAM's own translator, which runs in SAM's environment and needs no AWS."""

import json
import subprocess
from functools import cache
from typing import Any

from local.commands import ROOT, TOOLS

SCRIPT = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

given = json.load(sys.stdin)
template = yaml_parse(given["template"])
for resource in template["Resources"].values():  # the translator asks for what `sam package` puts there
    for uri in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
        resource["Properties"][uri] = "s3://bucket/key"
json.dump(Translator({}, Parser()).translate(template, given["parameters"]), sys.stdout)
"""


@cache
def _translated(template: str, parameters: tuple[tuple[str, str], ...]) -> str:
    finished = subprocess.run(
        [str(TOOLS / "sam/bin/python"), "-I", "-c", SCRIPT],
        input=json.dumps({"template": template, "parameters": dict(parameters)}),
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def translated(template: str | None = None, **parameters: str) -> dict[str, Any]:
    """The translated template, for these parameters. `template`: the text of another one than ours."""
    text = (ROOT / "template.yaml").read_text() if template is None else template
    found: dict[str, Any] = json.loads(_translated(text, tuple(sorted(parameters.items()))))
    return found
