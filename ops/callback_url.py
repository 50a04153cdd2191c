"""Signs a callback URL for work that you start yourself: `make callback-url CALLBACK=videodb/upload JOB=any-id`."""

import argparse
import json
import re
import sys

from botocore.exceptions import BotoCoreError, ClientError
from video_jobs.callbacks import proofs

from local import template
from local.commands import StackError
from ops import target


def main() -> None:
    parser = argparse.ArgumentParser(prog="make callback-url", description=__doc__)
    parser.add_argument("--callback", default="")
    parser.add_argument("--job", default="")
    parser.add_argument("--stack", default="")
    options = parser.parse_args()
    try:
        print(url(options.callback, options.job, options.stack))
    except (StackError, BotoCoreError, ClientError) as error:  # no credentials, no such stack, not allowed
        sys.exit(str(error))


def url(callback: str, job_id: str, stack_name: str) -> str:
    """The URL to give to the platform. Whoever has it may say how that one step of that one job ended."""
    known = [name for name in template.callbacks() if name.startswith("videodb/")]
    if callback not in known:
        names = "\n  ".join(known)
        raise StackError(f"CALLBACK is one of these (other platforms sign, and need no URL of a job's own):\n  {names}")
    if not re.fullmatch(r"[\w-]{1,128}", job_id, re.ASCII):
        raise StackError("JOB is an id of yours: 1 to 128 letters, digits, - and _")
    stack = target.find(stack_name)
    outputs = stack.outputs()
    secret = stack.client("secretsmanager").get_secret_value(SecretId=outputs["CallbackKeysSecret"])
    key = json.loads(secret["SecretString"])["current"]
    return proofs.callback_url(outputs["ApiUrl"], callback, job_id, 1, key=key)


if __name__ == "__main__":
    main()
