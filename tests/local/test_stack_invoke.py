"""`make invoke` finds the function by its event, and gives it addresses that lead out of its container."""

import json
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from video_jobs.aws import clients

from local import build, invoke, running, serve, template
from local.commands import StackError
from local.forward import forwarded
from local.samples import SAMPLE_API_KEY
from tests.stack import Stack


@pytest.fixture
def events(tmp_path: Path) -> Path:
    for name in ("videodb/upload/video_success", "videodb/upload/video_failure", "videodb/index_scenes/success"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.json").write_text("{}")
    return tmp_path


def test_an_event_is_its_path_without_the_ending(events: Path) -> None:
    file = invoke.event_file("videodb/upload/video_success", events)

    assert file == events / "videodb/upload/video_success.json"


def test_a_misspelt_event_shows_near_ones(events: Path) -> None:
    with pytest.raises(StackError) as error:
        invoke.event_file("videodb/upload/video_sucess", events)

    assert "videodb/upload/video_success" in str(error.value)


def test_no_event_shows_all(events: Path) -> None:
    with pytest.raises(StackError) as error:
        invoke.event_file("", events)

    assert str(error.value).splitlines()[1:] == [
        "videodb/index_scenes/success",
        "videodb/upload/video_failure",
        "videodb/upload/video_success",
    ]


def test_the_function_is_the_one_in_the_events_folder() -> None:
    assert invoke.function_of("videodb/upload/video_success", {"videodb/upload": "VideoDbUpload"}) == "VideoDbUpload"
    assert invoke.function_of("api/list_jobs", {"api": "JobsApi"}) == "JobsApi"


def test_an_event_of_no_function_is_said_so() -> None:
    with pytest.raises(StackError, match="no function in functions/videodb/nothing"):
        invoke.function_of("videodb/nothing/case", {"videodb/upload": "VideoDbUpload"})


# --- With the SAM CLI alone ------------------------------------------------------------------------------------------


STACK = running.RunningStack(
    api_url="http://127.0.0.1:4566/api",
    api_key="key",
    notify_key="whsec_key",
    endpoint_url="http://127.0.0.1:4566",
    stack_name="video-jobs",
    platforms={},
)
VARIABLES = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
    "CALLBACK_BASE_URL": "http://127.0.0.1:4566/api",
    "APSARAVIDEO_CALLBACK_URL": "http://127.0.0.1:4566/api/callbacks",
    "TABLE_NAME": "jobs",
}


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "find", lambda: STACK)
    monkeypatch.setattr(invoke, "_gateway", lambda: "172.17.0.1")
    monkeypatch.setattr(invoke, "_host_from_container", lambda gateway, _endpoint: gateway)
    monkeypatch.setattr(invoke, "_environment_of", lambda _function, _endpoint: VARIABLES)
    monkeypatch.setattr(build, "if_needed", lambda _log_name: None)


@pytest.mark.usefixtures("up")
def test_a_command_writes_what_sam_needs_of_every_function(tmp_path: Path) -> None:
    file = tmp_path / "env.json"

    invoke.write_env("videodb/upload/video_success", file)

    written = json.loads(file.read_text())
    assert set(written) == set(template.functions().values())
    assert written["Sweep"] == VARIABLES | {"AWS_ENDPOINT_URL": "http://172.17.0.1:4566"}
    signed_for = {name for name, variables in written.items() if variables["APSARAVIDEO_CALLBACK_URL"] != ""}
    assert "ApsaraVideoWorker" in signed_for
    assert "ApsaraVideoUploadByUrlComplete" not in signed_for  # its samples are signed for their own address


@pytest.mark.usefixtures("up")
def test_it_prints_the_lines_to_type(tmp_path: Path) -> None:
    said = invoke.write_env("twelvelabs/api/list_tasks", tmp_path / "env.json")

    assert [line.strip() for line in said.splitlines() if line.startswith("  ")] == [
        "source .venv/bin/activate",
        "export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1"
        "    # in a shell for this alone",
        "sam local invoke TwelveLabsApi -t .local/build/template.yaml -e events/twelvelabs/api/list_tasks.json"
        " --env-vars .local/env.json",
    ]


def test_without_a_stack_there_is_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="not up"):
        invoke.write_env("twelvelabs/api/list_tasks", tmp_path / "env.json")
    assert not (tmp_path / "env.json").exists()


def test_a_stack_that_containers_reach_is_found_at_dockers_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        assert invoke._host_from_container("127.0.0.1", url) == "127.0.0.1"

    with pytest.raises(StackError, match=r"make local BIND=0\.0\.0\.0"):
        invoke._host_from_container("127.0.0.1", url)


def test_where_docker_runs_in_a_virtual_machine_the_stack_is_found_by_its_name_for_this_machine() -> None:
    assert invoke._host_from_container("192.0.2.1", "http://127.0.0.1:4566") == "host.docker.internal"


def test_the_stack_of_make_local_lets_the_samples_key_in(stack: Stack) -> None:
    clients.secretsmanager().create_secret(Name="ApiKeys-1", SecretString='{"default": "own"}')
    made: Any = SimpleNamespace(
        outputs={"ApiKeysSecret": "ApiKeys-1"}, client=lambda _service: clients.secretsmanager()
    )

    serve.accept_samples(made)

    stored = json.loads(clients.secretsmanager().get_secret_value(SecretId="ApiKeys-1")["SecretString"])
    assert stored == {"default": "own", "samples": SAMPLE_API_KEY}


# --- In a container --------------------------------------------------------------------------------------------------


def test_addresses_of_this_machine_lead_there_from_a_container() -> None:
    with ExitStack() as exits:
        variables = invoke._as_seen_from_container(
            {
                "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
                "QUEUE_URL": "http://127.0.0.1:4566/000000000000/looks",
                "CALLBACK_BASE_URL": "http://127.0.0.1:4566/api",
                "TABLE_NAME": "jobs",
            },
            "127.0.0.1",
            exits,
        )

        assert variables["AWS_ENDPOINT_URL"] != "http://127.0.0.1:4566"
        assert variables["QUEUE_URL"] == f"{variables['AWS_ENDPOINT_URL']}/000000000000/looks"
        assert variables["CALLBACK_BASE_URL"] == "http://127.0.0.1:4566/api"
        assert variables["TABLE_NAME"] == "jobs"


def test_where_docker_runs_in_a_virtual_machine_its_own_name_leads_there() -> None:
    not_ours = "192.0.2.1"  # an address that is nobody's: RFC 5737

    variables = invoke._as_seen_from_container({"URL": "http://127.0.0.1:4566/x"}, not_ours, ExitStack())

    assert variables == {"URL": "http://host.docker.internal:4566/x"}


def test_a_forwarded_port_passes_both_ways() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100).upper())

        threading.Thread(target=answer, daemon=True).start()
        with (
            forwarded(server.getsockname()[1], "127.0.0.1") as port,
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)

            assert client.recv(100) == b"HELLO"
