"""Secrets by name, from Secrets Manager, cached with an age limit so that a rotation needs no deployment."""

import json
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from video_jobs import logs, redaction, settings
from video_jobs.aws import clients

MAX_AGE_SECONDS = 300
# How often a value that does not fit may be asked for anew: a stranger must not be able to make us call without limit.
REFRESH_EVERY_SECONDS = 30

_texts: dict[str, tuple[str, float]] = {}
"""By a secret's name: what was read, and when (monotonic seconds)."""
_refreshed_at: dict[str, float] = {}
_read: dict[str, tuple[str, dict[str, str]]] = {}
"""By a secret's name: what was read, and what is usable of it, so that what is not is logged once."""

logger = logs.logger()


class SecretUnavailableError(Exception):
    """A secret cannot be had or has nothing in it: nobody may be let in, and nobody turned away for good."""


def values(setting_name: str, *, fresh: bool = False) -> dict[str, str]:
    """The named values of the secret that an environment variable points to: {"current": "…", "previous": "…"}.

    Without blanks and line breaks around them, which come with many a copied key. A value that cannot be a key is left
    out, and logged. Raises SecretUnavailableError, which names the secret and never quotes it, if none is left, or the
    secret is missing or no JSON object; from AWS's error, if that is why.
    """
    name = settings.setting(setting_name)
    usable = _usable(name, _text(name, fresh=fresh))
    if not usable:
        # it may have been filled since it was cached; a stranger must not have it looked up without limit
        if not fresh and (newer := newer_values(setting_name)) is not None:
            return newer
        raise SecretUnavailableError(f'the secret {name} has no values: it must be a JSON object, {{"name": "value"}}')
    return usable


def _text(name: str, *, fresh: bool) -> str:
    """The secret's text; while AWS does not answer, the one that was read last: a stale key is better than none."""
    known = _texts.get(name)
    if known is not None and not fresh and time.monotonic() - known[1] < MAX_AGE_SECONDS:
        return known[0]
    try:
        found = clients.secretsmanager().get_secret_value(SecretId=name)["SecretString"]
    except (ClientError, BotoCoreError, KeyError) as error:
        if known is not None:
            logger.warning("secret_is_stale", extra={"secret": name, "reason": type(error).__name__})
            return known[0]
        raise SecretUnavailableError(f"the secret {name} cannot be read: {type(error).__name__}") from error
    _texts[name] = (found, time.monotonic())
    return found


def _usable(name: str, text: str) -> dict[str, str]:
    """What can be used of a secret, by its fields' names. Raises SecretUnavailableError if it is not JSON."""
    if name in _read and _read[name][0] == text:
        return _read[name][1]
    try:
        found: Any = json.loads(text)
    except ValueError:
        raise SecretUnavailableError(f"the secret {name} is not JSON") from None
    usable: dict[str, str] = {}
    for field, value in (found if isinstance(found, dict) else {}).items():
        if (reason := _unusable(value)) is None:
            usable[field] = value.strip()
        else:
            logger.warning("secret_value_left_out", extra={"secret": name, "field": field, "reason": reason})
    redaction.know(usable.values())
    _read[name] = (text, usable)
    return usable


def _unusable(value: Any) -> str | None:
    """Why a value cannot be a key; None if it can."""
    if not isinstance(value, str):
        return "not a text"
    if not value.strip():
        return "empty"
    # no header can have it, and nobody gives out such a key
    return None if value.strip().isprintable() else "has a line break or another control character inside"


def newer_values(setting_name: str) -> dict[str, str] | None:
    """The values read anew, or None if that was done a moment ago.

    For a proof that does not hold: the key may have been rotated since it was read.
    """
    now = time.monotonic()
    if now - _refreshed_at.get(setting_name, float("-inf")) < REFRESH_EVERY_SECONDS:
        return None
    _refreshed_at[setting_name] = now
    return values(setting_name, fresh=True)


def chosen(found: Mapping[str, str], prefix: str, *, of: str) -> dict[str, str]:
    """The values whose names begin so, by name: a key and those that it takes turns with.

    Raises SecretUnavailableError, which says what is missing of which platform's secret, if there is none.
    """
    fitting = {name: value for name, value in found.items() if name.startswith(prefix)}
    if not fitting:
        raise SecretUnavailableError(f"the secret of {of} has no {prefix}")
    return fitting


def forget() -> None:
    """Drop all that is cached."""
    _texts.clear()
    _refreshed_at.clear()
    _read.clear()
    redaction.forget()
