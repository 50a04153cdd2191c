"""`make faults`: whatever goes wrong, at every call, and which promises were kept."""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import batched

from local.commands import LOCAL
from local.faults import functions, happenings, runs, table
from local.faults.happenings import Happening
from local.faults.runs import Result
from local.faults.scenarios import SCENARIOS
from local.faults.world import World

AT_ONCE = 25
"""Runs in one piece of work for a process."""
SHOWN = 10
"""How many failing points of a scenario are shown."""


def main() -> int:
    arguments = _arguments()
    names = [name for name in SCENARIOS if arguments.scenario in (None, name)]
    if not names:
        print(f"There is no scenario {arguments.scenario!r}. There are: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    if arguments.happening is not None:
        return _repeat(names[0], Happening.read(arguments.happening))
    began = time.monotonic()
    results: list[Result] = []
    bad: list[str] = []
    with ProcessPoolExecutor(max_workers=arguments.processes, initializer=_quiet) as pool:
        planned = [
            (name, list(batched(found, AT_ONCE, strict=False)))
            for name, found in pool.map(_plan, names, [arguments.sample] * len(names), [arguments.seed] * len(names))
        ]
        for name, found in planned:
            if not found:
                bad.append(name)
        pieces = [(name, piece) for name, found in planned for piece in found]
        for done in pool.map(_judged, *zip(*pieces, strict=True)) if pieces else ():
            results += done
    table.printed(results)
    _print_failures(results)
    LOCAL.mkdir(exist_ok=True)
    if arguments.scenario is None:
        (LOCAL / "faults.json").write_text(json.dumps(table.as_json(results), indent=2) + "\n")
        where = "; .local/faults.json has the table"
    else:
        where = ""  # what all scenarios have come to stays
    print(f"{len(results):,} runs in {time.monotonic() - began:.0f} s{where}.")
    return 1 if bad or any(result.broken for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.faults", description=__doc__)
    parser.add_argument("--scenario", help="only this one")
    parser.add_argument("--seed", type=int, default=1, help="of what is sampled")
    parser.add_argument("--sample", type=int, default=3000, help="how many runs of each kind a scenario has at most")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--happening", help="repeat one run of the scenario, and show all of it")
    return parser.parse_args()


def _quiet() -> None:
    logging.disable(logging.CRITICAL)


def _plan(name: str, most: int, seed: int) -> tuple[str, Sequence[Happening]]:
    with functions.installed():
        try:
            points, _expected = runs.baseline(SCENARIOS[name])
        except ValueError as error:
            print(error, file=sys.stderr)
            return name, ()
        return name, happenings.happenings(SCENARIOS[name], points, most=most, seed=seed)


def _judged(name: str, some: Sequence[Happening]) -> list[Result]:
    scenario = SCENARIOS[name]
    with functions.installed():
        _points, expected = runs.baseline(scenario)
        return [runs.judge(scenario, expected, happening) for happening in some]


def _print_failures(results: Sequence[Result]) -> None:
    shown: dict[str, int] = {}
    for result in results:
        if not result.broken or shown.get(result.scenario, 0) >= SHOWN:
            continue
        shown[result.scenario] = shown.get(result.scenario, 0) + 1
        print(f"\n{result.scenario}: {result.what}")
        for broken, said in result.broken.items():
            print(f"  {broken}: {'; '.join(said)}")
        print(
            f"  again: {sys.executable} -m local.faults --scenario '{result.scenario}' --happening '{result.happening}'"
        )


def _repeat(name: str, happening: Happening) -> int:
    """One run, with its calls and the log."""
    _quiet()
    with functions.installed():
        _points, expected = runs.baseline(SCENARIOS[name])
        logging.disable(logging.NOTSET)
        world, found = runs.run(SCENARIOS[name], happening)
        logging.disable(logging.CRITICAL)
        result = runs.judge(SCENARIOS[name], expected, happening)
    for line in _calls(world):
        print(line)
    print(f"\n{result.what}")
    for job_id, ended in found.jobs.items():
        print(f"  job {job_id}: {ended} {dict(ended.steps)}")
    print(f"  announced: {dict(found.ends)}\n  submitted: {dict(found.submissions)}")
    print(f"  people were answered: {world.answers}\n  notes: {found.notes}")
    for broken, said in result.broken.items():
        print(f"  {broken}: {'; '.join(said)}")
    return 1 if result.broken else 0


def _calls(world: World) -> Iterator[str]:
    for point in world.points:
        fault = world.faults.get(point.number)
        wrong = f"   <== {fault}" if fault else ""
        yield f"{point.number:5} {point.at / 1000:10.3f} s  {point.actor:32} {point.name}{wrong}"


if __name__ == "__main__":
    sys.exit(main())
