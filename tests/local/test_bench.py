"""What `make bench` prints can be read, and means what it says. How fast anything is, no test asks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local import samples
from local.bench import bills, starts
from local.bench.shown import machine, table
from local.bench.starts import Series, disk, timings, zipped
from tests.cloudformation import ROOT


def test_a_table_has_its_names_to_the_left_and_its_numbers_to_the_right() -> None:
    assert table("Title", ["", "ms", "ratio"], [["one", "1.0", "1.00"], ["three", "100.0", "100.00"]]) == (
        "Title\n            ms   ratio\n  one      1.0    1.00\n  three  100.0  100.00"
    )


def test_timings_show_the_median_the_range_and_the_ratio_to_the_first() -> None:
    first = Series("bare", [0.1, 0.3, 0.2])
    second = Series("ours", [0.5, 0.25, 0.3, 0.35, 9.0])

    assert timings("Import", [first, second], "ms", 1e3) == (
        "Import\n"
        "           ms       min - max  ratio\n"
        "  bare  200.0   100.0 - 300.0   1.00\n"
        "  ours  350.0  250.0 - 9000.0   1.75"
    )


def test_sizes_count_every_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_bytes(b"a" * 1000)
    (tmp_path / "inner" / "b.py").write_bytes(b"b" * 24)

    assert disk(tmp_path) == 1024
    assert 0 < zipped(tmp_path) < 1024


def test_every_callback_is_measured_with_a_sample_of_its_own() -> None:
    callbacks = {"/".join(sample.parts[-3:-1]) for sample in samples.callback_samples(ROOT / "events")}

    assert starts.samples().keys() == callbacks


@pytest.mark.parametrize("callback", starts.samples())
def test_a_sample_is_accepted_while_it_is_measured(callback: str) -> None:
    process = subprocess.run(
        [
            sys.executable,
            "-I",
            "-B",
            str(ROOT / "local/bench/process.py"),
            "handling",
            str(ROOT / "layers/shared"),  # not built: what it needs comes from the virtual environment
            str(ROOT / "functions" / callback),
            str(starts.samples()[callback]),
            starts.secret(),
        ],
        env=starts.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 0, process.stderr
    measured = json.loads(process.stdout)
    assert measured.keys() == {"handler", "yardstick"}
    assert all(seconds > 0 for seconds in measured.values())


def test_the_last_line_says_on_what_it_ran() -> None:
    assert machine().startswith("Measured on ")
    assert "\n" not in machine()
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in machine()


# --- What is billed --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counted() -> dict[str, bills.Life]:
    return bills.counted()


def test_every_life_that_is_billed_succeeds(counted: dict[str, bills.Life]) -> None:
    assert {name: life["statuses"] for name, life in counted.items()} == {
        name: {"succeeded": {"together": 10, "batch": 100}.get(name, 1)} for name in counted
    }
    assert (counted["videodb"]["polls"], counted["videodb_polled"]["polls"]) == (0, 4)


def test_a_callback_is_one_call_and_three_units_and_jobs_keep_to_what_is_promised(
    counted: dict[str, bills.Life],
) -> None:
    figures = bills.figures(counted)

    assert figures["callback_aws_calls"] == 1
    assert figures["callback_write_units"] <= 3
    assert figures["job_write_units"]["videodb"] <= 45
    assert figures["job_write_units"]["videodb_polled"] <= 60
    assert figures["batch_extra_write_units"] <= 6
    assert figures["usd_per_million_callbacks"] <= 5.00


def test_the_figures_have_the_names_that_are_promised(counted: dict[str, bills.Life]) -> None:
    figures = bills.figures(counted)

    assert set(figures) == {
        "callback_aws_calls",
        "callback_write_units",
        "job_write_units",
        "batch_extra_write_units",
        "usd_per_million_callbacks",
        "usd_per_thousand_jobs",
    }
    plans = {"videodb", "videodb_polled", "twelvelabs_asset", "apivideo", "apsaravideo"}
    assert set(figures["job_write_units"]) == plans
    assert set(figures["usd_per_thousand_jobs"]) == {"videodb", "twelvelabs", "apivideo", "apsaravideo"}
    assert all("\n" in shown for shown in bills.shown(counted))
