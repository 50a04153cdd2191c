"""Secrets and settings for the platforms' clients, without AWS."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from botocore.exceptions import ClientError
from video_jobs.aws import clients, secrets

from tests.stack import ENVIRONMENT, WEBHOOK_SECRETS


@dataclass
class SecretsManager:
    """Has secrets, or does not answer."""

    values: dict[str, str] = field(default_factory=dict)
    """JSON texts, by the secret's name."""
    error: Exception | None = None
    """What it answers everything with."""
    asked: int = 0

    def put(self, name: str, **values: str) -> None:
        """Change a secret; what was read of it before is forgotten."""
        self.values[name] = json.dumps(values)
        secrets.forget()

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]:  # noqa: N803 (AWS's name)
        self.asked += 1
        if self.error is not None:
            raise self.error
        if SecretId not in self.values:
            raise aws_error("ResourceNotFoundException", 400)
        return {"SecretString": self.values[SecretId]}


def aws_error(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "…"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetSecretValue")


@pytest.fixture
def secretsmanager(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManager]:
    """The secrets of a stack whose platforms are nowhere yet."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    manager = SecretsManager()
    secrets_of = {f"{provider.upper()}_SECRET": values for provider, values in WEBHOOK_SECRETS.items()}
    for name, values in {"VIDEODB_API_KEY_SECRET": {"api_key": "sk-test"}, **secrets_of}.items():
        manager.put(name, **values)
        monkeypatch.setenv(name, name)
    monkeypatch.setattr(clients, "secretsmanager", cache(lambda: manager))
    yield manager
    secrets.forget()
