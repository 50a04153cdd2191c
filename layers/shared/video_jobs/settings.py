"""The environment, read on first use. Nothing here runs on import."""

import os


class MissingSettingError(Exception):
    """A variable of the environment is not set; the stack was deployed without it."""


def setting(name: str) -> str:
    """The value of an environment variable that the template must set."""
    try:
        return os.environ[name]
    except KeyError:
        raise MissingSettingError(f"the environment variable {name} is not set: see the function's template") from None


def number(name: str) -> int:
    """The value of an environment variable that holds a whole number."""
    return int(setting(name))


def may_notify_private() -> bool:
    """Whether notifications may go to private addresses, and unencrypted: only in a stack on one machine."""
    return setting("NOTIFY_ALLOW_PRIVATE") == "true"
