"""Templates as CloudFormation gets them: translated by SAM's own translator, which needs no AWS.

It runs in SAM's environment, as one process for all that this one has translated.
"""

import json
import subprocess
from functools import cache
from typing import Any

from local.commands import ROOT, TOOLS

type Template = dict[str, Any]

TRANSLATOR = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

for line in sys.stdin:
    given = json.loads(line)
    template = yaml_parse(given["template"])
    for resource in template["Resources"].values():  # the translator asks for what `sam package` puts there
        for uri in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][uri] = "s3://bucket/key"
    print(json.dumps(Translator({}, Parser()).translate(template, given["parameters"])), flush=True)
"""


@cache
def _translator() -> "subprocess.Popen[str]":
    """It ends when this process does, and closes its input."""
    return subprocess.Popen(
        [str(TOOLS / "sam/bin/python"), "-I", "-c", TRANSLATOR],
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@cache
def _translated(template: str, parameters: tuple[tuple[str, str], ...]) -> str:
    process = _translator()
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps({"template": template, "parameters": dict(parameters)}) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        _translator.cache_clear()
        process.communicate()
        raise AssertionError("SAM does not translate this template; what it printed says why")
    return answer


def translated(template: str | None = None, **parameters: str) -> Template:
    """The translated template, for these parameters. `template`: the text of another one than ours."""
    text = (ROOT / "template.yaml").read_text() if template is None else template
    found: Template = json.loads(_translated(text, tuple(sorted(parameters.items()))))
    return found
