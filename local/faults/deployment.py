"""What template.yaml deploys, as far as a run needs it: functions, queues, the table's indexes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from local.faults.queues import Queue
from local.template import TEMPLATE

REGION = "us-east-1"
ACCOUNT = "123456789012"
TABLE = "jobs"
BASE_URL = "https://jobs.example.com"
OVERRIDES = {
    "TABLE_NAME": TABLE,
    "CALLBACK_BASE_URL": BASE_URL,
    "APSARAVIDEO_CALLBACK_URL": f"{BASE_URL}/callbacks/apsaravideo/upload-by-url-complete",
    "EVENT_BUS": "bus",
}
"""Variables that the template makes of conditions."""
AWS_OWN = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "POWERTOOLS_SERVICE_NAME": "video-jobs",
    "POWERTOOLS_METRICS_NAMESPACE": "VideoJobs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    folder: str
    """"videodb/worker"."""
    timeout: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What hands a queue's messages to a function."""

    queue: str
    function: str
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    functions: Mapping[str, Function]
    """By their folder."""
    routes: Mapping[str, str]
    """A callback's path, and its function's folder."""
    sources: tuple[Source, ...]
    scheduled: Mapping[str, int]
    """Functions that are run ever again, and after how many seconds."""
    indexes: Mapping[str, tuple[str, str]]
    secrets: Mapping[str, str]
    """The name of each secret, by the variables that hold it."""
    _queues: Mapping[str, Mapping[str, Any]]

    def queues(self) -> dict[str, Queue]:
        """Empty queues, by name."""
        found = {
            name: Queue(
                name=name,
                visibility=properties.get("VisibilityTimeout", 30),
                retention=properties.get("MessageRetentionPeriod", 345_600),
            )
            for name, properties in self._queues.items()
        }
        for name, properties in self._queues.items():
            if policy := properties.get("RedrivePolicy"):
                found[name].most_receives = policy["maxReceiveCount"]
                found[name].dead_letters = found[_named(policy["deadLetterTargetArn"])]
        return found


@dataclass(frozen=True, slots=True)
class _Tagged:
    """One of CloudFormation's own tags: `!Ref Jobs`."""

    tag: str
    value: str | None


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_multi_constructor(
    "!", lambda _loader, tag, node: _Tagged(tag, node.value if isinstance(node, yaml.ScalarNode) else None)
)


def _named(reference: _Tagged) -> str:
    return (reference.value or "").split(".", maxsplit=1)[0]


@cache
def deployment() -> Deployment:
    """What the template says today."""
    template = yaml.load(TEMPLATE.read_text(), _Loader)  # noqa: S506 - it is a safe one
    resources = template["Resources"]
    parameters = {name: str(one.get("Default", "")) for name, one in template["Parameters"].items()}
    everywhere = template["Globals"]["Function"]
    functions: dict[str, Function] = {}
    routes: dict[str, str] = {}
    sources: list[Source] = []
    scheduled: dict[str, int] = {}
    secrets: dict[str, str] = {}
    for resource in resources.values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        properties = resource["Properties"]
        folder = properties["CodeUri"].removeprefix("functions/").rstrip("/")
        own = properties.get("Environment", {}).get("Variables", {})
        variables = {**everywhere["Environment"]["Variables"], **own}
        secrets |= {name: _named(value) for name, value in own.items() if _is_secret(value, resources)}
        functions[folder] = Function(
            folder=folder,
            timeout=properties.get("Timeout", everywhere["Timeout"]),
            environment={name: _resolved(name, value, resources, parameters) for name, value in variables.items()},
        )
        for event in properties.get("Events", {}).values():
            said = event["Properties"]
            match event["Type"]:
                case "SQS":
                    sources.append(Source(queue=_named(said["Queue"]), function=folder, most=said["BatchSize"]))
                case "HttpApi" if said["Path"].startswith("/callbacks/"):
                    routes[said["Path"]] = folder
                case "ScheduleV2":
                    scheduled[folder] = 60 * int(_rate(said["ScheduleExpression"], parameters))
    return Deployment(
        functions=functions,
        routes=routes,
        sources=tuple(sources),
        scheduled=scheduled,
        indexes={
            index["IndexName"]: (index["KeySchema"][0]["AttributeName"], index["KeySchema"][1]["AttributeName"])
            for index in resources["Jobs"]["Properties"]["GlobalSecondaryIndexes"]
        },
        secrets=secrets,
        _queues={name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::SQS::Queue"},
    )


def _is_secret(value: Any, resources: Mapping[str, Any]) -> bool:
    if not isinstance(value, _Tagged):
        return False
    return bool(resources.get(value.value or "", {}).get("Type") == "AWS::SecretsManager::Secret")


def _resolved(name: str, value: Any, resources: Mapping[str, Any], parameters: Mapping[str, str]) -> str:
    if name in OVERRIDES:
        return OVERRIDES[name]
    if not isinstance(value, _Tagged):
        return str(value)
    if value.tag != "Ref" or value.value is None:
        raise ValueError(f"{name}: nobody here knows what its tag !{value.tag} comes to")
    kind = resources.get(value.value, {}).get("Type")
    if kind == "AWS::SQS::Queue":
        return queue_url(value.value)
    return parameters.get(value.value, value.value)


def queue_url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"


def _rate(expression: Any, parameters: Mapping[str, str]) -> str:
    text = parameters[_named(expression)] if isinstance(expression, _Tagged) else str(expression)
    return text.removeprefix("rate(").split()[0]
