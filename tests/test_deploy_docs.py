"""What the docs say about deploying, operating and paying is what the template has."""

import json
import re

import pytest

from tests.cloudformation import PARAMETERS, ROOT, TEMPLATE, resources
from tests.translation import translated

DEPLOY = (ROOT / "docs/deploy.md").read_text()
SERVICES = {"ApiGatewayV2": "apigateway", "IAM": "iam", "KMS": "kms"}
"""What IAM calls a service, where it is not what CloudFormation calls it."""
ROLES_AND_POLICIES = {
    f"iam:{action}"
    for action in (
        *("CreateRole", "GetRole", "UpdateRole", "DeleteRole", "PassRole", "PutRolePolicy", "DeleteRolePolicy"),
        *("AttachRolePolicy", "DetachRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"),
        *("CreatePolicy", "GetPolicy", "DeletePolicy", "CreatePolicyVersion", "DeletePolicyVersion"),
        *("ListPolicyVersions", "ListEntitiesForPolicy"),
    )
}
"""What CloudFormation calls to make, change, roll back and delete a role or a managed policy."""


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of docs/deploy.md, without its head."""
    lines = DEPLOY.split(f"\n{heading}\n")[1].splitlines()
    rows = [line for line in lines[: next_heading(lines)] if line.startswith("|")]
    first = rows.index("|---|---|---|") if "|---|---|---|" in rows else rows.index("|---|---|")
    width = rows[first].count("|")
    return [
        [cell.strip() for cell in row.strip("|").split("|")] for row in rows[first + 1 :] if row.count("|") == width
    ]


def next_heading(lines: list[str]) -> int:
    return next((number for number, line in enumerate(lines) if line.startswith("#")), len(lines))


def test_every_parameter_stands_in_the_table_with_its_default() -> None:
    rows = [row for row in table("### Parameters") if row[0].strip("`") in PARAMETERS]
    assert [(name, default) for name, default, _ in rows] == [
        (f"`{name}`", f"`{parameter['Default']}`" if parameter["Default"] != "" else "empty")
        for name, parameter in PARAMETERS.items()
    ]


def test_what_is_asked_is_written_down_as_it_is_asked() -> None:
    asked = re.findall(r"^    Parameter (\w+) \[(.*)\]:$", DEPLOY, re.MULTILINE)
    assert asked == [(name, str(parameter["Default"])) for name, parameter in PARAMETERS.items()]


def test_every_output_stands_in_its_table() -> None:
    assert [row[0] for row in table("### Outputs")] == [f"`{name}`" for name in TEMPLATE["Outputs"]]


@pytest.mark.parametrize("page", [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")] + ["README.md"])
def test_every_output_and_parameter_that_is_named_exists(page: str) -> None:
    if page == "docs/decisions.md":  # what once was stays written there
        return
    text = (ROOT / page).read_text()
    outputs = re.findall(r"outputs? `(\w+)`", text) + re.findall(
        r"<([A-Z]\w+(?:Secret|SecretName|BusName|Table))>", text
    )
    assert set(outputs) <= TEMPLATE["Outputs"].keys()
    given = re.findall(r"\b([A-Z]\w+)=(?=[^=\s])", re.sub(r"[A-Z_]+=", "", text))
    assert {
        name for name in given if name not in ("Enabled", "AttributeName", "PointInTimeRecoveryEnabled")
    } <= PARAMETERS.keys()


def test_who_deploys_may_do_what_the_template_needs() -> None:
    (policy,) = re.findall(r"```json\n(.*?)```", DEPLOY, re.DOTALL)
    allowed = {action.split(":")[0] for statement in json.loads(policy)["Statement"] for action in statement["Action"]}
    kinds = {resource["Type"].split("::")[1] for resource in translated()["Resources"].values()}
    named = {action for statement in json.loads(policy)["Statement"] for action in statement["Action"]}
    assert named >= ROLES_AND_POLICIES
    assert allowed == {SERVICES.get(kind, kind.lower()) for kind in kinds} | {"cloudformation", "s3"}


def test_every_alarm_is_explained() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    alarms = {name for name, r in resources().items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    of_queues = {name for name in alarms if name.endswith(("StandsAlarm", "DeadLettersAlarm"))}
    explained = set(re.findall(r"`(\w+Alarm)`", page))
    assert explained <= alarms
    assert alarms - of_queues <= explained


def test_an_alarm_of_dead_letters_says_where_to_read_on() -> None:
    for name, resource in resources().items():
        if name.endswith("DeadLettersAlarm"):
            assert resource["Properties"]["AlarmDescription"].endswith("See docs/operations.md")


def test_the_cost_of_alarms_is_counted() -> None:
    alarms = [r["Properties"] for r in resources().values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    metrics = sum(len([m for m in alarm.get("Metrics", []) if "MetricStat" in m]) or 1 for alarm in alarms)
    page = (ROOT / "docs/cost.md").read_text()
    assert f"{metrics} metrics in {len(alarms)} alarms | {metrics / 10:.2f} |" in page
