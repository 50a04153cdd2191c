"""Has a platform call a stack back: `make webhooks PLATFORM=apivideo [ACTION=create STACK=video-jobs]`."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from local.commands import StackError
from ops.webhooks import apivideo, apsaravideo, deployment, twelvelabs
from ops.webhooks.deployment import Deployment


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    try:
        run(options)
    except (StackError, BotoCoreError, ClientError) as error:  # no credentials, no such stack, not allowed
        sys.exit(str(error))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make webhooks", description=__doc__)
    for name in ("platform", "action", "stack", "events", "mns", "endpoint", "force"):
        parser.add_argument(f"--{name}", default="")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    deployment.check(options.platform)
    actions = ACTIONS[options.platform]
    action = options.action or next(iter(actions))
    if action not in actions:
        raise StackError(f"ACTION of {options.platform} is one of these: {', '.join(actions)}")
    actions[action](deployment.find(options.platform, options.stack), options)


# --- api.video ---


def list_apivideo(stack: Deployment, _: argparse.Namespace) -> None:
    found = apivideo.overview(stack)
    print(f"{len(found.webhooks)} webhooks at {stack.platform_url}; those with * send to {stack.where}")
    for one in found.webhooks:
        secret = "secret stored" if one.stored else "secret NOT stored: ACTION=create does it"
        print(f"{'*' if one.ours else ' '} {one.webhook.id}  {one.webhook.url}")
        print(f"    {', '.join(one.webhook.events)}{f'; {secret}' if one.ours else ''}")
    if not any(one.ours for one in found.webhooks):
        print(f"None sends to {stack.callback_url}: ACTION=create makes one")
    for name in found.left_over:
        print(f"The stack's secret has {name}, too, which this account does not have")


def create_apivideo(stack: Deployment, options: argparse.Namespace) -> None:
    connection = apivideo.create(stack, apivideo.read_events(options.events))
    for webhook in connection.webhooks:
        print(f"{webhook.id} {'is made' if connection.made else 'was there already'}: {webhook.url}")
        print(f"  {', '.join(webhook.events)}")
        print(
            f"  its secret {'is stored' if webhook.id in connection.stored else 'was stored already'}, in {stack.where}"
        )


def delete_apivideo(stack: Deployment, _: argparse.Namespace) -> None:
    deleted = apivideo.delete(stack)
    for webhook in deleted:
        print(f"{webhook.id} is deleted, and its secret: {webhook.url}")
    if not deleted:
        print(f"No webhook of this account sends to {stack.callback_url}")


# --- ApsaraVideo VOD ---


def show_apsaravideo(stack: Deployment, _: argparse.Namespace) -> None:
    _print_callback(stack, apsaravideo.message_callback(stack))


def set_apsaravideo(stack: Deployment, options: argparse.Namespace) -> None:
    events, force = apsaravideo.read_events(options.events), options.force not in ("", "0")
    if options.mns:
        change = apsaravideo.set_queue(stack, options.mns, options.endpoint, events, force=force)
        print("The stack takes from it if its parameters ApsaraVideoMnsEndpoint and ApsaraVideoMnsQueue say so.")
    else:
        change = apsaravideo.set_callback(stack, events, force=force)
    if change.key_made:
        print(f"A new auth_key is stored in the secret {stack.secret.name}")
    if change.before.to not in ("", change.after.to):
        print(f"No longer called: {change.before.to}")
    _print_callback(stack, change.after)


def _print_callback(stack: Deployment, found: apsaravideo.MessageCallback) -> None:
    if not found.to:
        print(f"VOD ({stack.platform_url}) has no message callback: ACTION=set has it call {stack.callback_url}")
        return
    ours = found.to == stack.callback_url
    print(f"VOD ({stack.platform_url}) calls {found.to}" + (f", which is {stack.where}" if ours else ""))
    print(f"  type    {found.type}")
    print(f"  signed  {'yes' if found.is_signed else 'no'}")
    print(f"  events  {', '.join(found.events) or 'none: nothing is sent'}")
    if found.events and not {apsaravideo.ALL, apsaravideo.UPLOAD_BY_URL_COMPLETE} & {*found.events}:
        print(f"  {apsaravideo.UPLOAD_BY_URL_COMPLETE} is off: this stack learns of an upload's end by asking alone")


# --- TwelveLabs ---


def show_twelvelabs(stack: Deployment, _: argparse.Namespace) -> None:
    """And stores the secret, if the environment has one: it must not be among a command's arguments."""
    if new := os.getenv("WEBHOOK_SECRET"):
        stored = twelvelabs.store_secret(stack, new)
        print(f"The webhook's secret {'is stored' if stored else 'was stored already'}, in {stack.where}")
        return
    has_one = twelvelabs.is_stored(stack)
    print("TwelveLabs has no API for webhooks. In its dashboard,")
    print(f"  {twelvelabs.DASHBOARD}")
    print("add an endpoint with this URL, and reveal its secret:")
    print(f"  {stack.callback_url}")
    print(f"Then store it ({'there is one already, which stays as the previous one' if has_one else 'there is none'}):")
    print(f"  WEBHOOK_SECRET=whs_... make webhooks PLATFORM=twelvelabs{stack.make_option}")


ACTIONS: Mapping[str, Mapping[str, Callable[[Deployment, argparse.Namespace], None]]] = {
    "apivideo": {"list": list_apivideo, "create": create_apivideo, "delete": delete_apivideo},
    "apsaravideo": {"show": show_apsaravideo, "set": set_apsaravideo},
    "twelvelabs": {"show": show_twelvelabs},
}

if __name__ == "__main__":
    main()
