"""From what was built to a stack in the emulator: deploy, routes, secrets."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from local import aws, build, routes, template
from local.commands import LOGS, StackError, run
from local.samples import SAMPLE_CALLBACK_KEY, SAMPLE_SECRETS

STACK_NAME = "video-jobs"
BUCKET = "video-jobs-artifacts"
PLATFORM_SECRETS: Mapping[str, Mapping[str, str]] = {
    "VideoDbApiKeySecret": {"api_key": "sk-local"},
    "TwelveLabsSecretName": {"api_key": "tlk_local", **SAMPLE_SECRETS["twelvelabs"]},
    "ApiVideoSecretName": {"api_key": "local", **SAMPLE_SECRETS["apivideo"]},
    "ApsaraVideoSecretName": {
        "access_key_id": "LTAI-simulated",
        "access_key_secret": "simulated-secret",
        **SAMPLE_SECRETS["apsaravideo"],
    },
}
"""What the simulated platforms take, and what signs the samples, by the template's outputs."""


def api_id(stack_name: str) -> str:
    """ministack gives an API the id that a tag says; letters and digits."""
    return stack_name.replace("-", "")


def api_url(endpoint_url: str, stack_name: str) -> str:
    return f"{endpoint_url}/_aws/execute-api/{api_id(stack_name)}"


def parameters(endpoint_url: str, given: Mapping[str, str | int], stack_name: str = STACK_NAME) -> dict[str, str]:
    """The template's parameters for a local stack, and over them the given ones, by the template's own names."""
    defaults = template.parameters()
    if unknown := given.keys() - defaults.keys():
        raise StackError(f"template.yaml has no parameter {', '.join(sorted(unknown))}.")
    platforms = {name: aws.NOWHERE for name, default in defaults.items() if str(default).startswith("https://")}
    ours = {
        "AwsEndpointUrl": endpoint_url,
        "CallbackBaseUrl": api_url(endpoint_url, stack_name),
        "CheckIntervalSeconds": 1,
        "AdoptionWaits": "1,2,3",  # what is simulated answers a submit at once
        "SweepRate": "rate(1 minute)",
        "NotifyAllowPrivate": "true",  # receivers are on this machine, too
    }
    return {name: str(value) for name, value in (platforms | ours | dict(given)).items()}


def deploy(endpoint_url: str, overrides: Mapping[str, str], log_name: str, stack_name: str = STACK_NAME) -> None:
    aws.client("s3", endpoint_url).create_bucket(Bucket=BUCKET)
    run(
        [
            *build.SAM,
            "deploy",
            build.NO_CONFIGURATION,
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--capabilities=CAPABILITY_IAM",
            f"--template-file={build.BUILD / 'template.yaml'}",
            f"--stack-name={stack_name}",
            f"--s3-bucket={BUCKET}",
            f"--tags=ms-custom-id={api_id(stack_name)}",
            f"--parameter-overrides={' '.join(f'{name}="{value}"' for name, value in overrides.items())}",
        ],
        env=aws.command_environment(endpoint_url),
        log=LOGS / f"{log_name}-sam-deploy.log",
    )


def outputs(cloudformation: Any, stack_name: str) -> dict[str, str]:
    [stack] = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def physical_ids(cloudformation: Any, stack_name: str = STACK_NAME) -> dict[str, str]:
    """What each resource is really called, by its logical id."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
    }


def create_routes(endpoint_url: str, stack_name: str) -> None:
    cloudformation = aws.client("cloudformation", endpoint_url)
    processed = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")["TemplateBody"]
    [api] = [r for r in processed["Resources"].values() if r["Type"] == "AWS::ApiGatewayV2::Api"]
    api_gateway = aws.client("apigatewayv2", endpoint_url)
    names = physical_ids(cloudformation, stack_name)
    routes.create(api_gateway, api_id(stack_name), api["Properties"]["Body"], names)


class Keys(NamedTuple):
    """What a user of the stack needs."""

    api: str
    notify: str
    """Signs notifications: base64, with `whsec_` in front."""


def fill_secrets(endpoint_url: str, stack_outputs: Mapping[str, str]) -> Keys:
    """Gives the platforms' API keys, adds the key of the sample events, and returns new keys of the stack's own.

    New, because ministack generates keys with quotes and blanks, whatever the template says.
    """
    secrets_manager = aws.client("secretsmanager", endpoint_url)

    def read(output: str) -> dict[str, str]:
        answer = secrets_manager.get_secret_value(SecretId=stack_outputs[output])
        secret: dict[str, str] = json.loads(answer["SecretString"])
        return secret

    def write(output: str, secret: Mapping[str, str]) -> None:
        secrets_manager.put_secret_value(SecretId=stack_outputs[output], SecretString=json.dumps(dict(secret)))

    for output, secret in PLATFORM_SECRETS.items():
        write(output, secret)
    write("CallbackKeysSecret", read("CallbackKeysSecret") | {"samples": SAMPLE_CALLBACK_KEY})
    keys = Keys(api=secrets.token_hex(16), notify=f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
    write("ApiKeysSecret", {"default": keys.api})
    write("NotifySecretsName", {"default": keys.notify})
    return keys
