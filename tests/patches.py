"""Changes to what one module sees of the standard library, which other threads go on using as it is."""

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def change(monkeypatch: pytest.MonkeyPatch, module: ModuleType, library: ModuleType, **functions: Any) -> None:
    """Have `module`, which says `import library`, call these functions instead of the library's own.

    A function that is replaced in the library itself is replaced for every thread: for a simulated platform that
    serves a whole file of tests, for instance, whose server asks for the time ten times a second.
    """
    name = library.__name__
    seen = vars(getattr(module, name))
    assert functions.keys() <= seen.keys()
    monkeypatch.setattr(module, name, SimpleNamespace(**{**seen, **functions}))
