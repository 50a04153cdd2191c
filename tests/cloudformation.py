"""template.yaml as data, for tests that look at it and tests that make what it describes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.translation import translated

ROOT = Path(__file__).resolve().parent.parent


class _Loader(yaml.SafeLoader):
    """Intrinsic functions as mappings of one key: `!Ref Jobs` is {"Ref": "Jobs"}."""


def _intrinsic(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    match node:
        case yaml.ScalarNode():
            return {name: loader.construct_scalar(node)}
        case yaml.SequenceNode():
            return {name: loader.construct_sequence(node, deep=True)}
        case yaml.MappingNode():
            return {name: loader.construct_mapping(node, deep=True)}
    raise TypeError(node)


_Loader.add_multi_constructor("!", _intrinsic)

TEMPLATE: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]


PARTS = ("worker", "api", "mns")
"""What a platform's folder has besides its callbacks."""


def folders() -> list[str]:
    """Every function's folder: "videodb/upload", or "api"."""
    return sorted(str(app.parent.relative_to(ROOT / "functions")) for app in ROOT.glob("functions/**/app.py"))


def callbacks() -> list[str]:
    """Every callback: "videodb/upload"."""
    return [
        name for name in folders() if name.split("/")[0] not in ("api", "pipeline") and name.split("/")[1] not in PARTS
    ]


def of_type(kind: str) -> dict[str, Any]:
    """The properties of all resources of a type, by logical id."""
    return {name: r.get("Properties", {}) for name, r in RESOURCES.items() if r["Type"] == kind}


def resources(**parameters: str | int) -> dict[str, Any]:
    """The resources that CloudFormation makes with these parameters, and the others' defaults, by logical id.

    Parameters, conditions and mappings are put in; references to resources, and functions of them, stay.
    """
    return _with(parameters)["Resources"]  # type: ignore[no-any-return]


def outputs(**parameters: str | int) -> dict[str, Any]:
    """The stack's outputs with these parameters."""
    return _with(parameters)["Outputs"]  # type: ignore[no-any-return]


def refused(**parameters: str | int) -> list[str]:
    """Why CloudFormation does not take these parameters, in the template's words; empty if it does."""
    template, values = translated(), _values(parameters)
    forms = [
        f"{name} {definition.get('ConstraintDescription')}"
        for name, definition in template["Parameters"].items()
        if not _fits(definition, values[name])
    ]
    rules = [
        str(assertion["AssertDescription"])
        for rule in template["Rules"].values()
        if "RuleCondition" not in rule or _holds(rule["RuleCondition"], values, {})
        for assertion in rule["Assertions"]
        if not _holds(assertion["Assert"], values, {})
    ]
    return forms + rules


_ABSENT: Any = object()
"""AWS::NoValue: as if the property were not there."""


def _with(parameters: Mapping[str, str | int]) -> dict[str, Any]:
    template, values = translated(), _values(parameters)
    conditions = template["Conditions"]
    kept = {
        part: {
            name: each
            for name, each in template[part].items()
            if "Condition" not in each or _holds(conditions[each["Condition"]], values, conditions)
        }
        for part in ("Resources", "Outputs")
    }
    resolved: dict[str, Any] = _resolved(kept, values, template)
    return resolved


def _values(parameters: Mapping[str, str | int]) -> dict[str, str]:
    definitions = translated()["Parameters"]
    assert not parameters.keys() - definitions.keys()
    return {name: str(parameters.get(name, definition["Default"])) for name, definition in definitions.items()}


def _fits(definition: Mapping[str, Any], value: str) -> bool:
    if definition["Type"] == "Number":
        return bool(definition.get("MinValue", 0) <= float(value) <= definition.get("MaxValue", float("inf")))
    allowed = value in map(str, definition.get("AllowedValues", [value]))
    # Java's patterns, in what both languages have: CloudFormation lets one match the whole value
    return allowed and re.fullmatch(definition.get("AllowedPattern", ".*"), value, re.ASCII) is not None


def _holds(expression: Any, values: Mapping[str, str], conditions: Mapping[str, Any]) -> bool:
    match expression:
        case {"Fn::Equals": [one, other]}:
            return _plain(one, values) == _plain(other, values)
        case {"Fn::Not": [other]}:
            return not _holds(other, values, conditions)
        case {"Fn::And": several}:
            return all(_holds(each, values, conditions) for each in several)
        case {"Fn::Or": several}:
            return any(_holds(each, values, conditions) for each in several)
        case {"Condition": name}:
            return _holds(conditions[name], values, conditions)
    raise AssertionError(f"not a condition: {expression}")


def _plain(value: Any, values: Mapping[str, str]) -> str:
    return values[value["Ref"]] if isinstance(value, dict) else str(value)


def _resolved(node: Any, values: Mapping[str, str], template: Mapping[str, Any]) -> Any:
    match node:
        case {"Fn::If": [name, yes, no]}:
            chosen = yes if _holds({"Condition": name}, values, template["Conditions"]) else no
            return _resolved(chosen, values, template)
        case dict() if len(node) == 1 and (found := _computed(node, values, template)) is not None:
            return found
        case dict():
            made = {key: _resolved(part, values, template) for key, part in node.items()}
            return {key: part for key, part in made.items() if part is not _ABSENT}
        case list():
            parts = [_resolved(part, values, template) for part in node]
            return [part for part in parts if part is not _ABSENT]
        case _:
            return node


def _computed(node: Mapping[str, Any], values: Mapping[str, str], template: Mapping[str, Any]) -> Any:
    """What a function of parameters or a mapping stands for; None if it is none."""
    match node:
        case {"Ref": "AWS::NoValue"}:
            return _ABSENT
        case {"Ref": name}:
            return values.get(name)
        case {"Fn::FindInMap": [mapping, first, second]}:
            return template["Mappings"][mapping][first][second]
        case {"Fn::Select": [index, {"Fn::Split": [mark, text]}]}:
            return _resolved(text, values, template).split(mark)[int(index)]
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": re.sub(r"\$\{(\w+)\}", lambda m: values.get(m[1], m[0]), text)}
        case _:
            return None
