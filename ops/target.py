"""Which stack a command means: one in AWS by its name, or the one of `make local`, or the AWS stack `video-jobs`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError, NoRegionError

from local import aws, deploy, running
from local.commands import StackError

OTHERS = "STACK=... names another stack in AWS; `make local` starts one here."


@dataclass(frozen=True)
class Target:
    """A deployed stack. In AWS it is reached with the caller's own credentials."""

    stack_name: str
    local: running.RunningStack | None

    @property
    def where(self) -> str:
        return f"the local stack ({self.local.endpoint_url})" if self.local else f"the AWS stack {self.stack_name}"

    @property
    def make_option(self) -> str:
        """What `make` needs to mean it."""
        return "" if self.local else f" STACK={self.stack_name}"

    @property
    def cli_options(self) -> str:
        """What the AWS CLI needs to reach it."""
        if self.local:
            return f"--endpoint-url {self.local.endpoint_url} --region {aws.REGION}"
        return f"--region {self.client('cloudformation').meta.region_name}"

    def client(self, service: str) -> Any:
        connect: Any = boto3.client
        if self.local:
            return aws.client(service, self.local.endpoint_url)
        try:
            return connect(service, region_name=os.getenv("AWS_REGION"))  # boto3 itself reads AWS_DEFAULT_REGION alone
        except NoRegionError:
            raise StackError(f"No region is configured to look for {self.where} in: set AWS_REGION. {OTHERS}") from None

    def outputs(self) -> dict[str, str]:
        with self._found() as cloudformation:
            return deploy.outputs(cloudformation, self.stack_name)

    def parameters(self) -> dict[str, str]:
        """The template's parameters, with the values that it was deployed with."""
        with self._found() as cloudformation:
            [stack] = cloudformation.describe_stacks(StackName=self.stack_name)["Stacks"]
        return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])}

    @contextmanager
    def _found(self) -> Iterator[Any]:
        """A client of CloudFormation, which has no error of its own for a stack that is not there."""
        cloudformation = self.client("cloudformation")
        try:
            yield cloudformation
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            raise StackError(f"{self.where} does not exist in {cloudformation.meta.region_name}. {OTHERS}") from None


def find(stack_name: str) -> Target:
    """The AWS stack of that name; without a name the local stack if it is up, else the AWS stack `video-jobs`.

    People are told which one it is, and how they mean the other. What they have piped on, the standard output, is not.
    """
    up = running.find()
    if not stack_name and up is None and running.FILE.exists():
        raise StackError(
            "The local stack is not up any more: its `make local` was killed. Start it again (make local), or name the"
            f" one in AWS: STACK={deploy.STACK_NAME}"
        )
    found = Target(stack_name or deploy.STACK_NAME, None if stack_name else up)
    print(_told(found, is_named=bool(stack_name), up=up), file=sys.stderr)
    return found


def _told(found: Target, *, is_named: bool, up: running.RunningStack | None) -> str:
    if found.local:
        return f"Asks {found.where}. STACK={deploy.STACK_NAME} means the one in AWS."
    if up:
        return f"Asks {found.where}. Without STACK the local one is meant, which is up ({up.endpoint_url})."
    if is_named:
        return f"Asks {found.where}."
    return f"Asks {found.where}, as no local one is up. {OTHERS}"
