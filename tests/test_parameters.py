"""What an operator may choose, what is refused before anything is changed, and what each choice changes."""

import json
import re
import subprocess
from typing import Any

import pytest

from local.commands import TOOLS
from tests.cloudformation import PARAMETERS, ROOT, TEMPLATE, outputs, refused, resources
from tests.translation import translated

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOUNDARY = "arn:aws:iam::123456789012:policy/teams/boundary"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"
RESTORED = "arn:aws:dynamodb:eu-west-1:123456789012:table/jobs-restored"
LOCAL = {"AwsEndpointUrl": "http://127.0.0.1:4566"}
ONLY_LOCAL = ["AwsEndpointUrl", "NotifyAllowPrivate", "AdoptionWaits"]


def of_type(kind: str, **parameters: str | int) -> dict[str, Any]:
    """The properties of what is deployed of a type, by logical id."""
    return {name: r.get("Properties", {}) for name, r in resources(**parameters).items() if r["Type"] == kind}


# --- two stacks side by side


SCHEMAS = """
import json, sys
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
for kind in sys.argv[1:]:
    print(json.dumps(PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema))
"""
"""Run where cfn-lint is, which brings the schemas of all types."""


def physical_names(kinds: set[str]) -> dict[str, set[str]]:
    """The properties that name a resource of each type: by its schema, what cannot change without a new resource."""
    printed = subprocess.run(
        [TOOLS / "sam/bin/python", "-I", "-c", SCHEMAS, *sorted(kinds)], capture_output=True, check=True, timeout=120
    ).stdout.splitlines()
    found = {}
    for kind, line in zip(sorted(kinds), printed, strict=True):
        schema = json.loads(line)
        fixed = [*schema["primaryIdentifier"], *schema.get("createOnlyProperties", [])]
        names = (path.removeprefix("/properties/") for path in fixed if path.endswith("Name"))
        found[kind] = {name for name in names if "/" not in name}
    return found


def test_no_resource_has_a_name_that_a_second_stack_would_have_too() -> None:
    options = {"DomainName": "jobs.example.com", "CertificateArn": CERTIFICATE, "KmsKeyArn": KEY}
    made = resources(**options)
    names = physical_names({resource["Type"] for resource in made.values()})
    named = {
        (logical_id, name): resource["Properties"][name]
        for logical_id, resource in made.items()
        for name in names[resource["Type"]] & resource.get("Properties", {}).keys()
    }
    assert {place: value for place, value in named.items() if not names_a_resource(value)} == {
        ("EventBus", "Name"): {"Ref": "AWS::StackName"},
        ("AccessLogs", "LogGroupName"): {"Fn::Sub": "/aws/vendedlogs/${AWS::StackName}/http-api"},
        **{(name, "LayerName"): {"Fn::Sub": f"${{AWS::StackName}}-{folder}"} for name, folder in layers().items()},
        ("ApiApiGatewayDefaultStage", "StageName"): "$default",  # of its own API
        ("Domain", "DomainName"): "jobs.example.com",  # the operator's
    }
    assert "Name" in names["AWS::Scheduler::Schedule"]  # which SAM gives one, unless it is told not to


def names_a_resource(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("Ref") in translated()["Resources"] or "Fn::GetAtt" in value)


def layers() -> dict[str, str]:
    """Each layer's folder, by the logical id that SAM makes of its own and a hash."""
    made = of_type("AWS::Lambda::LayerVersion")
    return {
        next(name for name in made if name.startswith(logical_id)): resource["Properties"]["ContentUri"].split("/")[1]
        for logical_id, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    }


# --- what is refused


GOOD: dict[str, list[str | int]] = {
    "AlarmEmail": ["", "ops@example.com", "first.last+video@mail.example.co.uk"],
    "CallbackBaseUrl": [
        "",
        "https://jobs.example.com",
        "https://example.com:8443/video/jobs",
        "http://127.0.0.1:4566/_aws/execute-api/videojobs",
        "http://192.168.1.20:4566/x",
    ],
    "VideoDbUrl": ["https://api.videodb.io", "http://127.0.0.1:9"],
    "TwelveLabsUrl": ["https://api.twelvelabs.io/v1.3"],
    "ApiVideoUrl": ["https://ws.api.video", "https://sandbox.api.video"],
    "ApsaraVideoUrl": ["https://vod.cn-shanghai.aliyuncs.com"],
    "SweepRate": ["rate(1 minute)", "rate(2 minutes)", "rate(15 minutes)"],
    "KmsKeyArn": ["", KEY, "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"],
    "PermissionsBoundaryArn": ["", BOUNDARY, "arn:aws:iam::aws:policy/PowerUserAccess"],
    "RestoredTableArn": ["", RESTORED],
    "AwsEndpointUrl": ["", "http://127.0.0.1:4566", "http://localhost:4566"],
    "AdoptionWaits": ["5,30,120", "1"],
    "ApiReservedConcurrency": [0, 5],
}
BAD: dict[str, list[str | int]] = {
    "AlarmEmail": ["ops", "ops@example", "ops @example.com", "a@example.com,b@example.com"],
    "DomainName": ["https://jobs.example.com", "jobs.example.com/", "jobs", "Jobs.example.com", "-a.example.com"],
    "CertificateArn": ["jobs.example.com", KEY],
    "CallbackBaseUrl": [
        "https://jobs.example.com/",
        "https://jobs.example.com/video/",
        "jobs.example.com",
        "http://jobs.example.com",
        "http://10.evil.example",
        "http://127.0.0.1.example.com",
        "http://8.8.8.8",
        "https://jobs.example.com?x=1",
        "https://jobs.example.com#x",
        " https://jobs.example.com",
        "https://",
    ],
    "VideoDbUrl": ["", "https://api.videodb.io/", "http://api.videodb.io"],
    "TwelveLabsUrl": ["", "https://api.twelvelabs.io/v1.3/"],
    "ApiVideoUrl": ["", "ws.api.video"],
    "ApsaraVideoUrl": ["", "vod.cn-shanghai.aliyuncs.com"],
    "ApsaraVideoMnsEndpoint": ["https://mns.cn-shanghai.aliyuncs.com", "https://1.mns.cn-shanghai.aliyuncs.com/"],
    "ApsaraVideoMnsQueue": ["a queue", "-vod", "https://1.mns.cn-shanghai.aliyuncs.com/queues/vod"],
    # a minute has no s, the alarm for a missing sweep waits 15 of them, and cron() may leave out hours
    "SweepRate": ["5 minutes", "rate(1 minutes)", "rate(16 minutes)", "rate(1 hour)", "cron(0 * * * ? *)"],
    "KmsKeyArn": ["alias/video-jobs", "arn:aws:kms:eu-west-1:123456789012:alias/video-jobs"],
    "PermissionsBoundaryArn": ["boundary", "arn:aws:iam::123456789012:role/boundary"],
    "RestoredTableArn": ["jobs-restored", RESTORED + "/index/due"],
    "AwsEndpointUrl": ["https://dynamodb.eu-west-1.amazonaws.com", "http://aws.example.com"],
    "AdoptionWaits": ["", "5, 30", "-1", "5,"],
    "CheckIntervalSeconds": [0, 901],
    "VideoDbConcurrency": [1, 1001],
    "WorkerMemory": [128, 10241],
}


def test_the_defaults_are_accepted() -> None:
    assert refused() == []


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_what_has_the_right_form_is_accepted(name: str, value: str | int) -> None:
    assert refused(**{name: value}) == []


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_what_has_another_form_is_refused_by_the_parameters_name(name: str, value: str | int) -> None:
    assert any(reason.startswith(f"{name} ") for reason in refused(**{name: value}))


def test_every_parameter_that_takes_a_text_has_a_form_and_says_it() -> None:
    for name, parameter in PARAMETERS.items():
        if parameter["Type"] == "String" and "AllowedValues" not in parameter:
            assert parameter["ConstraintDescription"], name
            assert BAD[name], name


def test_patterns_are_written_in_what_java_and_python_have_in_common() -> None:
    # CloudFormation reads them as Java's regular expressions, these tests as Python's
    for parameter in PARAMETERS.values():
        assert not re.search(r"\(\?(?!:)|\\[^\wd.()\-s]|&&|\\p|\\Q", parameter.get("AllowedPattern", ""))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"NotifyAllowPrivate": "true"}, "NotifyAllowPrivate"),
        ({"ApsaraVideoMnsQueue": "vod"}, "ApsaraVideoMnsEndpoint and ApsaraVideoMnsQueue"),
        (
            {"ApsaraVideoMnsEndpoint": "https://1.mns.cn-shanghai.aliyuncs.com"},
            "ApsaraVideoMnsEndpoint and ApsaraVideoMnsQueue",
        ),
        ({"DomainName": "jobs.example.com"}, "DomainName and CertificateArn"),
        ({"CertificateArn": CERTIFICATE}, "DomainName and CertificateArn"),
    ],
)
def test_what_only_goes_together_is_refused_alone(given: dict[str, str], reason: str) -> None:
    (found,) = refused(**given)
    assert found.startswith(reason)


@pytest.mark.parametrize(
    "given",
    [
        {"NotifyAllowPrivate": "true", **LOCAL},
        {"ApsaraVideoMnsQueue": "vod", "ApsaraVideoMnsEndpoint": "https://1.mns.cn-shanghai.aliyuncs.com"},
        {"ApsaraVideoMnsQueue": "vod", "ApsaraVideoMnsEndpoint": "http://127.0.0.1:1234", **LOCAL},
        {"DomainName": "jobs.example.com", "CertificateArn": CERTIFICATE},
    ],
)
def test_what_goes_together_is_accepted(given: dict[str, str]) -> None:
    assert refused(**given) == []


def test_rules_use_only_functions_that_cloudformation_allows_in_them() -> None:
    allowed = {"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains", "Fn::EachMemberIn", "Ref"}
    assert set(re.findall(r"'(Fn::\w+|Ref)'", str(TEMPLATE["Rules"]))) <= allowed


# --- what is asked


def test_the_console_shows_every_parameter_once_in_the_order_in_which_the_guide_asks() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert [name for group in groups for name in group["Parameters"]] == list(PARAMETERS)


def test_what_only_a_stack_on_one_machine_needs_is_asked_last_and_says_so() -> None:
    assert list(PARAMETERS)[-len(ONLY_LOCAL) :] == ONLY_LOCAL
    for name in ONLY_LOCAL:
        assert PARAMETERS[name]["Description"].startswith("Leave ")


def test_every_question_has_an_answer_so_that_enter_is_enough() -> None:
    assert all("Default" in parameter for parameter in PARAMETERS.values())


# --- what each choice changes


OPTIONAL = {
    "AWS::IAM::Role": "PermissionsBoundary",
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::SNS::Topic": "KmsMasterKeyId",
    "AWS::SecretsManager::Secret": "KmsKeyId",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::Lambda::Function": "KmsKeyArn",
    "AWS::DynamoDB::Table": "SSESpecification",
}


def test_the_defaults_change_nothing() -> None:
    for kind, name in OPTIONAL.items():
        assert not [each for each, properties in of_type(kind).items() if name in properties]
    functions = of_type("AWS::Lambda::Function").values()
    assert not [each for each in functions if "ReservedConcurrentExecutions" in each]
    assert {each["TracingConfig"]["Mode"] for each in functions} == {"PassThrough"}  # as Lambda does by itself
    assert {each["MemorySize"] for each in functions} == {"1024", 1024, 512, 256}
    assert "DeletionProtectionEnabled" not in of_type("AWS::DynamoDB::Table")["Jobs"]
    kinds = {resource["Type"] for resource in resources().values()}
    assert not kinds & {"AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping", "AWS::SNS::Subscription"}
    (role,) = {str(policy) for name, policy in of_type("AWS::IAM::ManagedPolicy").items() if name == "RunFunctions"}
    assert "kms:" not in role
    assert "xray:" not in role


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, name in OPTIONAL.items() if kind not in ("AWS::IAM::Role", "AWS::DynamoDB::Table")],
)
def test_a_key_encrypts_everything_that_keeps_something(kind: str, name: str) -> None:
    found = of_type(kind, KmsKeyArn=KEY)
    assert found
    assert {properties.get(name) for properties in found.values()} == {KEY}


def test_a_key_encrypts_the_table_and_takes_the_place_of_sqs_own() -> None:
    assert of_type("AWS::DynamoDB::Table", KmsKeyArn=KEY)["Jobs"]["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": KEY,
    }
    assert not [q for q in of_type("AWS::SQS::Queue", KmsKeyArn=KEY).values() if "SqsManagedSseEnabled" in q]


def statements_of_all(**parameters: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of_type("AWS::IAM::ManagedPolicy", **parameters)["RunFunctions"]["PolicyDocument"][
        "Statement"
    ]
    return found


def test_functions_may_use_the_key_if_there_is_one() -> None:
    (statement,) = (each for each in statements_of_all(KmsKeyArn=KEY) if "kms:Decrypt" in each["Action"])
    assert statement == {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": KEY}


def test_tracing_is_asked_for_and_granted_together() -> None:
    functions = of_type("AWS::Lambda::Function", Tracing="Active").values()
    assert {each["TracingConfig"]["Mode"] for each in functions} == {"Active"}
    assert [each for each in statements_of_all(Tracing="Active") if "xray:PutTraceSegments" in each["Action"]]


def test_a_boundary_is_on_every_role_also_on_those_that_sam_makes() -> None:
    roles = of_type("AWS::IAM::Role", PermissionsBoundaryArn=BOUNDARY)
    assert {"SweepScheduleRole", "ApsaraVideoMnsScheduleRole", "JobsApiRole"} <= roles.keys()
    assert {role.get("PermissionsBoundary") for role in roles.values()} == {BOUNDARY}


def test_reserved_executions_are_the_apis() -> None:
    functions = of_type("AWS::Lambda::Function", ApiReservedConcurrency=7)
    reserved = {name for name, each in functions.items() if each.get("ReservedConcurrentExecutions") == "7"}
    assert reserved == {"JobsApi", "TwelveLabsApi", "ApiVideoApi"}
    assert "each of the API's three functions" in PARAMETERS["ApiReservedConcurrency"]["Description"]


def test_deletion_protection_is_dynamodbs() -> None:
    assert of_type("AWS::DynamoDB::Table", DeletionProtection="true")["Jobs"]["DeletionProtectionEnabled"] is True


def test_the_workers_size_is_that_of_what_calls_platforms_and_works_on_batches() -> None:
    functions = of_type("AWS::Lambda::Function", WorkerMemory=512)
    sized = {name for name, each in functions.items() if each["MemorySize"] == "512"}
    assert sized == {"Batches", *(name for name in functions if name.endswith("Worker"))}


def maxima(**parameters: str | int) -> dict[str, int]:
    sources = of_type("AWS::Lambda::EventSourceMapping", **parameters)
    return {name: int(source["ScalingConfig"]["MaximumConcurrency"]) for name, source in sources.items()}


def test_functions_that_take_from_queues_leave_room_in_an_account_with_a_hundred_executions() -> None:
    together = sum(maxima().values())
    assert together <= 30
    deploy = (ROOT / "docs/deploy.md").read_text()
    assert f"**{together}**" in deploy
    assert f"the stack has {100 - together} left" in deploy


def test_every_maximum_can_be_chosen() -> None:
    names = [name for name in PARAMETERS if name.endswith("Concurrency") and name != "ApiReservedConcurrency"]
    chosen = maxima(**{name: 99 + number for number, name in enumerate(names)})
    assert sorted(chosen.values()) == [99 + number for number in range(len(names))]


def test_what_a_schedule_starts_is_not_tried_again_by_lambda() -> None:
    # Scheduler invokes asynchronously: without this Lambda would try twice more, and hold an event for six hours
    configured = {
        each["FunctionName"]["Ref"]: (each["MaximumRetryAttempts"], each["MaximumEventAgeInSeconds"])
        for each in of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    scheduled = {each["Target"]["Arn"]["Fn::GetAtt"][0] for each in of_type("AWS::Scheduler::Schedule").values()}
    assert configured == dict.fromkeys(scheduled, (0, 60))
    assert len(scheduled) == 2


def variables(function: str, **parameters: str | int) -> dict[str, Any]:
    found: dict[str, Any] = of_type("AWS::Lambda::Function", **parameters)[function]["Environment"]["Variables"]
    return found


DOMAIN = {"DomainName": "jobs.example.com", "CertificateArn": CERTIFICATE}


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (DOMAIN, {"Fn::Sub": "https://jobs.example.com"}),
        ({"CallbackBaseUrl": "https://proxy.example.com/v"}, "https://proxy.example.com/v"),
        ({**DOMAIN, "CallbackBaseUrl": "https://proxy.example.com/v"}, "https://proxy.example.com/v"),
    ],
)
def test_platforms_are_given_the_operators_address(given: dict[str, str], address: Any) -> None:
    assert variables("VideoDbWorker", **given)["CALLBACK_BASE_URL"] == address
    for function in ("ApsaraVideoWorker", "ApsaraVideoUploadByUrlComplete"):
        assert variables(function, **given)["APSARAVIDEO_CALLBACK_URL"] == {
            "Fn::Sub": ["${Address}/callbacks/apsaravideo/upload-by-url-complete", {"Address": address}]
        }
    assert outputs(**given)["ApiUrl"]["Value"] == address


def test_without_an_address_of_the_operators_platforms_are_given_the_apis_own() -> None:
    own = {"Fn::GetAtt": ["Api", "ApiEndpoint"]}
    assert variables("VideoDbWorker")["CALLBACK_BASE_URL"] == own
    assert variables("ApsaraVideoUploadByUrlComplete")["APSARAVIDEO_CALLBACK_URL"] == ""
    assert outputs()["ApiUrl"]["Value"] == own


def test_a_domain_is_mapped_to_the_apis_stage_and_says_where_its_record_points() -> None:
    (mapping,) = of_type("AWS::ApiGatewayV2::ApiMapping", **DOMAIN).values()
    stages = of_type("AWS::ApiGatewayV2::Stage", **DOMAIN)
    assert mapping == {"ApiId": {"Ref": "Api"}, "DomainName": {"Ref": "Domain"}, "Stage": {"Ref": next(iter(stages))}}
    assert outputs(**DOMAIN)["DomainTarget"]["Value"] == {"Fn::GetAtt": ["Domain", "RegionalDomainName"]}
    assert "DomainTarget" not in outputs()


def test_an_email_is_a_subscription_of_its_own_that_an_update_can_add_and_remove() -> None:
    assert "Subscription" not in of_type("AWS::SNS::Topic", AlarmEmail="ops@example.com")["Alarms"]
    (subscription,) = of_type("AWS::SNS::Subscription", AlarmEmail="ops@example.com").values()
    assert subscription == {"TopicArn": {"Ref": "Alarms"}, "Protocol": "email", "Endpoint": "ops@example.com"}


def test_outputs_name_what_an_operator_looks_for() -> None:
    assert {"AlarmsTopic", "FunctionLogs", "ApiLogs", "EventBusName", "EventBusArn", "JobsTable"} <= outputs().keys()


# --- a restored table


def test_a_restored_table_takes_the_place_of_the_stacks_own_everywhere() -> None:
    # what refers to the own one besides is the table itself, which stays
    def references(node: Any) -> bool:
        match node:
            case {"Ref": "Jobs"} | {"Fn::GetAtt": ["Jobs", *_]}:
                return True
            case dict():
                return any(references(part) for part in node.values())
            case list():
                return any(references(part) for part in node)
        return isinstance(node, str) and re.search(r"\$\{Jobs[.}]", node) is not None

    with_it = resources(RestoredTableArn=RESTORED)
    assert "Jobs" in with_it
    assert [name for name, resource in resources().items() if references(resource)]
    assert not [name for name, resource in with_it.items() if references(resource)]
    functions = of_type("AWS::Lambda::Function", RestoredTableArn=RESTORED)
    assert {each["Environment"]["Variables"]["TABLE_NAME"] for each in functions.values()} == {"jobs-restored"}
    assert outputs(RestoredTableArn=RESTORED)["JobsTable"]["Value"] == "jobs-restored"


def test_functions_may_do_with_a_restored_table_what_they_may_with_the_own_one() -> None:
    def grants(table: Any, **parameters: str) -> list[Any]:
        made = [
            *of_type("AWS::IAM::Role", **parameters).items(),
            *of_type("AWS::IAM::ManagedPolicy", **parameters).items(),
        ]
        return [str((name, properties)).replace(repr(table), "THE TABLE") for name, properties in made]

    assert grants({"Fn::GetAtt": ["Jobs", "Arn"]}) == grants(RESTORED, RestoredTableArn=RESTORED)


def test_the_table_stays_when_the_stack_goes_and_can_be_restored_to_any_second() -> None:
    table = translated()["Resources"]["Jobs"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
