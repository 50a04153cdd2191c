"""DynamoDB's expressions, as far as the layer writes them; one that is not known is refused, and not guessed at.

Values are as on the wire: {"S": "…"}, {"N": "1"}, {"B": b"…"}, {"BOOL": True}.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from local.faults.points import NotHonouredError

type Item = dict[str, dict[str, Any]]
type Test = Callable[[Mapping[str, Any], Scope], bool]
type Change = Callable[[Item, Mapping[str, Any], Scope], None]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),+-]|[#:]?[A-Za-z_][A-Za-z0-9_]*)")
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class UnknownExpressionError(NotHonouredError):
    """DynamoDB would refuse it, or nobody has taught it to this table yet."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The names and values that a request gives its expressions; what is used of them is noted."""

    names: Mapping[str, str]
    values: Mapping[str, Any]
    used: set[str]

    def name(self, word: str) -> str:
        self.used.add(word)
        return _of(self.names, word) if word.startswith("#") else word

    def value(self, word: str) -> Any:
        self.used.add(word)
        return _of(self.values, word)


def _of(given: Mapping[str, Any], word: str) -> Any:
    if word not in given:
        raise UnknownExpressionError(f"{word} is not defined")
    return given[word]


class _Words:
    """An expression's words, one after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = list(_split(text))
        self._at = 0

    def next(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def take(self, *expected: str) -> str:
        word = self.next()
        if not word or (expected and word.upper() not in expected):
            raise UnknownExpressionError(f"{expected or 'more'} expected at {word!r} in {self._text!r}")
        self._at += 1
        return word

    def took(self, word: str) -> bool:
        if self.next().upper() != word:
            return False
        self._at += 1
        return True

    def end(self) -> None:
        if self.next():
            raise UnknownExpressionError(f"{self.next()!r} is not understood in {self._text!r}")


def _split(text: str) -> Iterator[str]:
    at = 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise UnknownExpressionError(f"{text[at:]!r} is not understood in {text!r}")
        yield found[1]
        at = found.end()


# --- Conditions ------------------------------------------------------------------------------------------------------


@cache
def condition(text: str) -> Test:
    """A condition on an item, of a write or of a query's key."""
    words = _Words(text)
    found = _either(words)
    words.end()
    return found


def _either(words: _Words) -> Test:
    parts = [_both(words)]
    while words.took("OR"):
        parts.append(_both(words))
    return parts[0] if len(parts) == 1 else lambda item, scope: any([part(item, scope) for part in parts])  # noqa: C419 (each uses names)


def _both(words: _Words) -> Test:
    parts = [_one(words)]
    while words.took("AND"):
        parts.append(_one(words))
    return parts[0] if len(parts) == 1 else lambda item, scope: all([part(item, scope) for part in parts])  # noqa: C419 (each uses names)


def _one(words: _Words) -> Test:
    if words.took("NOT"):
        part = _one(words)
        return lambda item, scope: not part(item, scope)
    if words.took("("):
        part = _either(words)
        words.take(")")
        return part
    word = words.take()
    if words.next() == "(":
        return _function(word, words)
    if words.took("BETWEEN"):
        low = words.take()
        words.take("AND")
        high = words.take()
        return lambda item, scope: all(
            [_compare("<=", low, word, item, scope), _compare("<=", word, high, item, scope)]
        )
    sign = words.take(*_COMPARED)
    right = words.take()
    return lambda item, scope: _compare(sign, word, right, item, scope)


def _function(name: str, words: _Words) -> Test:
    words.take("(")
    path = words.take()
    match name:
        case "attribute_exists":
            words.take(")")
            return lambda item, scope: scope.name(path) in item
        case "attribute_not_exists":
            words.take(")")
            return lambda item, scope: scope.name(path) not in item
        case "begins_with":
            words.take(",")
            prefix = words.take()
            words.take(")")
            return lambda item, scope: _begins(item, path, prefix, scope)
        case _:
            raise UnknownExpressionError(f"the function {name} is not known")


def _begins(item: Mapping[str, Any], path: str, prefix: str, scope: Scope) -> bool:
    name, value = scope.name(path), scope.value(prefix)
    found = item.get(name, {}).get("S")
    return found is not None and str(found).startswith(value["S"])


def _compare(sign: str, left: str, right: str, item: Mapping[str, Any], scope: Scope) -> bool:
    one, other = _operand(left, item, scope), _operand(right, item, scope)
    if one is None or other is None:
        return False
    if one[0] != other[0]:
        return sign == "<>"
    return _COMPARED[sign](one[1], other[1])


def _operand(word: str, item: Mapping[str, Any], scope: Scope) -> tuple[str, Any] | None:
    found = scope.value(word) if word.startswith(":") else item.get(scope.name(word))
    return None if found is None else comparable(found)


def comparable(value: Mapping[str, Any]) -> tuple[str, Any]:
    """A value's type, and the value as Python compares it."""
    ((kind, plain),) = value.items()
    return kind, Decimal(plain) if kind == "N" else plain


# --- Updates ---------------------------------------------------------------------------------------------------------


@cache
def update(text: str) -> Change:
    """What an UpdateExpression does to an item: each clause sees the item as it was before."""
    words = _Words(text)
    changes: list[Change] = []
    clauses = {"SET": _set, "ADD": _add, "REMOVE": _remove}
    while words.next():
        clause = clauses[words.take(*clauses).upper()]
        changes.append(clause(words))
        while words.took(","):
            changes.append(clause(words))
    words.end()

    def change(item: Item, before: Mapping[str, Any], scope: Scope) -> None:
        for part in changes:
            part(item, before, scope)

    return change


def _set(words: _Words) -> Change:
    path = words.take()
    words.take("=")
    parts = [_value(words)]
    signs = []
    while words.next() in ("+", "-"):
        signs.append(words.take())
        parts.append(_value(words))

    def change(item: Item, before: Mapping[str, Any], scope: Scope) -> None:
        values = [part(before, scope) for part in parts]
        item[scope.name(path)] = values[0] if not signs else _sum(values, signs)

    return change


def _value(words: _Words) -> Callable[[Mapping[str, Any], Scope], Any]:
    word = words.take()
    if word == "if_not_exists":
        words.take("(")
        path = words.take()
        words.take(",")
        otherwise = _value(words)
        words.take(")")
        # its name and value count as used in either case
        return lambda item, scope: (otherwise(item, scope), item.get(scope.name(path)))[scope.name(path) in item]
    if word.startswith(":"):
        return lambda _item, scope: scope.value(word)
    return lambda item, scope: _of(item, scope.name(word))


def _sum(values: Sequence[Mapping[str, Any]], signs: Sequence[str]) -> dict[str, str]:
    total = Decimal(values[0]["N"])
    for sign, value in zip(signs, values[1:], strict=True):
        total += Decimal(value["N"]) if sign == "+" else -Decimal(value["N"])
    return {"N": str(total)}


def _add(words: _Words) -> Change:
    path, value = words.take(), words.take()

    def change(item: Item, before: Mapping[str, Any], scope: Scope) -> None:
        name = scope.name(path)
        item[name] = _sum([before.get(name, {"N": "0"}), scope.value(value)], ["+"])

    return change


def _remove(words: _Words) -> Change:
    path = words.take()

    def change(item: Item, _before: Mapping[str, Any], scope: Scope) -> None:
        item.pop(scope.name(path), None)

    return change
