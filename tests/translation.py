"""Templates as CloudFormation gets them: translated by SAM's own translator, which needs no AWS.

It runs in SAM's environment, once for a text: what it gave is kept in a file, for this process's neighbours and for the
next run.
"""

import hashlib
import json
import os
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

from local.commands import ROOT, TOOLS

type Template = dict[str, Any]

TRANSLATOR = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

template = yaml_parse(sys.stdin.read())
for resource in template["Resources"].values():  # the translator asks for what `sam package` puts there
    for uri in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
        resource["Properties"][uri] = "s3://bucket/key"
print(json.dumps(Translator({}, Parser()).translate(template, json.loads(sys.argv[1]))))
"""
KEPT = ROOT / ".local/translated"
KEPT_SECONDS = 86400


def translated(template: str | None = None, **parameters: str) -> Template:
    """The translated template, for these parameters. `template`: the text of another one than ours."""
    text = (ROOT / "template.yaml").read_text() if template is None else template
    found: Template = json.loads(_translated(text, json.dumps(parameters, sort_keys=True)))
    return found


@cache
def _translated(template: str, parameters: str) -> str:
    by = (TOOLS / "sam/.ready").stat().st_mtime_ns  # another SAM translates anew
    name = hashlib.sha256("\n".join([TRANSLATOR, str(by), parameters, template]).encode()).hexdigest()
    file = KEPT / f"{name}.json"
    if not file.exists():
        _keep(file, _translation(template, parameters))
    return file.read_text()


def _translation(template: str, parameters: str) -> str:
    finished = subprocess.run(
        [str(TOOLS / "sam/bin/python"), "-I", "-c", TRANSLATOR, parameters],
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        input=template,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, f"SAM does not translate this template: {finished.stderr}"
    return finished.stdout


def _keep(file: Path, text: str) -> None:
    """In one move, for a neighbour may be at it, too; and what nobody has made of late goes."""
    KEPT.mkdir(parents=True, exist_ok=True)
    made = file.with_suffix(f".{os.getpid()}")
    made.write_text(text)
    made.replace(file)
    for other in KEPT.iterdir():
        if other.stat().st_mtime < time.time() - KEPT_SECONDS:
            other.unlink(missing_ok=True)
