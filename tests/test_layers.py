"""What a layer's build promises: the same bytes wherever it was built, so that only a change replaces it."""

import marshal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cloudformation import ROOT

LAYERS = ("alibaba", "shared")
CODE = '''"""A module."""

NAMES = {"b", "a", "c"}


def shared(value: str = "text") -> frozenset[str]:
    return frozenset({value, *NAMES}) if value in {"text", "word", "line"} else frozenset()
'''
WRITTEN_BY_PIP = ("RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json")


def installed(folder: Path) -> Path:
    """A folder as pip leaves it for the layer."""
    package, about = folder / "python" / "package", folder / "python" / "package-1.0.dist-info"
    (package / "part").mkdir(parents=True)
    for name in ("__init__.py", "module.py", "part/__init__.py", "part/RECORD"):
        (package / name).write_text(CODE)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "module.cpython-313.pyc").write_text(f"of an earlier build in {folder}")
    about.mkdir()
    for name in (*WRITTEN_BY_PIP, "METADATA", "LICENSE"):
        (about / name).write_text("the same" if name in ("METADATA", "LICENSE") else f"of {folder}")
    (folder / "python" / "bin").mkdir()
    (folder / "python" / "bin" / "program").write_text(f"#!{folder}/python3.13\n")
    return folder


def compiled(layer: str, folder: Path, *, given: str = "") -> dict[str, bytes]:
    """What the layer's Makefile makes of such a folder."""
    subprocess.run(
        ["make", "compile", f"ARTIFACTS_DIR={given or folder}", f"PYTHON={sys.executable}"],
        cwd=ROOT / "layers" / layer,
        check=True,
        capture_output=True,
        timeout=120,
    )
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_the_same_wherever_it_was_built(layer: str, tmp_path: Path) -> None:
    here, there = installed(tmp_path / "here"), installed(tmp_path / "some other builder" / "there")

    first, second = compiled(layer, here), compiled(layer, there, given=f"{there}/")

    assert first == second
    assert {name for name in first if "dist-info" in name} == {
        "python/package-1.0.dist-info/METADATA",
        "python/package-1.0.dist-info/LICENSE",
    }
    assert not [name for name in first if name.startswith("python/bin/")]
    assert "python/package/part/RECORD" in first  # a package's own file


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layers_bytecode_names_the_file_that_lambda_has(layer: str, tmp_path: Path) -> None:
    found = compiled(layer, installed(tmp_path / "here"))

    bytecode = {name: content for name, content in found.items() if name.endswith(".pyc")}
    assert len(bytecode) == 3
    for name, content in bytecode.items():
        flags = int.from_bytes(content[4:8], "little")
        assert flags == 0b01  # by the source's hash, which is not checked: its time does not survive the zip
        path = Path(name)
        source = path.parent.parent / f"{path.name.split('.')[0]}.py"
        assert marshal.loads(content[16:]).co_filename == f"/opt/{source}"
        assert str(tmp_path).encode() not in content


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layers_build_ends_by_what_these_tests_run(layer: str) -> None:
    makefile = (ROOT / "layers" / layer / "Makefile").read_text()

    recipes = makefile.split("\nbuild-")[1].split("\n\n")
    assert recipes[0].endswith("\n\t$(COMPILE)")
    assert recipes[1].rstrip().endswith("\n\t$(COMPILE)")
