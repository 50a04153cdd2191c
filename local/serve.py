"""What `make local` runs: the stack and the simulated platforms, until Ctrl-C."""

import argparse
import signal
import sys
from contextlib import ExitStack

from local import aws, running
from local.commands import StackError
from local.platforms.videodb import SimulatedVideoDb
from local.stack import LocalStack

PORT = 4566
JOB = '{"provider": "videodb", "source": "https://media.example.com/lecture.mp4"}'


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
        videodb = exits.enter_context(SimulatedVideoDb())
        stack = exits.enter_context(
            LocalStack(name="local", port=port, bind=bind, parameters={"VideoDbUrl": videodb.url}, progress=_tell)
        )
        found = running.RunningStack(
            api_url=stack.api_url,
            api_key=stack.api_key,
            endpoint_url=stack.endpoint_url,
            stack_name=stack.stack_name,
            platforms={"videodb": videodb.url},
        )
        exits.enter_context(running.written_down(found))
        print(_how_to_use(found), flush=True)
        while True:
            signal.pause()


def _tell(what: str) -> None:
    print(f"... {what}", flush=True)


def _how_to_use(stack: running.RunningStack) -> str:
    return f"""
The stack is up. Ctrl-C ends it.

  API      {stack.api_url}
  API key  {stack.api_key}
  AWS      {stack.endpoint_url}  (AWS_ENDPOINT_URL for the AWS CLI, access key and secret `test`, region {aws.REGION})
  VideoDB  {stack.platforms["videodb"]}  (simulated)

To paste into another terminal:

  API={stack.api_url} KEY='x-api-key: {stack.api_key}'
  curl -sS $API/jobs -H "$KEY" -H 'content-type: application/json' -d '{JOB}'
  curl -sS $API/jobs -H "$KEY"
  curl -sS $API/jobs/JOB_ID -H "$KEY"
  curl -sS $API/jobs/JOB_ID/events -H "$KEY"
"""


if __name__ == "__main__":
    main()
