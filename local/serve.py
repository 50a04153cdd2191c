"""What `make local` runs: the stack and the simulated platforms, until Ctrl-C."""

import argparse
import signal
import sys
from contextlib import ExitStack

from local import aws, running
from local.commands import StackError
from local.platforms.simulated import SimulatedPlatforms
from local.samples import SAMPLE_API_KEY
from local.stack import LocalStack
from ops.webhooks.secret import Secret

PORT = 4566
TO_PASTE = "To paste into another terminal:"
AUTH = '-H "x-api-key: $KEY"'
POST = f"{AUTH} -H 'content-type: application/json'"
FIELD = r"""field() { grep -o "\"$1\":\"[^\"]*" | head -n 1 | cut -d '"' -f 4; }"""
JOB = '{"provider": "videodb", "source": "https://media.example.com/lecture.mp4"}'
BATCH = (
    '{"provider": "videodb", '
    '"sources": ["https://media.example.com/lecture.mp4", "https://media.example.com/private.mp4"]}'
)


def main() -> None:
    options = _options()
    try:
        _serve(options.port, options.bind)
    except StackError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("\nstopped")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make local", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="of the API and of AWS's stand-in (%(default)s)")
    parser.add_argument(
        "--bind", default=aws.LOOPBACK, help="0.0.0.0 lets containers and other machines in (%(default)s)"
    )
    return parser.parse_args()


def _serve(port: int, bind: str) -> None:
    with ExitStack() as exits:
        exits.enter_context(running.the_only_one())
        platforms = exits.enter_context(SimulatedPlatforms())
        stack = exits.enter_context(
            LocalStack(name="local", port=port, bind=bind, warm=True, parameters=platforms.parameters, progress=_tell)
        )
        platforms.connect(stack)
        accept_samples(stack)
        found = running.RunningStack(
            api_url=stack.api_url,
            api_key=stack.api_key,
            notify_key=stack.notify_key,
            endpoint_url=stack.endpoint_url,
            stack_name=stack.stack_name,
            platforms=dict(platforms.urls),
        )
        exits.enter_context(running.written_down(found))
        print(_how_to_use(found), flush=True)
        while True:
            signal.pause()


def accept_samples(stack: LocalStack) -> None:
    """Let in who has the key that the sample events of the API's functions carry."""
    Secret(stack.client("secretsmanager"), stack.outputs["ApiKeysSecret"]).add({"samples": SAMPLE_API_KEY})


def _tell(what: str) -> None:
    print(f"... {what}", flush=True)


def _how_to_use(stack: running.RunningStack) -> str:
    platforms = "\n".join(f"  {provider:12} {url}  (simulated)" for provider, url in stack.platforms.items())
    key, _ = aws.CREDENTIALS  # both are the same word
    return f"""
The stack is up. Ctrl-C ends it.

  API          {stack.api_url}
  API key      {stack.api_key}
  NOTIFY_KEY   {stack.notify_key}  (signs notifications; here a notify_url may be http and private)
  AWS          {stack.endpoint_url}  (the AWS CLI's AWS_ENDPOINT_URL; key and secret `{key}`, region {aws.REGION})
{platforms}

The source's file name decides what a simulated platform does with it (private.mp4, twice.mp4): `make platforms`.
A platform that is silent (silent.mp4) is first polled after a minute; a job's "check_interval": 1 makes it a second.

{TO_PASTE}

  export API={stack.api_url} KEY={stack.api_key}
  {FIELD}
  JOB=$(curl -sS $API/jobs {POST} -d '{JOB}' | tee /dev/stderr | field job_id)
  curl -sS "$API/jobs/$JOB?wait=20" {AUTH}
  curl -sS $API/jobs/$JOB/events {AUTH}
  curl -sS $API/jobs {AUTH}
  BATCH=$(curl -sS $API/batches {POST} -d '{BATCH}' | tee /dev/stderr | field batch_id)
  make watch BATCH=$BATCH
"""


if __name__ == "__main__":
    main()
