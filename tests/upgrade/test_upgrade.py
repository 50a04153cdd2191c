"""From release 1.0 on a release can be deployed over the last one, and older code waits for what it does not know."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from video_jobs import __version__, versions
from video_jobs.jobs.model import Job

from tests.cloudformation import ROOT
from tests.translation import Template, translated
from tests.upgrade import contracts, record
from tests.upgrade.breaks import HOLDS, breaks

RELEASE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Rate: { Type: Number, Default: 5, MinValue: 1, MaxValue: 10 }
  Level: { Type: String, Default: INFO, AllowedValues: [DEBUG, INFO] }
  Place: { Type: String, Default: "" }
Conditions:
  HasPlace: !Not [!Equals [!Ref Place, ""]]
Resources:
  Api: { Type: AWS::Serverless::HttpApi, Properties: { Description: The API } }
  Worker:
    Type: AWS::Serverless::Function
    Properties: { Runtime: python3.13, Handler: app.handler, CodeUri: functions/worker }
  Keys:
    Type: AWS::SecretsManager::Secret
    Properties:
      Description: Keys
      GenerateSecretString: { SecretStringTemplate: "{}", GenerateStringKey: default, PasswordLength: 40 }
  Empty: { Type: AWS::SecretsManager::Secret, Properties: { SecretString: "{}" } }
  Table:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: RetainExceptOnCreate
    UpdateReplacePolicy: Retain
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - { AttributeName: pk, AttributeType: S }
        - { AttributeName: sk, AttributeType: S }
        - { AttributeName: listing, AttributeType: S }
        - { AttributeName: open, AttributeType: S }
      KeySchema: [{ AttributeName: pk, KeyType: HASH }, { AttributeName: sk, KeyType: RANGE }]
      GlobalSecondaryIndexes:
        - IndexName: listing
          KeySchema: [{ AttributeName: listing, KeyType: HASH }]
          Projection: { ProjectionType: INCLUDE, NonKeyAttributes: [status, source] }
        - IndexName: open
          KeySchema: [{ AttributeName: open, KeyType: HASH }]
          Projection: { ProjectionType: KEYS_ONLY }
      TimeToLiveSpecification: { AttributeName: expires_at, Enabled: true }
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      SqsManagedSseEnabled: true
      RedrivePolicy: { deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 150 }
  DeadLetters: { Type: AWS::SQS::Queue, Properties: { KmsMasterKeyId: alias/aws/sqs } }
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: !Ref AWS::StackName } }
  Logs: { Type: AWS::Logs::LogGroup, Properties: { RetentionInDays: 30 } }
  Topic: { Type: AWS::SNS::Topic, Properties: { DisplayName: Alarms } }
  WriteLogs:
    Type: AWS::IAM::ManagedPolicy
    Properties: { PolicyDocument: { Version: "2012-10-17", Statement: [] } }
Outputs:
  ApiUrl: { Value: !GetAtt Api.ApiEndpoint }
  TableName: { Value: !Ref Table, Export: { Name: !Sub "${AWS::StackName}-table" } }
"""
"""A small release, with one resource of each type that the real one has."""


@pytest.fixture(scope="module")
def _release() -> Template:
    return translated(RELEASE)


@pytest.fixture
def release(_release: Template) -> Template:
    """The release, which a test may change."""
    return copy.deepcopy(_release)


def set_in(*path: str | int, to: Any) -> Callable[[Template], None]:
    """A change of a template: the value at this path."""

    def change(template: Template) -> None:
        part: Any = template
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = to

    return change


def without(*path: str | int) -> Callable[[Template], None]:
    def change(template: Template) -> None:
        part: Any = template
        for step in path[:-1]:
            part = part[step]
        del part[path[-1]]

    return change


def renamed(part: str, name: str, to: str) -> Callable[[Template], None]:
    def change(template: Template) -> None:
        template[part][to] = template[part].pop(name)

    return change


def both(*changes: Callable[[Template], None]) -> Callable[[Template], None]:
    def change(template: Template) -> None:
        for each in changes:
            each(template)

    return change


TABLE = ("Resources", "Table", "Properties")
INDEXES = (*TABLE, "GlobalSecondaryIndexes")
ANOTHER_INDEX = {
    "IndexName": "another",
    "KeySchema": [{"AttributeName": "open", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


def added_index(template: Template) -> None:
    template["Resources"]["Table"]["Properties"]["GlobalSecondaryIndexes"].append(ANOTHER_INDEX)


GOOD: dict[str, Callable[[Template], None]] = {
    "nothing": lambda _template: None,
    "a new queue": set_in("Resources", "Another", to={"Type": "AWS::SQS::Queue"}),
    "a function goes": without("Resources", "Worker"),
    "another policy": set_in("Resources", "WriteLogs", "Properties", "PolicyDocument", "Statement", to=["x"]),
    "a policy goes": without("Resources", "WriteLogs"),
    "an index is added": added_index,
    "an index is removed": without(*INDEXES, 1),
    "the same keys, written otherwise": set_in(
        *TABLE,
        "KeySchema",
        to=[{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}],
    ),
    "the same attributes of an index, in another order": set_in(
        *INDEXES, 0, "Projection", "NonKeyAttributes", to=["source", "status"]
    ),
    "an attribute for a new index": set_in(*TABLE, "AttributeDefinitions", 4 - 1, "AttributeName", to="open"),
    "a queue keeps messages for longer": set_in(
        "Resources", "Queue", "Properties", "MessageRetentionPeriod", to=1209600
    ),
    "another key encrypts a queue": set_in("Resources", "Queue", "Properties", "KmsMasterKeyId", to="alias/ours"),
    "a secret's description": set_in("Resources", "Keys", "Properties", "Description", to="The keys"),
    "a secret's key": set_in("Resources", "Keys", "Properties", "KmsKeyId", to="alias/ours"),
    "the table is kept in every case": set_in("Resources", "Table", "DeletionPolicy", to="Retain"),
    "logs are kept for longer": set_in("Resources", "Logs", "Properties", "RetentionInDays", to=90),
    "an output more": set_in("Outputs", "More", to={"Value": "1"}),
    "a parameter more, with a default": set_in("Parameters", "More", to={"Type": "String", "Default": ""}),
    "another default": set_in("Parameters", "Rate", "Default", to=7),
    "wider bounds": both(
        set_in("Parameters", "Rate", "MaxValue", to=20),
        set_in("Parameters", "Rate", "MinValue", to=0),
        set_in("Parameters", "Level", "AllowedValues", to=["DEBUG", "INFO", "ERROR"]),
    ),
    "no bounds": both(without("Parameters", "Rate", "MaxValue"), without("Parameters", "Level", "AllowedValues")),
}


@pytest.mark.parametrize("change", GOOD.values(), ids=list(GOOD))
def test_what_can_be_deployed_over_the_last_release_is_passed_over(
    release: Template, change: Callable[[Template], None]
) -> None:
    new = copy.deepcopy(release)
    change(new)

    assert breaks(release, new) == []


BAD: dict[str, tuple[Callable[[Template], None], str]] = {
    "a partition key": (
        set_in(*TABLE, "KeySchema", 0, "AttributeName", to="job_id"),
        "Table.KeySchema has changed: CloudFormation replaces Table, which loses every job and batch. "
        "Leave it as it was.",
    ),
    "no sort key": (without(*TABLE, "KeySchema", 1), "Table.KeySchema has changed: CloudFormation replaces Table"),
    "the type of a key": (
        set_in(*TABLE, "AttributeDefinitions", 0, "AttributeType", to="B"),
        "Table: the attribute pk was of type S and is of type B: CloudFormation replaces Table",
    ),
    "a name for the table": (
        set_in(*TABLE, "TableName", to="jobs"),
        "Table.TableName has changed: CloudFormation replaces Table, which loses every job and batch. "
        "Leave it as it was. A fixed name also keeps a second stack from being deployed.",
    ),
    "a local index": (set_in(*TABLE, "LocalSecondaryIndexes", to=[{}]), "Table.LocalSecondaryIndexes has changed"),
    "two indexes are made": (
        both(added_index, set_in(*INDEXES, 1, "IndexName", to="opened")),
        "Table: more than one index changes (another is made, opened is made, open is removed): "
        "DynamoDB takes one at a time, so the update fails. Change one in this release, and the next one in another.",
    ),
    "an index is renamed": (
        set_in(*INDEXES, 1, "IndexName", to="opened"),
        "Table: more than one index changes (opened is made, open is removed)",
    ),
    "an index has another key": (
        set_in(*INDEXES, 1, "KeySchema", 0, "AttributeName", to="listing"),
        "Table: the index open has other keys or attributes: DynamoDB cannot change an index. "
        "Make another one beside it, and remove this one in the release after the next.",
    ),
    "an index projects more": (
        set_in(*INDEXES, 0, "Projection", "NonKeyAttributes", to=["status", "source", "batch"]),
        "Table: the index listing has other keys or attributes",
    ),
    "another attribute tells what expires": (
        set_in(*TABLE, "TimeToLiveSpecification", "AttributeName", to="gone_at"),
        "Table: what expires is told by gone_at instead of expires_at: DynamoDB refuses to change that while it is on",
    ),
    "the table is not kept": (
        without("Resources", "Table", "DeletionPolicy"),
        "Table.DeletionPolicy was RetainExceptOnCreate and is Delete: what the last release has promised to keep is "
        "deleted with the stack. Leave it as it was.",
    ),
    "the table is not kept when replaced": (
        set_in("Resources", "Table", "UpdateReplacePolicy", to="Snapshot"),
        "Table.UpdateReplacePolicy was Retain and is Snapshot",
    ),
    **{
        f"{name} is renamed": (
            renamed("Resources", name, f"{name}Anew"),
            f"{name} ({kind}) is gone or has another logical id: CloudFormation deletes it, or lets go of it, and with "
            f"it {HOLDS[kind]}. Keep its logical id.",
        )
        for name, kind in {
            "Api": "AWS::ApiGatewayV2::Api",
            "Table": "AWS::DynamoDB::Table",
            "Queue": "AWS::SQS::Queue",
            "DeadLetters": "AWS::SQS::Queue",
            "Keys": "AWS::SecretsManager::Secret",
            "Bus": "AWS::Events::EventBus",
            "Logs": "AWS::Logs::LogGroup",
            "Topic": "AWS::SNS::Topic",
        }.items()
    },
    "another type under the same logical id": (
        set_in("Resources", "Worker", to={"Type": "AWS::StepFunctions::StateMachine"}),
        "Worker was of type AWS::Lambda::Function and is of type AWS::StepFunctions::StateMachine: CloudFormation "
        "refuses such an update. Give the new resource a logical id of its own.",
    ),
    "a queue becomes FIFO": (
        set_in("Resources", "Queue", "Properties", "FifoQueue", to=True),
        "Queue.FifoQueue has changed: CloudFormation replaces Queue, which loses messages that wait.",
    ),
    "a queue gets a name": (
        set_in("Resources", "Queue", "Properties", "QueueName", to="steps"),
        "Queue.QueueName has changed",
    ),
    "a bus gets another name": (
        set_in("Resources", "Bus", "Properties", "Name", to="video-jobs"),
        "Bus.Name has changed: CloudFormation replaces Bus, which loses the rules of others.",
    ),
    "a log group gets a name": (
        set_in("Resources", "Logs", "Properties", "LogGroupName", to="/aws/jobs"),
        "Logs.LogGroupName has changed",
    ),
    "a topic becomes FIFO": (
        set_in("Resources", "Topic", "Properties", "FifoTopic", to=True),
        "Topic.FifoTopic has changed",
    ),
    "a policy gets a name, which another stack may have": (
        set_in("Resources", "WriteLogs", "Properties", "ManagedPolicyName", to="write-logs"),
        "WriteLogs.ManagedPolicyName has changed: CloudFormation replaces WriteLogs. Leave it as it was.",
    ),
    "a function gets a name": (
        set_in("Resources", "Worker", "Properties", "FunctionName", to="worker"),
        "Worker.FunctionName has changed",
    ),
    "a secret is made of more letters": (
        set_in("Resources", "Keys", "Properties", "GenerateSecretString", "PasswordLength", to=44),
        "Keys: what its first value is made of has changed: CloudFormation makes a new value and puts it over the one "
        "that people use. Leave GenerateSecretString and SecretString as they were.",
    ),
    "a secret that people fill gets another first value": (
        set_in("Resources", "Empty", "Properties", "SecretString", to='{"api_key": ""}'),
        "Empty: what its first value is made of has changed",
    ),
    "a secret that people fill is made": (
        both(
            without("Resources", "Empty", "Properties", "SecretString"),
            set_in("Resources", "Empty", "Properties", "GenerateSecretString", to={}),
        ),
        "Empty: what its first value is made of has changed",
    ),
    "a secret gets a name": (set_in("Resources", "Keys", "Properties", "Name", to="keys"), "Keys.Name has changed"),
    "a queue is not encrypted": (
        set_in("Resources", "Queue", "Properties", "SqsManagedSseEnabled", to=False),
        "Queue is not encrypted by SqsManagedSseEnabled any more. Leave it as it was.",
    ),
    "a queue loses its key": (
        without("Resources", "DeadLetters", "Properties", "KmsMasterKeyId"),
        "DeadLetters is not encrypted by KmsMasterKeyId any more",
    ),
    "a queue is there on a condition": (
        set_in("Resources", "Queue", "Condition", to="HasPlace"),
        "Queue is there on the condition HasPlace only: where that does not hold, a stack loses messages that wait. "
        "Leave it out of conditions.",
    ),
    "an output is renamed": (
        renamed("Outputs", "ApiUrl", "Url"),
        "The output ApiUrl is gone: what others read it from breaks. Keep its name.",
    ),
    "an export is renamed": (
        set_in("Outputs", "TableName", "Export", "Name", to="table"),
        "The output TableName is exported under another name, or not any more: stacks that import it block it.",
    ),
    "an output is exported no more": (
        without("Outputs", "TableName", "Export"),
        "The output TableName is exported under another name",
    ),
    "a parameter goes": (
        without("Parameters", "Place"),
        "The parameter Place is gone: whoever has it in a samconfig.toml cannot deploy. Keep it, say in its "
        "description that it does nothing, and remove it with the next major release.",
    ),
    "a parameter without a default": (
        set_in("Parameters", "More", to={"Type": "String"}),
        "The parameter More is new and has no default: an update that does not name it fails. Give it one.",
    ),
    "a default goes": (
        without("Parameters", "Rate", "Default"),
        "The parameter Rate has no default any more: a deployment that does not name it fails. Give it one.",
    ),
    "a parameter of another type": (
        set_in("Parameters", "Place", "Type", to="Number"),
        "The parameter Place was a String and is a Number: values that were given may not fit.",
    ),
    "a value less": (
        set_in("Parameters", "Level", "AllowedValues", to=["INFO"]),
        "The parameter Level does not take DEBUG any more: stacks with it cannot update.",
    ),
    "only certain values": (
        set_in("Parameters", "Place", "AllowedValues", to=["", "here"]),
        "The parameter Place takes certain values only, which it did not: stacks with others cannot update.",
    ),
    "a smaller maximum": (
        set_in("Parameters", "Rate", "MaxValue", to=9),
        "The parameter Rate has a narrower MaxValue: stacks that use what is beyond it cannot update.",
    ),
    "a greater minimum": (
        set_in("Parameters", "Rate", "MinValue", to=2),
        "The parameter Rate has a narrower MinValue",
    ),
    "a first maximum": (
        set_in("Parameters", "Place", "MaxLength", to=9),
        "The parameter Place has a narrower MaxLength",
    ),
    "a pattern": (
        set_in("Parameters", "Place", "AllowedPattern", to="https://.*"),
        "The parameter Place has another AllowedPattern: stacks whose value it does not match cannot update.",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), BAD.values(), ids=list(BAD))
def test_what_cannot_be_deployed_over_the_last_release_is_named(
    release: Template, change: Callable[[Template], None], sentence: str
) -> None:
    new = copy.deepcopy(release)
    change(new)

    assert [found for found in breaks(release, new) if found.startswith(sentence)], breaks(release, new)


def test_each_thing_that_goes_wrong_is_named_by_itself(release: Template) -> None:
    new = copy.deepcopy(release)
    for name in ("a partition key", "a queue becomes FIFO", "a secret gets a name", "an output is renamed"):
        BAD[name][0](new)

    assert len(breaks(release, new)) == 4


# --- Our own template ------------------------------------------------------------------------------------------------


def test_our_own_template_can_be_deployed_over_itself() -> None:
    assert breaks(translated(), translated()) == []


def test_every_type_of_our_template_that_holds_something_is_known() -> None:
    # nothing is lost with these if they are made anew; a new type is added here, or to those that hold something
    holds_nothing = (
        "AWS::ApiGatewayV2::",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::IAM::",
        "AWS::Lambda::",
        "AWS::Logs::MetricFilter",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::Scheduler::Schedule",
    )
    kinds = {resource["Type"] for resource in translated()["Resources"].values()}
    assert [kind for kind in sorted(kinds) if kind not in HOLDS and not kind.startswith(holds_nothing)] == []


def test_this_release_can_be_deployed_over_the_last_one() -> None:
    last = record.baseline()
    if last is None:
        assert int(__version__.split(".")[0]) < 1, (
            f"Release {__version__} promises upgrades, and there is no release to compare it with. "
            "Record it: python -m tests.upgrade.record baseline"
        )
        return
    assert breaks(last["template"], translated()) == []


def test_a_release_is_recorded_and_the_next_one_compared_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: Template
) -> None:
    monkeypatch.setattr(record, "BASELINE", tmp_path / "baseline.json")
    monkeypatch.setattr(record, "translated", lambda: release)
    monkeypatch.setattr(sys, "argv", ["record", "baseline"])
    assert record.baseline() is None
    record.main()
    assert record.baseline() == {"release": __version__, "template": release}

    record.main()  # nothing has changed
    release["Resources"]["Queue"]["Properties"]["FifoQueue"] = True
    with pytest.raises(SystemExit, match=r"cannot be deployed over release .*\n.*Queue.FifoQueue has changed"):
        record.main()


# --- Messages and items ----------------------------------------------------------------------------------------------


def test_the_forms_of_messages_and_items_are_those_that_are_recorded() -> None:
    recorded = json.loads(record.CONTRACTS.read_text())

    assert contracts.breaches(recorded, contracts.current()) == []


def test_the_newest_version_of_a_queues_messages_is_the_one_that_its_readers_know() -> None:
    newest: dict[str, int] = {}
    for name, form in contracts.current().items():
        part, kind = name.split("/")[:2]
        if part == "messages":
            newest[kind] = max(newest.get(kind, 0), form["version"])

    assert newest == dict(versions.MESSAGES)


WORK = "messages/batches/work"
RECORDED = {
    WORK: {"version": 1, "form": {"work_id": "str"}},
    "messages/batches/batch": {"version": 2, "form": {}},
    "items/job": {"version": 1, "form": {"pk": "S"}},
}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        pytest.param(
            {WORK: {"version": 1, "form": {}}},
            f"{WORK} has another form, and still version 1. If code of the last release would go wrong with it, raise "
            "its version",
            id="another form",
        ),
        pytest.param(
            {WORK: {"version": 2, "form": {}}}, f"{WORK} has version 2 now, and 1 is recorded. Record it", id="raised"
        ),
        pytest.param(
            {"messages/batches/batch": {"version": 1, "form": {}}},
            "messages/batches/batch has version 1 after 2: numbers only grow",
            id="lowered",
        ),
        pytest.param({"items/job": None}, "items/job is gone, but what the last release has written", id="gone"),
        pytest.param({"items/new": {"version": 1, "form": {}}}, "items/new is new and not recorded", id="a new item"),
        pytest.param(
            {"messages/batches/other": {"version": 2, "form": {}}},
            "messages/batches/other is a new kind of message with version 2, which code of the last release takes "
            "for one that it knows. Give it version 3.",
            id="a new kind of message",
        ),
        pytest.param(
            {"messages/inbox/callback": {"version": 1, "form": {}}},
            "messages/inbox/callback is new and not recorded",
            id="a new queue",
        ),
    ],
)
def test_a_form_that_is_not_the_recorded_one_is_named_with_what_to_do(changed: Any, sentence: str) -> None:
    now = {name: form for name, form in (RECORDED | changed).items() if form is not None}

    found = contracts.breaches(RECORDED, now)

    assert [each for each in found if each.startswith(sentence)], found


def test_recorded_forms_are_no_breach() -> None:
    assert contracts.breaches(RECORDED, copy.deepcopy(RECORDED)) == []


def test_a_changed_field_is_a_changed_form_and_a_changed_explanation_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Explained(Job):
        """In other words."""

    class Longer(Job):
        since: str | None = None

    def with_job(model: Any) -> list[str]:
        model.__name__ = "Job"
        monkeypatch.setattr(contracts, "MODELS", {**contracts.MODELS, "job": (model, *contracts.MODELS["job"][1:])})
        return contracts.breaches(before, contracts.current())

    before = contracts.current()
    assert with_job(Explained) == []
    (sentence,) = with_job(Longer)
    assert sentence.startswith("items/job has another form, and still version 1.")


def test_the_command_that_records_says_what_it_can_do() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tests.upgrade.record", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "{contracts,baseline}" in said.stdout
