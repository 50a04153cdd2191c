"""What the template promises: all that belongs to a function is there, nothing is lost, nothing over-granted."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

import pytest

from tests.cloudformation import RESOURCES, ROOT, TEMPLATE, callbacks, folders, of_type, resources


def deployed_of(kind: str) -> dict[str, Any]:
    """The properties of what is deployed of a type when all parameters have their defaults, by logical id."""
    return {name: r.get("Properties", {}) for name, r in resources().items() if r["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
QUEUES = deployed_of("AWS::SQS::Queue")
ROLES = deployed_of("AWS::IAM::Role")
POLICIES = deployed_of("AWS::IAM::ManagedPolicy")
ALARMS = deployed_of("AWS::CloudWatch::Alarm")
WORKERS = [folder for folder in folders() if folder.endswith("/worker")]
NOTIFICATIONS = ("BusNotifications", "UrlNotifications")


def function_of(folder: str) -> dict[str, Any]:
    properties: dict[str, Any] = FUNCTIONS[logical_id_of(folder)]
    return properties


def logical_id_of(folder: str) -> str:
    (found,) = (name for name, f in FUNCTIONS.items() if f["CodeUri"] == f"functions/{folder}")
    return found


def folder_of(function: str) -> str:
    uri: str = FUNCTIONS[function]["CodeUri"]
    return uri.removeprefix("functions/")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def refers_to(value: Any) -> str:
    """What a reference is to: !Ref Jobs and !GetAtt Jobs.Arn are Jobs, an index of it Jobs/index/due."""
    match value:
        case {"Ref": name}:
            return str(name)
        case {"Fn::GetAtt": [name, *_]}:
            return str(name)
        case {"Fn::GetAtt": str(path)}:
            return path.split(".")[0]
        case {"Fn::Sub": [str(text), {**names}]} if len(names) == 1:
            ((name, part),) = names.items()
            return text.replace(f"${{{name}}}", refers_to(part))
    raise AssertionError(f"not a reference to a resource of the stack: {value}")


def environment_of(folder: str) -> dict[str, Any]:
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = function_of(folder).get("Environment", {}).get("Variables", {})
    return {**shared, **own}


def source_of(folder: str) -> str:
    return (ROOT / "functions" / folder / "app.py").read_text()


def routes_of(folder: str) -> list[str]:
    """A function's routes: "POST /jobs"."""
    events = (event for event in function_of(folder).get("Events", {}).values() if event["Type"] == "HttpApi")
    return [f"{event['Properties']['Method']} {event['Properties']['Path']}" for event in events]


# --- Functions and their routes


@pytest.mark.parametrize("folder", folders())
def test_every_folder_is_a_function_and_its_code_is_there(folder: str) -> None:
    # a wrong CodeUri passes lint, and `sam build` then leaves the function out without a word
    assert (ROOT / function_of(folder)["CodeUri"] / "app.py").is_file()


def test_every_function_has_a_folder() -> None:
    assert sorted(map(folder_of, FUNCTIONS)) == folders()


def test_no_gateway_says_no_for_a_function() -> None:
    # what a platform proves, its callback function knows; what has no key, the API refuses in its caller's language
    assert "Auth" not in RESOURCES["Api"]["Properties"]
    events = [event for function in FUNCTIONS.values() for event in function.get("Events", {}).values()]
    assert not [event for event in events if "Auth" in event["Properties"]]


def test_a_function_that_has_routes_has_the_secret_that_lets_somebody_in() -> None:
    for folder in folders():
        if routes_of(folder):
            secrets = {
                variable
                for variable in environment_of(folder)
                if variable.endswith("_SECRET") and variable != "CALLBACK_KEYS_SECRET"
            }
            if folder in callbacks():
                assert secrets or "CALLBACK_KEYS_SECRET" in environment_of(folder)
            else:
                assert environment_of(folder)["API_KEYS_SECRET"] == {"Ref": "ApiKeys"}


def test_no_two_functions_have_a_route() -> None:
    routes = [route for folder in folders() for route in routes_of(folder)]
    assert len(set(routes)) == len(routes)


# --- Queues


def consumers() -> list[tuple[str, str]]:
    """Which function takes from which queue."""
    return [
        (name, refers_to(event["Properties"]["Queue"]))
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    ]


def dead_letters_of(queue: str) -> str:
    return refers_to(QUEUES[queue]["RedrivePolicy"]["deadLetterTargetArn"])


@pytest.mark.parametrize(("function", "queue"), consumers())
def test_a_queue_outlasts_its_consumer_and_has_dead_letters(function: str, queue: str) -> None:
    timeout = FUNCTIONS[function].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
    assert QUEUES[queue]["VisibilityTimeout"] >= 6 * timeout
    assert dead_letters_of(queue) == f"{queue.removesuffix('Queue')}DeadLetters"
    for event in FUNCTIONS[function]["Events"].values():
        assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_queue_is_consumed_or_holds_dead_letters_and_is_encrypted() -> None:
    consumed = [queue for _, queue in consumers()]
    assert sorted([*consumed, *map(dead_letters_of, consumed)]) == sorted(QUEUES)
    assert all(queue["SqsManagedSseEnabled"] is True for queue in QUEUES.values())


def test_dead_letters_take_what_their_queue_takes() -> None:
    for _, queue in consumers():
        assert QUEUES[dead_letters_of(queue)].get("MaximumMessageSize") == QUEUES[queue].get("MaximumMessageSize")


WAITS_FOR_AWS = [queue for _, queue in consumers() if queue not in NOTIFICATIONS]


@pytest.mark.parametrize("queue", WAITS_FOR_AWS)
def test_what_waits_for_aws_outlasts_an_incident_of_a_day(queue: str) -> None:
    longest_wait = 900
    tries = QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"]
    assert tries * longest_wait >= 30 * 3600
    # and is among the dead letters, which raise an alarm, before it is deleted by its age
    assert tries * longest_wait < QUEUES[queue]["MessageRetentionPeriod"]
    # where Lambda has no room for the function, nobody sets a wait
    assert tries * QUEUES[queue]["VisibilityTimeout"] >= 30 * 3600


def test_queues_that_wait_for_aws_wait_alike() -> None:
    # tests/pipeline/test_consumers.py looks at one of them
    assert len({QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"] for queue in WAITS_FOR_AWS}) == 1
    assert len({QUEUES[queue]["MessageRetentionPeriod"] for queue in WAITS_FOR_AWS}) == 1


@pytest.mark.parametrize(("function", "queue"), consumers())
def test_a_consumer_finds_its_queues_in_its_environment(function: str, queue: str) -> None:
    variables = environment_of(folder_of(function))
    (own,) = (name for name, value in variables.items() if value == {"Ref": queue})
    of_its_own = [name for name, value in variables.items() if value == {"Ref": dead_letters_of(queue)}]
    if queue in WAITS_FOR_AWS:  # what no try will help, the function moves; notifications have a schedule, and SQS does
        assert of_its_own == [own.replace("_QUEUE_URL", "_DEAD_LETTERS_URL")]
    named = set(re.findall(r'"([A-Z_]+_(?:QUEUE|DEAD_LETTERS)_URL)"', source_of(folder_of(function))))
    assert named <= set(variables)
    if folder_of(function) in WORKERS:  # worker.py makes their names of the platform's
        assert own == f"{folder_of(function).split('/')[0].upper()}_QUEUE_URL"
    else:
        assert own in named


def test_dead_letters_have_most_of_a_fortnight_left_when_they_arrive() -> None:
    # SQS keeps a message's first time of sending when it moves it, so a source that kept them as long would hand over
    # messages that are deleted on arrival
    for name, queue in QUEUES.items():
        days = queue["MessageRetentionPeriod"] / 86400
        assert days == (6 if name in NOTIFICATIONS else 4 if "RedrivePolicy" in queue else 14)


@pytest.mark.parametrize("queue", NOTIFICATIONS)
def test_a_notification_is_not_deleted_before_its_last_attempt(queue: str) -> None:
    from video_jobs.notifications.deliver import LONGEST_WAIT, WAITS

    assert len(WAITS) + 1 == QUEUES[queue]["RedrivePolicy"]["maxReceiveCount"]
    assert len(WAITS) * LONGEST_WAIT + 86400 < QUEUES[queue]["MessageRetentionPeriod"]


def test_the_lease_of_a_step_is_longer_than_whoever_submits_it_may_run() -> None:
    from video_jobs.worker.submit import LEASE_SECONDS

    for folder in WORKERS:
        (queue,) = (taken for name, taken in consumers() if name == logical_id_of(folder))
        assert function_of(folder)["Timeout"] < LEASE_SECONDS < QUEUES[queue]["VisibilityTimeout"]
    assert function_of("twelvelabs/api")["Timeout"] < LEASE_SECONDS  # it passes on a file


def test_a_function_that_can_call_itself_by_way_of_queues_is_not_stopped_for_it() -> None:
    # Lambda stops a loop of functions and queues after 16 rounds, unless it is known that the loop is meant
    taken_by = {queue: function for function, queue in consumers()}
    next_ones = {
        name: {taken_by[queue] for queue in sends_to(refers_to(function["Role"])) if queue in taken_by}
        for name, function in FUNCTIONS.items()
    }

    def reached(name: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
        for other in next_ones[name] - seen:
            seen = reached(other, seen | {other})
        return seen

    in_a_loop = {name for name in FUNCTIONS if name in reached(name)}
    assert in_a_loop == {*map(logical_id_of, WORKERS), "Batches"}
    assert {name for name, function in FUNCTIONS.items() if function.get("RecursiveLoop") == "Allow"} == in_a_loop


# --- What functions may do


def statements(role: str) -> Iterator[dict[str, Any]]:
    """All that a role grants, also by the stack's own managed policies."""
    own = [*ROLES[role].get("Policies", [])]
    shared = [POLICIES[refers_to(policy)] for policy in ROLES[role].get("ManagedPolicyArns", [])]
    for policy in [*own, *shared]:
        yield from policy["PolicyDocument"]["Statement"]


def granted(role: str) -> dict[str, set[str]]:
    """What a role allows, by resource, but for its function's log."""
    found: dict[str, set[str]] = {}
    for statement in statements(role):
        for resource in as_list(statement["Resource"]):
            found.setdefault(refers_to(resource), set()).update(as_list(statement["Action"]))
    assert found.pop("Logs", None) in (None, {"logs:CreateLogStream", "logs:PutLogEvents"})
    return found


def sends_to(role: str) -> set[str]:
    return {resource for resource, actions in granted(role).items() if "sqs:SendMessage" in actions}


@pytest.mark.parametrize("role", ROLES)
def test_no_grant_is_wider_than_a_resource_of_the_stack(role: str) -> None:
    for resource, actions in granted(role).items():
        assert resource.split("/")[0] in RESOURCES
        assert not [action for action in actions if "*" in action]


def table(*operations: str) -> set[str]:
    return {f"dynamodb:{operation}" for operation in operations}


SEND = {"sqs:SendMessage"}
CONSUME = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
LENGTH = {"sqs:GetQueueAttributes"}
SECRET = {"secretsmanager:GetSecretValue"}
CHANGES_JOBS = table("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")
ANNOUNCES: dict[str, set[str]] = {"BusNotifications": SEND, "UrlNotifications": SEND, "BatchesQueue": SEND}
TO_INBOX: dict[str, set[str]] = {"InboxQueue": SEND, "InboxDeadLetters": SEND}
TO_WORKERS: dict[str, set[str]] = {
    "VideoDbQueue": SEND,
    "TwelveLabsQueue": SEND,
    "ApiVideoQueue": SEND,
    "ApsaraVideoQueue": SEND,
}


def worker_of(platform: str, *secrets: str) -> dict[str, set[str]]:
    own = {f"{platform}Queue": CONSUME | SEND, f"{platform}DeadLetters": SEND}
    return {"Jobs": CHANGES_JOBS, **own, **ANNOUNCES, **dict.fromkeys(secrets, SECRET)}


GRANTED: dict[str, dict[str, set[str]]] = {
    "VideoDbCallbackRole": {**TO_INBOX, "CallbackKeys": SECRET},
    "TwelveLabsCallbackRole": {**TO_INBOX, "TwelveLabsSecret": SECRET},
    "ApiVideoCallbackRole": {**TO_INBOX, "ApiVideoSecret": SECRET},
    "ApsaraVideoCallbackRole": {**TO_INBOX, "ApsaraVideoSecret": SECRET},
    "InboxRole": {
        "InboxQueue": CONSUME,
        "InboxDeadLetters": SEND,
        "Jobs": table("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
        **TO_WORKERS,
    },
    "VideoDbWorkerRole": worker_of("VideoDb", "CallbackKeys", "VideoDbApiKey"),
    "TwelveLabsWorkerRole": worker_of("TwelveLabs", "TwelveLabsSecret"),
    "ApiVideoWorkerRole": worker_of("ApiVideo", "ApiVideoSecret"),
    "ApsaraVideoWorkerRole": worker_of("ApsaraVideo", "ApsaraVideoSecret"),
    "BatchesRole": {
        "Jobs": CHANGES_JOBS | table("BatchGetItem"),
        **dict.fromkeys(TO_WORKERS, SEND | LENGTH),
        **ANNOUNCES,
        "BatchesQueue": CONSUME | SEND,
        "BatchesDeadLetters": SEND,
    },
    "NotifyRole": {
        "BusNotifications": CONSUME,
        "UrlNotifications": CONSUME,
        "EventBus": {"events:PutEvents"},
        "NotifySecrets": SECRET,
    },
    "SweepRole": {
        "Jobs": table("UpdateItem"),
        "Jobs/index/due": table("Query"),
        **dict.fromkeys([*TO_WORKERS, "BatchesQueue"], SEND | LENGTH),
    },
    "JobsApiRole": {
        "Jobs": CHANGES_JOBS | table("BatchGetItem"),
        "Jobs/index/by_provider": table("Query"),
        "Jobs/index/by_status": table("Query"),
        "Jobs/index/by_label": table("Query"),
        **TO_WORKERS,
        **ANNOUNCES,
        "InboxQueue": SEND,
        "ApiKeys": SECRET,
    },
    "TwelveLabsApiRole": {
        "Jobs": CHANGES_JOBS | table("BatchGetItem"),
        "Jobs/index/by_provider": table("Query"),
        "TwelveLabsQueue": SEND,
        **ANNOUNCES,
        "ApiKeys": SECRET,
        "TwelveLabsSecret": SECRET,
    },
    "ApiVideoApiRole": {"Jobs": table("Query"), "ApiKeys": SECRET},
    # made by SAM, for EventBridge Scheduler
    "SweepScheduleRole": {"Sweep": {"lambda:InvokeFunction"}},
    "ApsaraVideoMnsScheduleRole": {"ApsaraVideoMns": {"lambda:InvokeFunction"}},
}


def test_every_role_has_its_line_here() -> None:
    assert GRANTED.keys() == ROLES.keys()


@pytest.mark.parametrize("role", GRANTED)
def test_a_role_grants_exactly_what_its_functions_call(role: str) -> None:
    assert granted(role) == GRANTED[role]


@pytest.mark.parametrize("callback", [*callbacks(), "apsaravideo/mns"])
def test_a_callback_function_can_do_nothing_but_send_to_the_inbox_and_read_its_own_secret(callback: str) -> None:
    allowed = granted(refers_to(function_of(callback)["Role"]))
    (secret,) = allowed.keys() - {"InboxQueue", "InboxDeadLetters"}
    assert allowed == {"InboxQueue": SEND, "InboxDeadLetters": SEND, secret: SECRET}
    assert {"Ref": secret} in environment_of(callback).values()


def test_every_function_has_a_role_of_the_stack_that_lets_it_write_its_log() -> None:
    # without one SAM would attach a managed policy that allows logging, and taking from queues, everywhere
    for function in FUNCTIONS.values():
        role = refers_to(function["Role"])
        assert "Logs" in {refers_to(resource) for each in statements(role) for resource in as_list(each["Resource"])}


def test_alibabas_sdk_goes_to_the_functions_that_sign_requests_to_alibaba_and_nowhere_else() -> None:
    with_it = {f["CodeUri"] for f in FUNCTIONS.values() if {"Ref": "AlibabaLayer"} in f.get("Layers", [])}
    assert with_it == {"functions/apsaravideo/worker", "functions/apsaravideo/mns"}


# --- The table


def test_an_index_holds_keys_alone_and_every_attribute_is_one_of_a_key() -> None:
    # what else an index held would be written again, at its full size, whenever it changes
    properties = RESOURCES["Jobs"]["Properties"]
    indexes = properties["GlobalSecondaryIndexes"]
    keys = [properties["KeySchema"], *(index["KeySchema"] for index in indexes)]
    assert {index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]] for index in indexes} == {
        "by_provider": ["shard", "created"],
        "by_status": ["by_status", "created"],
        "by_label": ["by_label", "created"],
        "due": ["shard", "due_at"],
    }
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes)
    defined = {
        attribute["AttributeName"]: attribute["AttributeType"] for attribute in properties["AttributeDefinitions"]
    }
    assert defined == {key["AttributeName"]: "S" for schema in keys for key in schema}


def test_an_index_is_asked_by_somebody_who_may() -> None:
    named = {
        name
        for source in ROOT.glob("layers/shared/video_jobs/store/*.py")
        for name in re.findall(r'"(by_provider|by_status|by_label|due)"', source.read_text())
    }
    indexes = {index["IndexName"] for index in RESOURCES["Jobs"]["Properties"]["GlobalSecondaryIndexes"]}
    may_ask = {resource.rpartition("/")[2] for role in ROLES for resource in granted(role) if "/index/" in resource}
    assert named == indexes == may_ask


# --- Alarms


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
    alarm = ALARMS[f"{queue.removesuffix('Queue')}StandsAlarm"]
    assert {refers_to(metric["Dimensions"][0]["Value"]) for metric in metrics(alarm)} == {queue}
    assert [each.get("MetricStat", {}).get("Metric", {}).get("MetricName") for each in alarm["Metrics"]] == [
        None,
        "ApproximateAgeOfOldestMessage",
        "NumberOfMessagesReceived",
        "NumberOfMessagesDeleted",
    ]
    (shown,) = (each for each in alarm["Metrics"] if each.get("ReturnData", True))
    assert shown["Expression"] == "IF((FILL(age, 0) > 3600 OR FILL(received, 0) > 2) AND FILL(done, 0) == 0, 1, 0)"


def test_every_alarm_goes_to_the_topic() -> None:
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
        return str(fnmatchcase(line.get(name, ""), value) == (operator == "="))

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
        # our own, for want of a secret: anybody's to cause
        ("503", "POST /callbacks/twelvelabs/index-task", "200", False),
        ("503", "POST /callbacks/twelvelabs/index-task", "429", True),  # no room for the function
        ("503", "POST /callbacks/twelvelabs/index-task", "-", True),  # it did not answer in time
        ("500", "POST /callbacks/videodb/upload", "200", True),  # it crashed
        ("503", "GET /jobs/{job_id}", "200", True),  # DynamoDB is away; only a holder of a key can ask
        ("500", "GET /jobs", "-", True),  # it did not answer in time
    ],
)
def test_answers_that_only_we_can_mend_are_counted(status: str, route: str, lambda_status: str, counts: bool) -> None:
    line = {"status": status, "route": route, "lambda_status": lambda_status}
    assert matches(counted("FailedAnswers"), line) == counts
    assert ALARMS["FailedAnswersAlarm"]["DatapointsToAlarm"] > 1


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ({"message": "aws_unavailable"}, True),
        ({"message": "newer_version"}, True),
        ({"message": "unavailable", "exception_name": "ClientError"}, True),  # the Inbox could not be reached
        ({"message": "unavailable", "exception_name": "SecretUnavailableError"}, False),  # nobody has filled it
        ({"message": "accepted"}, False),
    ],
)
def test_what_is_left_for_later_is_counted(line: dict[str, str], counts: bool) -> None:
    assert matches(counted("AwsUnavailable"), line) == counts
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
    assert line.keys() >= {"status", "route", "lambda_status", "service", "error"}
    assert not re.findall(r"\$context\.[\w.]*(?:message|error)\b(?!\.responseType)", access_log(), re.IGNORECASE)


def test_logs_do_not_pile_up_for_ever() -> None:
    assert all(group["RetentionInDays"] for group in of_type("AWS::Logs::LogGroup").values())


@pytest.mark.parametrize("folder", folders())
def test_every_variable_that_a_function_reads_is_set(folder: str) -> None:
    # what the layer reads, it reads by these words; a queue's name is made of the provider's
    assert {"TABLE_NAME", "AWS_ENDPOINT_URL", "RETENTION_DAYS"} <= set(environment_of(folder))
    read = re.findall(r'\b(?:setting|number|values|newer_values)\("([A-Z_]+)"', source_of(folder))
    assert set(read) <= set(environment_of(folder))


def test_what_linters_pass_over_has_its_reason_beside_it() -> None:
    passed_over = (ROOT / ".checkov.yaml").read_text().split("skip-check:\n")[1].splitlines()
    for above, line in pairwise(["", *passed_over]):
        if line.strip().startswith("- CKV"):
            assert above.strip().startswith("#")
    for line in (ROOT / "template.yaml").read_text().splitlines():
        assert "ignore_checks" not in line or "#" in line
    for resource in RESOURCES.values():
        for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert skipped["comment"]
