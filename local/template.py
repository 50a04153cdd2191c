"""What the other local commands need to know of template.yaml."""

import re
from pathlib import Path
from typing import Any

import yaml

from local.commands import ROOT

TEMPLATE = ROOT / "template.yaml"


class _Loader(yaml.SafeLoader):
    """CloudFormation's own tags (!Ref, !GetAtt ...) become None: nothing here asks what they stand for."""


_Loader.add_multi_constructor("!", lambda _loader, _tag, _node: None)


def parameters(template: Path = TEMPLATE) -> dict[str, Any]:
    """Every parameter's default, by name."""
    return {name: parameter.get("Default") for name, parameter in _load(template)["Parameters"].items()}


def for_processor(architecture: str, template: Path = TEMPLATE) -> str:
    """The template's text, with this processor in the one place that names one."""
    text, found = re.subn(r"(?<=Processor: \{ Architecture: )\w+(?= \})", architecture, template.read_text())
    if found != 1:
        raise ValueError(f"{template} names its processor in {found} places")
    return text


def functions(template: Path = TEMPLATE) -> dict[str, str]:
    """Every function's logical id, by its folder (`videodb/upload`)."""
    return {
        resource["Properties"]["CodeUri"].removeprefix("functions/").rstrip("/"): name
        for name, resource in _load(template)["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def memory(template: Path = TEMPLATE) -> dict[str, int]:
    """Every function's memory in MB, by its folder."""
    loaded = _load(template)
    general = loaded["Globals"]["Function"]["MemorySize"]
    workers = loaded["Parameters"]["WorkerMemory"]["Default"]  # the one parameter that a function's memory refers to
    return {
        resource["Properties"]["CodeUri"].removeprefix("functions/").rstrip("/"): (
            resource["Properties"].get("MemorySize", general) or workers
        )
        for resource in loaded["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def callbacks(template: Path = TEMPLATE) -> list[str]:
    """Every callback, as `provider/callback`: the functions that platforms call."""
    return sorted(
        resource["Properties"]["CodeUri"].removeprefix("functions/").rstrip("/")
        for resource in _load(template)["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        and any(
            event["Properties"].get("Path", "").startswith("/callbacks/")
            for event in resource["Properties"].get("Events", {}).values()
        )
    )


def _load(template: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(template.read_text(), _Loader)  # noqa: S506 - it is a safe one
    return loaded
