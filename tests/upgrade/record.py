"""Records what later releases are compared with: `python -m tests.upgrade.record contracts`, or `... baseline`.

`contracts` writes the forms of messages and items, after one of them was changed on purpose. `baseline` writes the
template of the release that is being cut; it refuses a template that cannot be deployed over the last release's.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from video_jobs import __version__

from tests.translation import translated
from tests.upgrade import contracts
from tests.upgrade.breaks import breaks

BASELINE = Path(__file__).with_name("baseline.json")
CONTRACTS = Path(__file__).with_name("contracts.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade.record", description=__doc__)
    parser.add_argument("what", choices=["contracts", "baseline"])
    if parser.parse_args().what == "contracts":
        _write(CONTRACTS, contracts.current())
        return
    last, template = baseline(), translated()
    if last and (found := breaks(last["template"], template)):
        sys.exit("\n".join([f"This template cannot be deployed over release {last['release']}:", *found]))
    _write(BASELINE, {"release": __version__, "template": template})


def baseline() -> dict[str, Any] | None:
    """The last release's number and template; None before the first that promises upgrades."""
    return json.loads(BASELINE.read_text()) if BASELINE.exists() else None


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
