"""A stack as one platform sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.commands import StackError
from ops import target
from ops.webhooks.secret import Secret

OLD = "it was deployed from a version that does not know this platform."


@dataclass(frozen=True, kw_only=True)
class Names:
    """What belongs to a platform in template.yaml: the callback's path, and the prefix of outputs and parameters."""

    callback: str
    prefix: str


PLATFORMS: Mapping[str, Names] = {
    "apivideo": Names(callback="apivideo/encoding-quality-completed", prefix="ApiVideo"),
    "apsaravideo": Names(callback="apsaravideo/upload-by-url-complete", prefix="ApsaraVideo"),
    "twelvelabs": Names(callback="twelvelabs/index-task", prefix="TwelveLabs"),
}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """`callback_url` is where the platform sends to; `platform_url` where it is; `where` names the stack to people."""

    callback_url: str
    platform_url: str
    secret: Secret
    where: str
    make_option: str = ""
    """What `make` needs to mean this stack."""


def find(platform: str, stack_name: str) -> Deployment:
    """The AWS stack of that name, or what `make redrive` means without one."""
    check(platform)
    stack = target.find(stack_name)
    return describe(
        platform,
        outputs=stack.outputs(),
        secrets_manager=stack.client("secretsmanager"),
        platform_url=_platform_url(platform, stack),
        where=stack.where,
        cli_options=stack.cli_options,
        make_option=stack.make_option,
    )


def describe(
    platform: str,
    *,
    outputs: Mapping[str, str],
    secrets_manager: Any,
    platform_url: str,
    where: str = "the stack",
    cli_options: str = "",
    make_option: str = "",
) -> Deployment:
    """From a stack's outputs, and a client of its Secrets Manager."""
    names = PLATFORMS[platform]
    if (output := f"{names.prefix}SecretName") not in outputs:
        raise StackError(f"{where} has no output {output}: {OLD}")
    return Deployment(
        callback_url=f"{outputs['ApiUrl'].rstrip('/')}/callbacks/{names.callback}",
        platform_url=platform_url.rstrip("/"),
        secret=Secret(secrets_manager, outputs[output], cli_options),
        where=where,
        make_option=make_option,
    )


def check(platform: str) -> None:
    if platform not in PLATFORMS:
        raise StackError(f"PLATFORM is one of these: {', '.join(PLATFORMS)}. (VideoDB is given a URL with each job.)")


def _platform_url(platform: str, stack: target.Target) -> str:
    if stack.local:
        if platform not in stack.local.platforms:
            raise StackError(f"{stack.where} has no simulated {platform}.")
        return stack.local.platforms[platform]
    parameters, name = stack.parameters(), f"{PLATFORMS[platform].prefix}Url"
    if name not in parameters:
        raise StackError(f"{stack.where} has no parameter {name}: {OLD}")
    return parameters[name]
