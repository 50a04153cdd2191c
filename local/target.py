"""Which stack a command means: one in AWS by its name, or the one of `make local`, or the AWS stack `video-jobs`."""

import os
from dataclasses import dataclass
from typing import Any

import boto3

from local import aws, deploy, running


@dataclass(frozen=True)
class Target:
    """A deployed stack. In AWS it is reached with the caller's own credentials."""

    stack_name: str
    local: running.RunningStack | None

    @property
    def where(self) -> str:
        return f"the local stack ({self.local.endpoint_url})" if self.local else f"the AWS stack {self.stack_name}"

    def client(self, service: str) -> Any:
        connect: Any = boto3.client
        if self.local:
            return aws.client(service, self.local.endpoint_url)
        return connect(service, region_name=os.getenv("AWS_REGION"))  # boto3 itself reads AWS_DEFAULT_REGION alone

    def outputs(self) -> dict[str, str]:
        return deploy.outputs(self.client("cloudformation"), self.stack_name)


def find(stack_name: str) -> Target:
    """The AWS stack of that name; without a name the local stack if it is up, else the AWS stack `video-jobs`."""
    return Target(stack_name or deploy.STACK_NAME, None if stack_name else running.find())
