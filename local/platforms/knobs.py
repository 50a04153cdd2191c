"""How a simulated platform is made unreliable: faults of its answers, and knobs of its callbacks."""

from dataclasses import asdict, astuple, dataclass, fields, replace
from enum import StrEnum
from math import inf
from urllib.parse import parse_qsl


class Fault(StrEnum):
    """How a submit that is not accepted is answered."""

    REFUSED = "400 with the error object"
    THROTTLED = "429 with Retry-After: 1"
    HTML = "502 with an HTML page"
    UNAVAILABLE = "503 with the error object"
    RESET = "no answer, the connection is cut"


@dataclass(frozen=True)
class Knobs:
    """How unreliable callbacks and submits are; each field is also the name of a query parameter."""

    drop: float = 0.0  # probability that a copy of a callback is never sent
    garble: float = 0.0  # probability that a copy of a callback is cut in half
    duplicate: int = 0  # further copies of every callback
    delay: float = 0.0  # seconds between the end of the work and its callback
    reorder: bool = False  # callbacks of one source overtake each other, and so do their further copies
    fail: int = 0  # the first submits of each step that are answered 503
    throttle: int = 0  # the first submits of each step that are answered 429, before those answered 503

    def stronger(self, other: "Knobs") -> "Knobs":
        return Knobs(*map(max, zip(astuple(self), astuple(other), strict=True)))

    def turned(self, query: str) -> "Knobs":
        """Raises ValueError if a knob's value is no number; parameters that are no knobs are somebody else's."""
        kinds = {knob: type(value) for knob, value in asdict(self).items()}
        asked = {name: kinds[name](amount(value)) for name, value in parse_qsl(query) if name in kinds}
        return replace(self, **asked)


def amount(value: str) -> float:
    number = float(value)
    if not 0 <= number < inf:
        raise ValueError(f"{value} is not an amount")
    return number


def described() -> str:
    """Every knob with its default, on one line."""
    return " ".join(f"{knob.name}={getattr(Knobs(), knob.name):g}" for knob in fields(Knobs))
