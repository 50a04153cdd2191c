"""A platform's secret in a stack: a flat JSON object, of which only what is named is changed."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from local.commands import StackError


@dataclass(frozen=True)
class Secret:
    """`cli_options` are what the AWS CLI needs to reach it: for people who are to fill it.

    Functions keep what they read for five minutes, but ask anew before they refuse a signature: what is added holds
    at once, what is removed after that time.
    """

    client: Any
    name: str
    cli_options: str = ""

    def read(self) -> dict[str, str]:
        text = self.client.get_secret_value(SecretId=self.name)["SecretString"]
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise StackError(f"The secret {self.name} is not a JSON object.")
        return values

    def read_needed(self, *names: str, of: str) -> dict[str, str]:
        """All of it. Raises StackError, which says how to fill it, if one of the names has no value."""
        values = self.read()
        if missing := [name for name in names if not values.get(name)]:
            raise StackError(
                f"The secret {self.name} has no {' and no '.join(missing)} {of}. {self._how(values, names)}"
            )
        return values

    def add(self, values: Mapping[str, str]) -> None:
        self._write(self.read() | dict(values))

    def remove(self, names: Collection[str]) -> None:
        self._write({name: value for name, value in self.read().items() if name not in names})

    def _write(self, values: Mapping[str, str]) -> None:
        self.client.put_secret_value(SecretId=self.name, SecretString=json.dumps(values))

    def _how(self, values: Mapping[str, str], names: Collection[str]) -> str:
        """The command leaves room for what is in it already, as it replaces the whole."""
        example = json.dumps(dict.fromkeys([*names, *(name for name in values if name not in names)], "..."))
        options = f" {self.cli_options}" if self.cli_options else ""
        kept = " (this replaces all that is in it)" if values else ""
        return (
            f"Fill it{kept}:\n  aws secretsmanager put-secret-value{options} --secret-id {self.name}"
            f" --secret-string '{example}'"
        )
