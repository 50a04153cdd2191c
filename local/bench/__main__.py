"""Measures and counts what was built, prints it, and writes .local/bench.json. It prints figures and no judgement."""

import json
import sys
from typing import Any

from local import build
from local.bench import bills, starts
from local.bench.shown import machine
from local.commands import LOCAL, LOGS, StackError

WRITTEN = LOCAL / "bench.json"


def main() -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        with build.one_at_a_time():  # so that nobody builds, or measures, meanwhile
            print("sam build ...", file=sys.stderr)
            build.if_needed("bench")
            started, handled = starts.starts(), starts.handlings()
            sizes = starts.sizes()
    except StackError as error:
        sys.exit(str(error))
    counted = bills.counted()
    figures: dict[str, Any] = {
        "start_ratio": round(starts.start_ratio(started), 3),
        "own_time_us": round(starts.own_time_us(handled), 1),
        **bills.figures(counted),
    }
    WRITTEN.write_text(json.dumps(figures, indent=2) + "\n")
    print("\n\n".join([starts.started(started), starts.handled(handled), *bills.shown(counted), sizes, machine()]))
    print(f"\nIn {WRITTEN.relative_to(LOCAL.parent)}:\n{json.dumps(figures, indent=2)}")


if __name__ == "__main__":
    main()
