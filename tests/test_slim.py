"""What the layer's build leaves of botocore's data is what the functions use, and the same as without it."""

import ast
from pathlib import Path
from shutil import copytree
from typing import Any

import botocore
import botocore.session
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.loaders import Loader

from layers.shared import slim
from tests.cloudformation import ROOT

WHOLE = Path(botocore.__file__).parent / "data"
SOURCES = (ROOT / "layers/shared/video_jobs", ROOT / "functions")
REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-5", "cn-north-1", "us-gov-west-1")


def called(path: Path) -> set[tuple[str, str]]:
    """The services and methods of `clients.<service>().<method>`, which is how all code calls AWS."""
    tree = ast.parse(path.read_text())
    made = {
        id(node): node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "clients"
        and node.func.attr in slim.OPERATIONS
    }
    used = {
        id(node.value): node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and id(node.value) in made
    }
    assert used.keys() == made.keys(), f"{path}: a client that is passed on: nobody can tell what is called"
    return {(made[client], method) for client, method in used.items() if method not in ("exceptions", "meta", "close")}


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """Reads what the build leaves."""
    data = tmp_path_factory.mktemp("layer") / "data"
    data.mkdir()
    for entry in WHOLE.iterdir():
        if entry.is_file():
            (data / entry.name).write_bytes(entry.read_bytes())
        elif entry.name in (*slim.OPERATIONS, "sts"):
            copytree(entry, data / entry.name)
    slim.slim(data)
    return Loader(extra_search_paths=[str(data)], include_default_search_paths=False)


def client(service: str, region: str, loader: Loader | None = None) -> Any:
    session = botocore.session.Session()
    if loader is not None:
        session.register_component("data_loader", loader)
    return session.create_client(
        service, region, config=Config(), aws_access_key_id="testing", aws_secret_access_key="testing"
    )


def test_the_layer_knows_the_operations_that_are_called_and_no_others() -> None:
    found = {pair for folder in SOURCES for path in folder.rglob("*.py") for pair in called(path)}

    assert found == {
        (service, xform_name(operation)) for service, names in slim.OPERATIONS.items() for operation in names
    }


def test_only_services_that_are_called_remain(loader: Loader) -> None:
    assert loader.list_available_services("service-2") == sorted(slim.OPERATIONS)


@pytest.mark.parametrize("service", sorted(slim.OPERATIONS))
def test_a_client_finds_its_service_and_knows_its_operations_as_without_the_cut(service: str, loader: Loader) -> None:
    for region in REGIONS:
        cut, whole = client(service, region, loader), client(service, region)
        assert cut.meta.endpoint_url == whole.meta.endpoint_url
        assert cut.meta.partition == whole.meta.partition

    for operation in slim.OPERATIONS[service]:
        models = [each.meta.service_model.operation_model(operation) for each in (cut, whole)]
        assert described(models[0].input_shape) == described(models[1].input_shape)
        assert described(models[0].output_shape) == described(models[1].output_shape)
        assert {shape.name for shape in models[0].error_shapes} == {shape.name for shape in models[1].error_shapes}
        assert models[0].idempotent_members == models[1].idempotent_members
        assert models[0].static_context_parameters == models[1].static_context_parameters


def described(shape: Any, above: tuple[str, ...] = ()) -> Any:
    """A shape with all that it consists of, but for its documentation."""
    if shape is None or shape.name in above:
        return shape and shape.name
    inner = (*above, shape.name)
    parts = dict(getattr(shape, "members", {}))
    parts |= {name: getattr(shape, name) for name in ("key", "value", "member") if hasattr(shape, name)}
    members = {name: described(part, inner) for name, part in parts.items()}
    return shape.name, shape.type_name, dict(shape.metadata), dict(shape.serialization), members
