"""What the template promises: all that belongs to a callback is there, nothing is lost, nothing over-granted."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloudformation import RESOURCES, ROOT, TEMPLATE, of_type

FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = of_type("AWS::SQS::Queue")
ROLES = of_type("AWS::IAM::Role")
POLICIES = of_type("AWS::IAM::ManagedPolicy")
PARTS_THAT_ARE_NOT_CALLBACKS = ("steps", "mns")
PROVIDERS = ("videodb", "twelvelabs", "apivideo", "apsaravideo")


def folders() -> list[str]:
    """Every function's folder: "videodb/upload"."""
    return sorted(str(app.parent.relative_to(ROOT / "functions")) for app in ROOT.glob("functions/*/*/app.py"))


def callbacks() -> list[str]:
    return [
        folder
        for folder in folders()
        if folder.split("/")[0] in PROVIDERS and folder.split("/")[1] not in PARTS_THAT_ARE_NOT_CALLBACKS
    ]


def function_of(folder: str) -> dict[str, Any]:
    properties: dict[str, Any] = FUNCTIONS[logical_id_of(folder)]
    return properties


def logical_id_of(folder: str) -> str:
    (found,) = (name for name, f in FUNCTIONS.items() if f["CodeUri"] == f"functions/{folder}")
    return found


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in ROLES.items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name, policy in POLICIES.items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def refers_to(value: Any) -> str:
    """The logical id in a reference: !Ref Jobs, !GetAtt Jobs.Arn, !Sub ${Jobs.Arn}/index/open."""
    match value:
        case {"Ref": name}:
            return str(name)
        case {"Fn::GetAtt": path}:
            return str(path).split(".")[0]
        case {"Fn::Sub": text}:
            (found,) = re.findall(r"\$\{(\w+)", text)
            return str(found)
    raise AssertionError(f"not a reference to a resource of the stack: {value}")


def environment_of(folder: str) -> dict[str, Any]:
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = function_of(folder).get("Environment", {}).get("Variables", {})
    return {**shared, **own}


@pytest.mark.parametrize("folder", folders())
def test_every_folder_is_a_function_and_its_code_is_there(folder: str) -> None:
    # a wrong CodeUri passes lint, and `sam build` then leaves the function out without a word
    assert (ROOT / function_of(folder)["CodeUri"] / "app.py").is_file()


def test_every_function_has_a_folder() -> None:
    assert sorted(f["CodeUri"].removeprefix("functions/") for f in FUNCTIONS.values()) == folders()


@pytest.mark.parametrize("callback", callbacks())
def test_a_callback_has_its_route_samples_and_module(callback: str) -> None:
    routes = [event["Properties"] for event in function_of(callback)["Events"].values()]
    assert [(route["Method"], route["Path"]) for route in routes] == [
        ("POST", f"/callbacks/{callback.replace('_', '-')}")
    ]
    # platforms have no API key: what they prove, the function checks
    assert routes[0]["Auth"] == {"Authorizer": "NONE"}
    assert list((ROOT / "events" / callback).glob("*.json"))
    app = (ROOT / "functions" / callback / "app.py").read_text()
    assert re.search(rf'callback\(\s*"{callback}",', app)


@pytest.mark.parametrize("callback", callbacks())
def test_a_callback_can_be_redelivered(callback: str) -> None:
    mapping = json.loads(environment_of("pipeline/redeliver")["CALLBACK_FUNCTIONS"]["Fn::Sub"])
    assert mapping[callback] == f"${{{logical_id_of(callback)}}}"
    invoked = [
        refers_to(resource)
        for role, statement in statements()
        if role == "RedeliverRole" and "lambda:InvokeFunction" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]
    assert sorted(invoked) == sorted(logical_id_of(name) for name in callbacks())


CHECK_KEYS_THEMSELVES = ("api/tasks", "api/videos")
"""They say no in their platform's own words, which API Gateway cannot."""


def test_only_callbacks_and_functions_that_check_keys_themselves_are_open_to_strangers() -> None:
    open_routes = [
        event["Properties"]["Path"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi" and event["Properties"].get("Auth") == {"Authorizer": "NONE"}
    ]
    checked = [
        event["Properties"]["Path"]
        for folder in CHECK_KEYS_THEMSELVES
        for event in function_of(folder)["Events"].values()
    ]
    assert sorted(open_routes) == sorted([*(f"/callbacks/{name.replace('_', '-')}" for name in callbacks()), *checked])
    for folder in CHECK_KEYS_THEMSELVES:
        assert environment_of(folder)["API_KEYS_SECRET"] == {"Ref": "ApiKeys"}
    assert RESOURCES["Api"]["Properties"]["Auth"]["DefaultAuthorizer"] == "ApiKey"


def consumers() -> list[tuple[str, str]]:
    """Which function takes from which queue."""
    return [
        (name, refers_to(event["Properties"]["Queue"]))
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    ]


@pytest.mark.parametrize(("function", "queue"), consumers())
def test_a_queue_outlasts_its_consumer_and_keeps_what_it_cannot_take(function: str, queue: str) -> None:
    timeout = FUNCTIONS[function].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
    assert QUEUES[queue]["VisibilityTimeout"] >= 6 * timeout
    dead_letters = refers_to(QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"])
    assert dead_letters in QUEUES
    if queue.endswith("Steps"):  # attempts come back by the same way, and a job may ask for 10
        assert QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"] > 10
    (event,) = (e["Properties"] for e in FUNCTIONS[function]["Events"].values() if e["Type"] == "SQS")
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_queue_is_consumed_or_holds_dead_letters_and_is_encrypted() -> None:
    dead_letters = {
        refers_to(q["RedrivePolicy"]["deadLetterTargetArn"]) for q in QUEUES.values() if "RedrivePolicy" in q
    }
    assert {queue for _, queue in consumers()} | dead_letters == set(QUEUES)
    assert all(queue["SqsManagedSseEnabled"] is True for queue in QUEUES.values())
    assert all(queue["MessageRetentionPeriod"] == 14 * 86400 for queue in QUEUES.values())


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """What an alarm watches: one metric, or several that it makes an expression of."""
    return [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]


def test_dead_letters_and_standing_queues_raise_an_alarm_that_somebody_hears() -> None:
    watched = {
        (refers_to(metric["Dimensions"][0]["Value"]), metric["MetricName"]): alarm
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        for metric in metrics(alarm)
    }
    for name, queue in QUEUES.items():
        metric = "ApproximateAgeOfOldestMessage" if "RedrivePolicy" in queue else "ApproximateNumberOfMessagesVisible"
        assert watched[name, metric]["AlarmActions"] == [{"Ref": "Alarms"}]


def test_a_long_queue_of_steps_that_moves_raises_no_alarm() -> None:
    # thousands of jobs of a batch wait for hours, and nothing is wrong
    for name in (queue for queue in QUEUES if queue.endswith("Steps")):
        alarm = of_type("AWS::CloudWatch::Alarm")[f"{name}AgeAlarm"]
        assert {metric["MetricName"] for metric in metrics(alarm)} == {
            "ApproximateAgeOfOldestMessage",
            "NumberOfMessagesDeleted",
        }
        assert {refers_to(metric["Dimensions"][0]["Value"]) for metric in metrics(alarm)} == {name}
        (told,) = (each for each in alarm["Metrics"] if each.get("ReturnData", True))
        assert told["Expression"] == "IF(age > 3600 AND FILL(done, 0) == 0, 1, 0)"


def test_the_lease_of_a_step_is_longer_than_its_worker_may_run() -> None:
    from video_jobs.steps import LEASE_SECONDS

    for folder in folders():
        if folder.endswith("/steps"):
            (queue,) = (taken for name, taken in consumers() if name == logical_id_of(folder))
            assert function_of(folder)["Timeout"] < LEASE_SECONDS < QUEUES[queue]["VisibilityTimeout"]


def test_the_lease_of_a_file_that_is_passed_on_is_longer_than_its_request_may_take() -> None:
    from video_jobs.platforms.twelvelabs.task_file import LEASE_SECONDS

    assert function_of("api/tasks")["Timeout"] < LEASE_SECONDS


def test_a_worker_may_send_to_its_own_queue_for_as_long_as_a_step_runs() -> None:
    # Lambda stops a loop of function and queue after 16 rounds, unless it is told that the loop is meant
    for folder in folders():
        if folder.endswith("/steps"):
            assert function_of(folder)["RecursiveLoop"] == "Allow"


@pytest.mark.parametrize(
    ("role", "statement"), list(statements()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_grant_is_wider_than_a_resource_of_the_stack(role: str, statement: dict[str, Any]) -> None:
    for action in as_list(statement["Action"]):
        assert "*" not in action
    for resource in as_list(statement["Resource"]):
        assert refers_to(resource) in RESOURCES


def granted(name: str) -> set[str]:
    return {action for found, statement in statements() if found == name for action in as_list(statement["Action"])}


EVENT_SOURCE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
TRANSACTION = {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
SECRET = {"secretsmanager:GetSecretValue"}
STEPS = TRANSACTION | {"sqs:SendMessage", "sqs:ChangeMessageVisibility"} | SECRET | EVENT_SOURCE
# what callbacks told before the id was known comes from another job, which goes
TAKES_OVER = {"dynamodb:DeleteItem", "dynamodb:Query"}


def test_roles_grant_exactly_what_their_functions_call() -> None:
    assert {role: granted(role) for role in ROLES} == {
        "VideoDbCallbackRole": {"sqs:SendMessage"} | SECRET,
        "VideoDbStepsRole": STEPS,
        "TwelveLabsCallbackRole": {"sqs:SendMessage"} | SECRET,
        "TwelveLabsStepsRole": STEPS | TAKES_OVER,
        "ApiVideoCallbackRole": {"sqs:SendMessage"} | SECRET,
        "ApiVideoStepsRole": STEPS | TAKES_OVER,
        "ApsaraVideoCallbackRole": {"sqs:SendMessage"} | SECRET,
        "ApsaraVideoStepsRole": STEPS | TAKES_OVER,
        "RedeliverRole": {"lambda:InvokeFunction", "sqs:ChangeMessageVisibility"} | EVENT_SOURCE,
        "BatchesRole": {"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "sqs:SendMessage"}
        | {"sqs:ChangeMessageVisibility"}
        | EVENT_SOURCE,
        "NotifyRole": {"events:PutEvents", "sqs:ChangeMessageVisibility"} | SECRET | EVENT_SOURCE,
        "SweepRole": {"dynamodb:Query", "dynamodb:UpdateItem", "sqs:SendMessage", "sqs:GetQueueAttributes"},
        "ApiAuthorizerRole": SECRET,
        "JobsApiRole": TRANSACTION | {"dynamodb:DeleteItem", "dynamodb:Query", "sqs:SendMessage"},
        "BatchesApiRole": {"dynamodb:BatchGetItem", "dynamodb:Query", "sqs:SendMessage"},
        "TasksApiRole": {"dynamodb:DeleteItem", "dynamodb:Query", "sqs:SendMessage"} | SECRET,
        "VideosApiRole": {"dynamodb:GetItem", "dynamodb:Query"} | SECRET,
        "MediaApiRole": {"dynamodb:Query", "dynamodb:BatchGetItem"},
    }
    assert granted("RecordCallbacks") == TRANSACTION | {"sqs:SendMessage"}
    assert granted("EndJobs") == TRANSACTION | {"dynamodb:Query", "sqs:SendMessage"}


def test_a_platforms_functions_may_read_its_own_secret_and_send_to_its_own_queue_alone() -> None:
    for provider in ("TwelveLabs", "ApiVideo", "ApsaraVideo"):
        for role in (f"{provider}CallbackRole", f"{provider}StepsRole"):
            of_role = [statement for name, statement in statements() if name == role]
            named = {refers_to(resource) for statement in of_role for resource in as_list(statement["Resource"])}
            assert named <= {f"{provider}Secret", f"{provider}Steps", "Jobs"}


def test_every_function_has_a_role_of_the_stack_that_lets_it_write_its_log() -> None:
    # without one SAM would attach a managed policy that allows logging, and taking from queues, everywhere
    for function in FUNCTIONS.values():
        policies = [refers_to(policy) for policy in ROLES[refers_to(function["Role"])]["ManagedPolicyArns"]]
        assert policies in (["WriteLogs"], ["WriteLogs", "RecordCallbacks"], ["WriteLogs", "EndJobs"])


def test_alibabas_sdk_goes_to_the_functions_that_sign_requests_to_alibaba_and_nowhere_else() -> None:
    with_it = {f["CodeUri"] for f in FUNCTIONS.values() if {"Ref": "AlibabaLayer"} in f.get("Layers", [])}
    assert with_it == {"functions/apsaravideo/steps", "functions/apsaravideo/mns"}


def test_two_layers_that_bring_the_same_package_bring_the_same_version() -> None:
    def pinned(layer: str) -> dict[str, str]:
        lines = (ROOT / f"layers/{layer}/requirements.txt").read_text().splitlines()
        return dict(line.lower().split("==") for line in lines if "==" in line)

    shared, alibaba = pinned("shared"), pinned("alibaba")
    assert {name: alibaba[name] for name in shared.keys() & alibaba} == {
        name: shared[name] for name in shared.keys() & alibaba
    }


def test_the_code_calls_no_service_that_the_layer_leaves_out() -> None:
    makefile = (ROOT / "layers/shared/Makefile").read_text()
    (kept,) = re.findall(r"^SERVICES := (.*)$", makefile, re.MULTILINE)
    used = set()
    for source in (*ROOT.glob("layers/shared/video_jobs/**/*.py"), *ROOT.glob("functions/**/*.py")):
        used |= set(re.findall(r'boto3\.client\("(\w+)"', source.read_text()))
    assert used == set(kept.split())


def test_the_access_log_has_no_query_string_and_so_no_token() -> None:
    logged = re.findall(r"\$context\.[\w.]+", RESOURCES["Api"]["Properties"]["AccessLogSettings"]["Format"])
    assert logged
    assert not {"$context.requestUri", "$context.queryString"} & set(logged)
    assert not [variable for variable in logged if "query" in variable.lower() or "uri" in variable.lower()]


def test_logs_do_not_pile_up_for_ever() -> None:
    assert all(group["RetentionInDays"] for group in of_type("AWS::Logs::LogGroup").values())


@pytest.mark.parametrize("folder", folders())
def test_every_variable_that_a_function_reads_is_set(folder: str) -> None:
    # what the layer reads, it reads by these words; a queue's name is made of the provider's
    assert {"TABLE_NAME", "AWS_ENDPOINT_URL", "RETENTION_DAYS"} <= set(environment_of(folder))
    for name in re.findall(
        r'settings\.(?:setting|number)\("(\w+)"\)', Path(ROOT / "functions" / folder / "app.py").read_text()
    ):
        assert name in environment_of(folder)
    for name in re.findall(
        r'secrets\.(?:newer_)?values\("(\w+)"\)', Path(ROOT / "functions" / folder / "app.py").read_text()
    ):
        assert name in environment_of(folder)
