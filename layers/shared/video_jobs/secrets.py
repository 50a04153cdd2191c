"""Secrets by name, from Secrets Manager, cached with an age limit so that a rotation needs no deployment."""

import time
from collections.abc import Mapping
from functools import cache

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError, TransformParameterError

from video_jobs import settings

MAX_AGE_SECONDS = 300
# How often a value that does not fit may be asked for anew: a stranger must not be able to make us call without limit.
REFRESH_EVERY_SECONDS = 30

_refreshed_at: dict[str, float] = {}


class SecretUnavailableError(Exception):
    """A secret cannot be had or has nothing in it: nobody may be let in, and nobody turned away for good."""


@cache
def _provider() -> SecretsProvider:
    return SecretsProvider(boto3_client=settings.secretsmanager())


def values(setting_name: str, *, fresh: bool = False) -> dict[str, str]:
    """The named values of the secret that an environment variable points to: {"current": "…", "previous": "…"}.

    Raises SecretUnavailableError, which names the secret and never quotes it, if it is missing, empty, or anything
    but a flat JSON object of texts.
    """
    name = settings.setting(setting_name)
    try:
        found = _provider().get(name, max_age=MAX_AGE_SECONDS, transform="json", force_fetch=fresh)
    except GetParameterError as error:
        # what it hides is what went wrong: whether that passes depends on it (see `faults.is_aws_fault`)
        raise SecretUnavailableError(f"the secret {name} cannot be read: {error}") from error.__context__
    except TransformParameterError:
        raise SecretUnavailableError(f"the secret {name} is not JSON") from None
    if not isinstance(found, dict) or not found or not all(isinstance(v, str) and v for v in found.values()):
        # it may have been filled since it was cached; a stranger must not have it looked up without limit
        if not fresh and (newer := newer_values(setting_name)) is not None:
            return newer
        raise SecretUnavailableError(f'the secret {name} has no values: it must be a JSON object, {{"name": "value"}}')
    return found


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
    # a line break comes with many a copied key
    stripped = {name: value.strip() for name, value in found.items() if name.startswith(prefix)}
    fitting = {name: value for name, value in stripped.items() if value}
    if not fitting:
        raise SecretUnavailableError(f"the secret of {of} has no {prefix}")
    return fitting


def forget() -> None:
    """Drop all that is cached."""
    _provider.cache_clear()
    _refreshed_at.clear()
