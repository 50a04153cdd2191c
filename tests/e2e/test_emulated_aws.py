"""What the emulated AWS promises to a machine with two cores: few processes, little disk, and nobody turned away."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local import aws, deploy
from local.commands import LOCAL
from local.stack import LocalStack
from tests.e2e.deployment import Deployment, http

LARGEST_MB = 400


def run_folder(deployment: Deployment) -> Path:
    port = deployment.stack.endpoint_url.rpartition(":")[2]
    (folder,) = (found for found in aws.RUNS.glob(f"{port}-*") if found.is_dir())
    return folder


def processes(deployment: Deployment) -> Counter[str]:
    """How many each function has, by its logical id. Each has a folder of its own."""
    names = deploy.physical_ids(deployment.stack.client("cloudformation"), deployment.stack.stack_name)
    folders = [found.name for found in run_folder(deployment).glob("ministack-lambda-*")]
    return Counter(
        {
            logical: sum(name.startswith(f"ministack-lambda-{physical}-") for name in folders)
            for logical, physical in names.items()
        }
    )


def test_every_function_runs_before_anybody_asks_for_it(deployment: Deployment) -> None:
    cloudformation = deployment.stack.client("cloudformation")
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=deployment.stack.stack_name)
    functions = {
        resource["LogicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }

    found = processes(deployment)
    assert functions
    assert not [name for name in functions if not found[name]]


def test_who_comes_when_all_processes_of_a_function_are_busy_waits_for_one(deployment: Deployment) -> None:
    """VideoDB's callbacks come in crowds: each had a process of its own, 53 of one function in a demo."""
    crowd = 40
    url = f"{deployment.stack.api_url}/callbacks/videodb/upload?job=nobody&attempt=1&token=guessed"

    with ThreadPoolExecutor(crowd) as threads:
        answers = list(threads.map(lambda _: http.request("POST", url, body=b"{}").status, range(crowd)))

    assert Counter(answers) == {401: crowd}
    assert 1 <= processes(deployment)["VideoDbUpload"] <= aws.FUNCTION_PROCESSES


def test_all_processes_share_one_copy_of_each_layer(deployment: Deployment) -> None:
    folder = run_folder(deployment)

    assert len(list((folder / "layers").iterdir())) == 2
    assert not list(folder.glob("ministack-lambda-*/layer*"))


def test_a_running_stack_takes_little_of_the_disk(deployment: Deployment) -> None:
    used = sum(found.lstat().st_size for found in LOCAL.rglob("*") if found.is_file())

    assert used < LARGEST_MB * 10**6


def test_queues_are_emptied_from_the_first_moment_on(deployment: Deployment) -> None:
    log = (LOCAL / "logs" / "test-ministack.log").read_text()

    assert "Lambda worker spawned" in log
    assert "poller error" not in log


def test_two_stacks_live_side_by_side(deployment: Deployment) -> None:
    first = deployment.stack
    with LocalStack(name="test-second", stack_name="video-jobs-two", beside=first) as second:
        cloudformation = first.client("cloudformation")
        ours, theirs = (deploy.physical_ids(cloudformation, stack.stack_name) for stack in (first, second))
        shared = {logical for logical, physical in ours.items() if theirs[logical] == physical}
        assert ours.keys() == theirs.keys()
        assert {ours[logical] for logical in shared} == {"$default"}, "an API's stage, which has its name in its API"

        job_id = deployment.create("poster.jpg")
        keys = {"x-api-key": second.api_key}
        assert http.request("GET", f"{second.api_url}/jobs/{job_id}", headers=keys).status == 404
        assert http.request("GET", f"{second.api_url}/jobs", headers=keys).json()["jobs"] == []
        assert http.request("GET", f"{first.api_url}/jobs", headers=keys).status == 401
        assert deployment.ended(job_id)["status"] == "succeeded"
