"""What a cold start pays for: imports, in a fresh interpreter, of the functions as they are."""

import json
import subprocess
import sys
from typing import Any

from tests.cloudformation import ROOT, callbacks, folders


def module_of(folder: str) -> str:
    return f"functions.{folder.replace('/', '.')}"


FUNCTIONS = [module_of(folder) for folder in folders()]
CALLBACKS = [module_of(callback) for callback in callbacks()]
# each of these is work for somebody else: an API, a worker, a developer
NOT_FOR_CALLBACKS = (
    "alibabacloud_vod20170321",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.parser",
    "aws_lambda_powertools.utilities.validation",
    "aws_xray_sdk",
    "asyncio",
    "http.server",
    "json5",
    "jsonschema",
    "mns",
    "sqlite3",
    "unittest",
    "video_jobs.api",
    "video_jobs.callbacks.inbox",
    "video_jobs.notifications",
    "video_jobs.platforms.rest",
    "video_jobs.store",
    "video_jobs.worker",
    "xmlrpc",
)
LAMBDA = {
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
SCRIPT = """
import importlib, json, socket, sys
made, called, by_function = [], [], {}
import botocore.client, botocore.session
create = botocore.session.Session.create_client
def noted(self, service, *arguments, **options):
    made.append(service)
    return create(self, service, *arguments, **options)
botocore.session.Session.create_client = noted
botocore.client.BaseClient._make_api_call = lambda self, operation, parameters: called.append(operation)
socket.socket.connect = lambda self, address: called.append(str(address))
from video_jobs.aws import clients
for name in sys.argv[1:]:
    clients.forget()
    before = len(made)
    importlib.import_module(f"{name}.app")
    by_function[name] = sorted(made[before:])
print(json.dumps({"modules": sorted(sys.modules), "clients": by_function, "calls": called}))
"""


def imported(*names: str, **environment: str) -> dict[str, Any]:
    """Import functions in a fresh interpreter: what was imported, made and called; not even the region is set."""
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, *names], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


def test_callbacks_import_nothing_that_is_work_for_somebody_else() -> None:
    modules = imported(*CALLBACKS)["modules"]

    assert [
        module for module in modules for heavy in NOT_FOR_CALLBACKS if module == heavy or module.startswith(f"{heavy}.")
    ] == []


def test_callbacks_import_no_client_of_a_platform() -> None:
    modules = imported(*CALLBACKS)["modules"]

    assert [module for module in modules if module.startswith("video_jobs.platforms") and "client" in module] == []


def test_no_function_needs_its_environment_or_makes_a_client_or_a_call_on_import() -> None:
    found = imported(*FUNCTIONS)

    assert found["clients"] == {name: [] for name in FUNCTIONS}
    assert found["calls"] == []


def test_in_lambda_a_callback_makes_its_clients_while_it_starts_and_calls_nobody() -> None:
    # the start has more processor time than a request
    found = imported(*CALLBACKS, **LAMBDA)

    assert found["clients"] == {name: ["secretsmanager", "sqs"] for name in CALLBACKS}
    assert found["calls"] == []
