"""One place says for which processor: what the functions run on is what the layers are built for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local import template
from local.commands import TOOLS
from tests.cloudformation import PARAMETERS, ROOT

PROCESSORS = {"arm64": "aarch64", "x86_64": "x86_64"}
"""What Lambda calls each, and what the wheels for it are called."""
LAYERS = {"SharedLayer": "shared", "AlibabaLayer": "alibaba"}
READER = """
import json, sys
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_layer_provider import SamLayerProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

stacks, _ = SamLocalStackProvider.get_stacks(sys.argv[1])
print(json.dumps({
    "functions": [function.architectures for function in SamFunctionProvider(stacks).get_all()],
    "layers": {layer.name: {
        "builds_for": layer.build_architecture,
        "is_for": layer.compatible_architectures,
        "makefile_in": layer.metadata["ContextPath"],
    } for layer in SamLayerProvider(stacks).get_all()},
}))
"""
"""What SAM CLI reads out of a template before it builds, by its own code."""


@pytest.mark.parametrize("processor", PROCESSORS)
def test_one_place_decides_what_functions_run_on_and_layers_are_built_for(processor: str, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(template.for_processor(processor))
    command = [str(TOOLS / "sam/bin/python"), "-I", "-c", READER, str(file)]
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "HOME": str(tmp_path)}
    read: dict[str, Any] = json.loads(subprocess.check_output(command, env=environment, timeout=120))

    assert read["functions"]
    assert all(architectures == [processor] for architectures in read["functions"])
    # SAM takes the Makefile from there, and runs it in the layer's folder
    built = {"builds_for": processor, "is_for": [processor], "makefile_in": f"layers/{processor}"}
    assert read["layers"] == dict.fromkeys(LAYERS, built)
    assert (ROOT / "layers" / processor / "Makefile").is_file()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_layer_gets_the_wheels_of_that_processor_and_no_others(processor: str, layer: str) -> None:
    wheels = plan(ROOT / "layers" / processor / "Makefile", layer).stdout

    for name, tag in PROCESSORS.items():
        assert (f"--platform manylinux2014_{tag}" in wheels) == (name == processor)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_build_that_does_not_know_its_processor_stops_and_says_what_to_type(layer: str) -> None:
    stopped = plan(ROOT / "layers" / LAYERS[layer] / "Makefile", layer)

    assert stopped.returncode != 0
    assert "Build with `sam build`" in stopped.stderr


def plan(makefile: Path, layer: str) -> "subprocess.CompletedProcess[str]":
    """What make would run for a layer, as SAM calls it."""
    return subprocess.run(
        [
            "make",
            "--makefile",
            makefile,
            "--dry-run",
            f"build-{layer}",
            "ARTIFACTS_DIR=/nowhere",
            f"PYTHON={sys.executable}",
        ],
        cwd=ROOT / "layers" / LAYERS[layer],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_parameter_can_ask_for_another_processor_than_the_build_had() -> None:
    assert "Architecture" not in PARAMETERS


def test_a_template_that_names_its_processor_nowhere_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text("Resources: {}")

    with pytest.raises(ValueError, match="in 0 places"):
        template.for_processor("arm64", file)
