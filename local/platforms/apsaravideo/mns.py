"""MNS over HTTP: receiving, hiding and deleting messages, in XML.

`InvalidArgument` with its words is printed, and that an empty queue is a `MessageNotExist` with 404. The SDK knows
`QueueNotExist`. The other codes, and every status and text that the facts do not print, are inferred.
"""

import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from random import Random
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.platforms.apsaravideo import signatures
from local.platforms.apsaravideo.answers import Refusal, Refused
from local.platforms.apsaravideo.queues import Message, Queue
from local.platforms.apsaravideo.received import ReceivedRequest, received

DECLARATION = '<?xml version="1.0" ?>\n'
NAMESPACE = "http://mns.aliyuncs.com/doc/v1"  # of errors: with a slash at its end
MOST_MESSAGES = 16
LONGEST_WAIT = 30
LONGEST_HIDDEN = 43_200
VALID_SECONDS = 15 * 60

NO_AUTHORIZATION = Refusal(status=400, code="InvalidArgument", message="Authorization header is invalid or missing.")
UNKNOWN_KEY = Refusal(status=403, code="InvalidAccessKeyId", message="The AccessKey Id you provided is not exist.")
WRONG_SIGNATURE = Refusal(
    status=403,
    code="SignatureDoesNotMatch",
    message="The request signature we calculated does not match the signature you provided.",
)
EXPIRED = Refusal(status=408, code="TimeExpired", message="The http request you sent is expired.")
NO_QUEUE = Refusal(status=404, code="QueueNotExist", message="The queue name you provided is not exist.")
NO_MESSAGE = Refusal(status=404, code="MessageNotExist", message="Message not exist.")
WRONG_HANDLE = Refusal(status=400, code="ReceiptHandleError", message="The receipt handle you provide is not valid.")
MALFORMED = Refusal(status=400, code="MalformedXML", message="The XML you provided was not well-formed.")


class Mns:
    def __init__(
        self,
        queues: Mapping[str, Queue],
        *,
        access_keys: Mapping[str, str],
        seed: int,
        requests: list[ReceivedRequest],
    ) -> None:
        self._queues = queues
        self._access_keys = access_keys
        self._chance = Random(f"{seed} mns")
        self._requests = requests

    def routes(self) -> list[Route]:
        return [Route("/queues/{queue}/messages", self.answer, methods=["GET", "DELETE", "PUT"])]

    async def answer(self, request: Request) -> Response:
        self._requests.append(await received(request))
        request_id = f"{self._chance.getrandbits(96):024X}"
        try:
            self._check(request)
            queue = self._queues.get(request.path_params["queue"])
            if queue is None:
                raise Refused(NO_QUEUE)
            response = await self._act(request, queue)
        except Refused as refused:
            host = request.headers.get("host", "")
            response = xml_response(error(refused.refusal, request_id, host), refused.refusal.status)
        response.headers["x-mns-request-id"] = request_id
        response.headers["x-mns-version"] = "2015-06-06"
        return response

    async def _act(self, request: Request, queue: Queue) -> Response:
        match request.method:
            case "GET":
                return await receive(request, queue)
            case "PUT":
                return change_visibility(request, queue)
        return delete_many(await request.body(), queue) if await request.body() else delete_one(request, queue)

    def _check(self, request: Request) -> None:
        given = signatures.read_mns(request.headers.get("authorization", ""))
        if given is None:
            raise Refused(NO_AUTHORIZATION)
        access_key_id, signature = given
        if access_key_id not in self._access_keys:
            raise Refused(UNKNOWN_KEY)
        query = request.scope["query_string"].decode()
        resource = request.scope["raw_path"].decode() + (f"?{query}" if query else "")
        secret = self._access_keys[access_key_id]
        expected = signatures.mns(secret, method=request.method, resource=resource, headers=request.headers.items())
        if not signatures.same(signature, expected):
            raise Refused(WRONG_SIGNATURE)
        check_date(request.headers.get("date", ""))


def check_date(date: str) -> None:
    try:
        at = parsedate_to_datetime(date).timestamp()
    except ValueError as wrong:
        raise Refused(EXPIRED) from wrong
    if abs(time.time() - at) > VALID_SECONDS:
        raise Refused(EXPIRED)


async def receive(request: Request, queue: Queue) -> Response:
    asked = request.query_params
    wait = amount(asked.get("waitseconds"), LONGEST_WAIT) if "waitseconds" in asked else queue.polling_wait
    many = "numOfMessages" in asked
    count = amount(asked.get("numOfMessages"), MOST_MESSAGES) if many else 1
    if not count:
        raise Refused(invalid("numOfMessages"))
    found = await queue.receive(count, wait)
    if not found:
        raise Refused(NO_MESSAGE)
    return xml_response(messages(found) if many else message(found[0], root=True))


def delete_one(request: Request, queue: Queue) -> Response:
    if not queue.delete(request.query_params.get("ReceiptHandle", "")):
        raise Refused(NO_MESSAGE if request.query_params.get("ReceiptHandle") else WRONG_HANDLE)
    return Response(status_code=204)


def delete_many(body: bytes, queue: Queue) -> Response:
    """Deletes what it can; of the others it says why not."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 (who asks has signed it, and is on this machine)
    except ElementTree.ParseError as wrong:
        raise Refused(MALFORMED) from wrong
    handles = [node.text or "" for node in root.iter() if node.tag.rpartition("}")[2] == "ReceiptHandle"]
    gone = [handle for handle in handles if not queue.delete(handle)]
    return xml_response(delete_errors(gone), 404) if gone else Response(status_code=204)


def change_visibility(request: Request, queue: Queue) -> Response:
    seconds = amount(request.query_params.get("VisibilityTimeout"), LONGEST_HIDDEN)
    changed = queue.change_visibility(request.query_params.get("ReceiptHandle", ""), seconds)
    if changed is None:
        raise Refused(NO_MESSAGE)
    fields = {"ReceiptHandle": changed.receipt_handle, "NextVisibleTime": str(changed.visible)}
    return xml_response(f'<ChangeVisibility xmlns="{NAMESPACE}">{elements(fields)}</ChangeVisibility>')


def amount(given: str | None, most: int) -> int:
    if given is None or not given.isdecimal() or int(given) > most:
        raise Refused(invalid("number"))
    return int(given)


def invalid(name: str) -> Refusal:
    return Refusal(status=400, code="InvalidArgument", message=f"The value of {name} is not valid.")


# --- XML ---


def message(one: Message, *, root: bool = False) -> str:
    fields = {
        "MessageId": one.id,
        "MessageBodyMD5": one.body_md5,
        "MessageBody": one.body,
        "ReceiptHandle": one.receipt_handle,
        "EnqueueTime": str(one.enqueued),
        "FirstDequeueTime": str(one.first_dequeued),
        "NextVisibleTime": str(one.visible),
        "DequeueCount": str(one.dequeued),
        "Priority": "8",
    }
    namespace = f' xmlns="{NAMESPACE}"' if root else ""
    return f"<Message{namespace}>{elements(fields)}</Message>"


def messages(found: Sequence[Message]) -> str:
    return f'<Messages xmlns="{NAMESPACE}">{"".join(message(one) for one in found)}</Messages>'


def error(refusal: Refusal, request_id: str, host: str) -> str:
    fields = {"Code": refusal.code, "Message": refusal.message, "RequestId": request_id, "HostId": host}
    return f'<Error xmlns="{NAMESPACE}/">{elements(fields)}</Error>'


def delete_errors(handles: Sequence[str]) -> str:
    """The shape is what the SDK reads."""
    common = {"ErrorCode": NO_MESSAGE.code, "ErrorMessage": NO_MESSAGE.message}
    errors = (f"<Error>{elements({**common, 'ReceiptHandle': handle})}</Error>" for handle in handles)
    return f'<Errors xmlns="{NAMESPACE}/">{"".join(errors)}</Errors>'


def elements(fields: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())


def xml_response(content: str, status: int = 200) -> Response:
    return Response(DECLARATION + content, status_code=status, media_type="text/xml;charset=utf-8")
