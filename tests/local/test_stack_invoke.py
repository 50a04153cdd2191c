"""`make invoke` finds the function by its event, and gives it addresses that lead out of its container."""

import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from local import invoke
from local.commands import StackError
from local.forward import forwarded


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


def test_an_event_of_no_function_is_said_so() -> None:
    with pytest.raises(StackError, match="no function in functions/videodb/nothing"):
        invoke.function_of("videodb/nothing/case", {"videodb/upload": "VideoDbUpload"})


def test_addresses_of_this_machine_lead_there_from_a_container() -> None:
    with ExitStack() as exits:
        variables = invoke._as_seen_from_container(
            {
                "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
                "QUEUE_URL": "http://127.0.0.1:4566/000000000000/steps",
                "CALLBACK_BASE_URL": "http://127.0.0.1:4566/api",
                "TABLE_NAME": "jobs",
            },
            "127.0.0.1",
            exits,
        )

        assert variables["AWS_ENDPOINT_URL"] != "http://127.0.0.1:4566"
        assert variables["QUEUE_URL"] == f"{variables['AWS_ENDPOINT_URL']}/000000000000/steps"
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
