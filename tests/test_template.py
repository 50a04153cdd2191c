"""What the template promises: all that belongs to a callback is there, nothing is lost, nothing over-granted."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cloudformation import RESOURCES, ROOT, TEMPLATE, of_type, resources


def deployed_of(kind: str) -> dict[str, Any]:
    """The properties of what is deployed of a type when all parameters have their defaults, by logical id."""
    return {name: r.get("Properties", {}) for name, r in resources().items() if r["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = deployed_of("AWS::SQS::Queue")
ROLES = deployed_of("AWS::IAM::Role")
POLICIES = deployed_of("AWS::IAM::ManagedPolicy")
ALARMS = deployed_of("AWS::CloudWatch::Alarm")
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
    """The logical id in a reference: !Ref Jobs, !GetAtt Jobs.Arn, or a !Sub of one of these."""
    match value:
        case {"Ref": name}:
            return str(name)
        case {"Fn::GetAtt": [name, *_]}:
            return str(name)
        case {"Fn::GetAtt": str(path)}:
            return path.split(".")[0]
        case {"Fn::Sub": [str(), {**names}]} if len(names) == 1:
            return refers_to(next(iter(names.values())))
    raise AssertionError(f"not a reference to a resource of the stack: {value}")


def environment_of(folder: str) -> dict[str, Any]:
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = function_of(folder).get("Environment", {}).get("Variables", {})
    return {**shared, **own}


def source_of(folder: str) -> str:
    return (ROOT / "functions" / folder / "app.py").read_text()


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
    (event,) = (e["Properties"] for e in FUNCTIONS[function]["Events"].values() if e["Type"] == "SQS")
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_queue_is_consumed_or_holds_dead_letters_and_is_encrypted() -> None:
    dead_letters = {
        refers_to(q["RedrivePolicy"]["deadLetterTargetArn"]) for q in QUEUES.values() if "RedrivePolicy" in q
    }
    assert {queue for _, queue in consumers()} | dead_letters == set(QUEUES)
    assert all(queue["SqsManagedSseEnabled"] is True for queue in QUEUES.values())


WAITS_FOR_AWS = [queue for queue in QUEUES if "RedrivePolicy" in QUEUES[queue] and queue != "Notices"]


@pytest.mark.parametrize("queue", WAITS_FOR_AWS)
def test_what_waits_for_aws_outlasts_an_incident_of_a_day(queue: str) -> None:
    longest_wait = 900
    tries = QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"]
    assert tries * longest_wait >= 30 * 3600
    # and is among the dead letters, which raise an alarm, before it is deleted by its age
    assert tries * longest_wait < QUEUES[queue]["MessageRetentionPeriod"]
    # where Lambda has no room for the function, nobody sets a wait
    assert tries * QUEUES[queue]["VisibilityTimeout"] >= 30 * 3600
    if queue.endswith("Steps"):  # attempts come back by the same way, and a job may ask for 10
        assert tries > 10


def test_queues_that_wait_for_aws_wait_alike() -> None:
    # tests/pipeline/test_consumers.py looks at one of them
    assert len({QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"] for queue in WAITS_FOR_AWS}) == 1
    assert len({QUEUES[queue]["MessageRetentionPeriod"] for queue in WAITS_FOR_AWS}) == 1


CONSUMERS = [folder for folder in folders() if folder.endswith("/steps") or "consumer(" in source_of(folder)]


@pytest.mark.parametrize("folder", CONSUMERS)
def test_a_consumer_finds_its_queues_in_its_environment(folder: str) -> None:
    provider, _, part = folder.partition("/")
    prefix = f"{provider.upper()}_STEPS"
    of_worker = {f"{prefix}_QUEUE_URL", f"{prefix}_DEAD_LETTERS_URL"}
    named = set(re.findall(r'(?:queue|dead_letters)="([A-Z_]+)"', source_of(folder)))

    assert (wanted := of_worker if part == "steps" else named)
    assert wanted <= set(environment_of(folder))


def test_dead_letters_have_most_of_a_fortnight_left_when_they_arrive() -> None:
    # SQS keeps a message's first time of sending when it moves it, so a source that kept them as long would hand over
    # messages that are deleted on arrival
    for name, queue in QUEUES.items():
        days = queue["MessageRetentionPeriod"] / 86400
        assert days == (6 if name == "Notices" else 4 if "RedrivePolicy" in queue else 14)


def test_a_notice_is_not_deleted_before_its_last_attempt() -> None:
    from functions.pipeline.notify.app import LONGEST_WAIT, WAITS

    assert len(WAITS) + 1 == QUEUES["Notices"]["RedrivePolicy"]["maxReceiveCount"]
    assert len(WAITS) * LONGEST_WAIT + 86400 < QUEUES["Notices"]["MessageRetentionPeriod"]


@pytest.mark.parametrize(("function", "queue"), [(f, q) for f, q in consumers() if q in WAITS_FOR_AWS])
def test_a_consumer_can_move_what_no_try_will_help_to_its_own_dead_letters(function: str, queue: str) -> None:
    dead_letters = f"{queue}DeadLetters"
    variables = environment_of(FUNCTIONS[function]["CodeUri"].removeprefix("functions/"))
    (name,) = [name for name, value in variables.items() if value == {"Ref": dead_letters}]
    (own,) = [n for n, value in variables.items() if value == {"Ref": queue}]
    assert name == own.replace("_QUEUE_URL", "_DEAD_LETTERS_URL")
    may_send_to = {
        refers_to(resource)
        for role, statement in statements()
        if role == refers_to(FUNCTIONS[function]["Role"]) and "sqs:SendMessage" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    assert dead_letters in may_send_to


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """What an alarm watches: one metric, or several that it makes an expression of."""
    return [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]


def test_dead_letters_raise_an_alarm() -> None:
    watched = {
        refers_to(alarm["Dimensions"][0]["Value"]): alarm
        for alarm in ALARMS.values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
    }
    assert watched.keys() == {name for name in QUEUES if name.endswith("DeadLetters")}
    assert all(
        (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold") for alarm in watched.values()
    )


@pytest.mark.parametrize("queue", [name for name in QUEUES if not name.endswith("DeadLetters")])
def test_a_queue_of_which_nothing_is_done_raises_an_alarm_and_a_long_one_that_moves_does_not(queue: str) -> None:
    # thousands of jobs of a batch wait for hours, and nothing is wrong; what was received more than three times, as is
    # what waits for AWS, SQS leaves out of the age
    alarm = ALARMS[f"{queue}StandsAlarm"]
    assert {refers_to(metric["Dimensions"][0]["Value"]) for metric in metrics(alarm)} == {queue}
    assert [each.get("MetricStat", {}).get("Metric", {}).get("MetricName") for each in alarm["Metrics"]] == [
        None,
        "ApproximateAgeOfOldestMessage",
        "NumberOfMessagesReceived",
        "NumberOfMessagesDeleted",
    ]
    (told,) = (each for each in alarm["Metrics"] if each.get("ReturnData", True))
    assert told["Expression"] == "IF((FILL(age, 0) > 3600 OR FILL(received, 0) > 2) AND FILL(done, 0) == 0, 1, 0)"


def test_every_alarm_is_heard() -> None:
    for alarm in ALARMS.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
        # CloudWatch keeps a day, and ten metrics, for one alarm
        periods = {each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each} or {
            alarm["Period"]
        }
        assert max(periods) * alarm["EvaluationPeriods"] <= 86400
        assert len(alarm.get("Metrics", [])) <= 10


def test_a_schedule_that_stops_raises_an_alarm() -> None:
    alarm = ALARMS["SweepMissingAlarm"]
    assert (alarm["MetricName"], refers_to(alarm["Dimensions"][0]["Value"])) == ("Invocations", "Sweep")
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "LessThanThreshold")
    assert alarm["TreatMissingData"] == "breaching"
    slowest = 15 * 60  # SweepRate
    assert alarm["Period"] >= slowest
    assert alarm["EvaluationPeriods"] == 3


def test_functions_that_find_no_room_and_a_table_that_throttles_raise_an_alarm() -> None:
    functions = {refers_to(metric["Dimensions"][0]["Value"]) for metric in metrics(ALARMS["FunctionsThrottledAlarm"])}
    assert functions == {function for function, _ in consumers()}
    table = {metric["Dimensions"][1]["Value"]: metric for metric in metrics(ALARMS["TableThrottledAlarm"])}
    assert {refers_to(metric["Dimensions"][0]["Value"]) for metric in table.values()} == {"Jobs"}
    called = set()
    for source in ROOT.glob("layers/shared/video_jobs/**/*.py"):
        called |= set(re.findall(r"dynamodb\(\)\.(\w+_items?|query)\(", source.read_text()))
    assert table.keys() >= {"".join(word.title() for word in name.split("_")) for name in called}


def matches(pattern: str, line: dict[str, str]) -> bool:
    """Whether a metric filter counts a line, as CloudWatch Logs reads `{ ($.a = "5*") && (($.b != "x") || ...) }`."""

    def compare(found: re.Match[str]) -> str:
        name, operator, value = found.groups()
        return str(fnmatchcase(line[name], value) == (operator == "="))

    expression = re.sub(r'\$\.(\w+) (!?=) "([^"]*)"', compare, pattern.strip("{} "))
    assert re.fullmatch(r"(True|False|&&|\|\||[() ])+", expression)
    return bool(eval(expression.replace("&&", "and").replace("||", "or")))


def counted(metric_filter: str) -> str:
    pattern: str = RESOURCES[metric_filter]["Properties"]["FilterPattern"]
    return pattern


@pytest.mark.parametrize(
    ("status", "route", "lambda_status", "counts"),
    [
        ("200", "GET /jobs", "200", False),
        ("401", "POST /callbacks/videodb/upload", "200", False),
        ("404", "-", "-", False),
        (
            "503",
            "POST /callbacks/twelvelabs/index-task",
            "200",
            False,
        ),  # our own, for want of a secret: anybody's to cause
        ("503", "POST /callbacks/twelvelabs/index-task", "429", True),  # no room for the function
        ("503", "POST /callbacks/twelvelabs/index-task", "-", True),  # it did not answer in time
        ("500", "POST /callbacks/videodb/upload", "200", True),  # it crashed
        ("503", "GET /jobs/{job_id}", "200", True),  # DynamoDB is away; only a holder of a key can ask
        ("500", "GET /jobs", "-", True),  # the authorizer failed
    ],
)
def test_answers_that_only_we_can_mend_are_counted(status: str, route: str, lambda_status: str, counts: bool) -> None:
    line = {"status": status, "route": route, "lambda_status": lambda_status}
    assert matches(counted("FailedAnswers"), line) == counts
    assert ALARMS["FailedAnswersAlarm"]["DatapointsToAlarm"] > 1


@pytest.mark.parametrize("message", ["aws_unavailable", "newer_version", "not kept"])
def test_what_is_left_for_later_is_counted(message: str) -> None:
    pattern = counted("AwsUnavailable")
    assert matches(pattern, {"message": message})
    assert not matches(pattern, {"message": "recorded"})
    assert ALARMS["AwsUnavailableAlarm"]["Period"] >= 2 * 900  # the longest wait, so that a wait is no end


@pytest.mark.parametrize("name", ["FailedAnswers", "AwsUnavailable"])
def test_what_is_counted_in_logs_is_counted_for_each_stack_alone(name: str) -> None:
    (made,) = RESOURCES[name]["Properties"]["MetricTransformations"]
    alarm = ALARMS[f"{name}Alarm"]
    assert made["Dimensions"] == [{"Key": "service", "Value": "$.service"}]
    assert alarm["Dimensions"] == [{"Name": "service", "Value": {"Ref": "AWS::StackName"}}]
    assert (made["MetricNamespace"], made["MetricName"]) == (alarm["Namespace"], alarm["MetricName"])
    # the functions' lines name it, too
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == {
        "Ref": "AWS::StackName"
    }


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
        "RedeliverRole": {"lambda:InvokeFunction", "sqs:ChangeMessageVisibility", "sqs:SendMessage"} | EVENT_SOURCE,
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
        # made by SAM, for EventBridge Scheduler
        "SweepScheduleRole": {"lambda:InvokeFunction"},
        "ApsaraVideoMnsScheduleRole": {"lambda:InvokeFunction"},
    }
    assert granted("RecordCallbacks") == TRANSACTION | {"sqs:SendMessage"}
    assert granted("EndJobs") == TRANSACTION | {"dynamodb:Query", "sqs:SendMessage"}


def test_a_platforms_functions_may_read_its_own_secret_and_send_to_its_own_queue_alone() -> None:
    for provider in ("TwelveLabs", "ApiVideo", "ApsaraVideo"):
        for role in (f"{provider}CallbackRole", f"{provider}StepsRole"):
            of_role = [statement for name, statement in statements() if name == role]
            named = {refers_to(resource) for statement in of_role for resource in as_list(statement["Resource"])}
            assert named <= {f"{provider}Secret", f"{provider}Steps", f"{provider}StepsDeadLetters", "Jobs"}


def test_every_function_has_a_role_of_the_stack_that_lets_it_write_its_log() -> None:
    # without one SAM would attach a managed policy that allows logging, and taking from queues, everywhere
    for function in FUNCTIONS.values():
        policies = [refers_to(policy) for policy in ROLES[refers_to(function["Role"])]["ManagedPolicyArns"]]
        assert policies in (["RunFunctions"], ["RunFunctions", "RecordCallbacks"], ["RunFunctions", "EndJobs"])


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


def access_log() -> str:
    text: str = RESOURCES["Api"]["Properties"]["AccessLogSettings"]["Format"]["Fn::Sub"]
    return text


def test_the_access_log_has_no_query_string_and_so_no_token() -> None:
    logged = re.findall(r"\$context\.[\w.]+", access_log())
    assert logged
    assert not {"$context.requestUri", "$context.queryString"} & set(logged)
    assert not [variable for variable in logged if "query" in variable.lower() or "uri" in variable.lower()]


def test_a_line_of_the_access_log_is_json_whatever_goes_wrong() -> None:
    # what is not there is written as -, and error messages with their quotes as they are
    line = json.loads(re.sub(r"\$context\.[\w.]+", "-", access_log()))
    assert line.keys() >= {"status", "route", "lambda_status", "service", "error", "api_key"}
    assert not re.findall(r"\$context\.[\w.]*(?:message|error)\b(?!\.responseType)", access_log(), re.IGNORECASE)


def test_the_access_log_says_whose_key_it_was_under_the_name_that_the_authorizer_gives() -> None:
    source = (ROOT / function_of("api/authorizer")["CodeUri"] / "app.py").read_text()
    (name,) = re.findall(r'"context": \{"(\w+)": name\}', source)
    assert f'"api_key":"$context.authorizer.{name}"' in access_log()


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


def test_what_linters_are_told_to_pass_over_has_its_reason_beside_it() -> None:
    passed_over = (ROOT / ".checkov.yaml").read_text().split("skip-check:\n")[1].splitlines()
    for above, line in pairwise(["", *passed_over]):
        if line.strip().startswith("- CKV"):
            assert above.strip().startswith("#")
    for line in (ROOT / "template.yaml").read_text().splitlines():
        assert "ignore_checks" not in line or "#" in line
    for resource in RESOURCES.values():
        for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert skipped["comment"]
