"""Secrets by name, from Secrets Manager, cached with an age limit so that a rotation needs no deployment."""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError, TransformParameterError

from video_jobs import logs, redaction, settings

MAX_AGE_SECONDS = 300
# How often a value that does not fit may be asked for anew: a stranger must not be able to make us call without limit.
REFRESH_EVERY_SECONDS = 30

_refreshed_at: dict[str, float] = {}
_read: dict[str, tuple[Any, dict[str, str]]] = {}
"""By a secret's name: what was read, and what is usable of it, so that what is not is logged once."""

logger = logs.logger()


class SecretUnavailableError(Exception):
    """A secret cannot be had or has nothing in it: nobody may be let in, and nobody turned away for good."""


@cache
def _provider() -> SecretsProvider:
    return SecretsProvider(boto3_client=settings.secretsmanager())


def values(setting_name: str, *, fresh: bool = False) -> dict[str, str]:
    """The named values of the secret that an environment variable points to: {"current": "…", "previous": "…"}.

    Without blanks and line breaks around them, which come with many a copied key. A value that cannot be a key is left
    out, and logged. Raises SecretUnavailableError, which names the secret and never quotes it, if none is left, or the
    secret is missing or no JSON object.
    """
    name = settings.setting(setting_name)
    try:
        found = _provider().get(name, max_age=MAX_AGE_SECONDS, transform="json", force_fetch=fresh)
    except GetParameterError as error:
        # what it hides is what went wrong: whether that passes depends on it (see `faults.is_aws_fault`)
        raise SecretUnavailableError(f"the secret {name} cannot be read: {error}") from error.__context__
    except TransformParameterError:
        raise SecretUnavailableError(f"the secret {name} is not JSON") from None
    usable = _usable(name, found)
    if not usable:
        # it may have been filled since it was cached; a stranger must not have it looked up without limit
        if not fresh and (newer := newer_values(setting_name)) is not None:
            return newer
        raise SecretUnavailableError(f'the secret {name} has no values: it must be a JSON object, {{"name": "value"}}')
    return usable


def _usable(name: str, found: Any) -> dict[str, str]:
    """What can be used of a secret, by its fields' names."""
    if name in _read and _read[name][0] is found:
        return _read[name][1]
    usable: dict[str, str] = {}
    for field, value in (found if isinstance(found, dict) else {}).items():
        if (reason := _unusable(value)) is None:
            usable[field] = value.strip()
        else:
            logger.warning("secret_value_left_out", extra={"secret": name, "field": field, "reason": reason})
    redaction.know(usable.values())
    _read[name] = (found, usable)
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
    _provider.cache_clear()
    _refreshed_at.clear()
    _read.clear()
    redaction.forget()
