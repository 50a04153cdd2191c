"""What the simulated ApsaraVideo VOD does with a source, which is decided by the source's URL alone.

The file name chooses a `Behaviour`; the query string turns `Knobs`: https://example.com/twice.mp4?delay=2. Where the
server's defaults, the file name and the query all turn the same knob, the query decides, else the stronger one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from local.platforms.knobs import Fault, Knobs, described

type Status = Literal[
    "PENDING",
    "PROCESSING",
    "DOWNLOADING",
    "DOWNLOAD_SUCCESS",
    "DOWNLOAD_FAIL",
    "UPLOADING",
    "UPLOAD_SUCCESS",
    "UPLOAD_FAIL",
    "SUCCESS",
]
"""Every status that the documents list."""


@dataclass(frozen=True, kw_only=True)
class UploadError:
    """Why an upload fails: the words of the event, and the status that polling shows."""

    code: str
    message: str
    status: Status


# printed, both words; the space after the code is printed too, and is put on where the body is made
URL_INVALID = UploadError(
    code="URLInvalidError", message="download video failed by the url, please check it", status="DOWNLOAD_FAIL"
)
# documented is that such a job fails, and that the status exists; code and words are ours
TOO_LARGE = UploadError(code="FileSizeExceeded", message="The file is larger than 20 GB.", status="UPLOAD_FAIL")
# inferred: Alibaba Cloud's words for a failure of its own
INTERNAL = UploadError(
    code="InternalError",
    message="The request processing has failed due to some unknown error.",
    status="UPLOAD_FAIL",
)


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How VOD treats everything that comes of a source; `means` is the line that people read."""

    means: str
    error: UploadError | None = None
    takes_back: bool = False  # the failure is followed by a success of the same job
    lies: bool = False  # the event says success, the status fails
    lags: bool = False  # the status follows long after the event
    clean: bool = False  # events as correct JSON instead of the documents' own bytes
    code_on_success: bool = False
    stuck: bool = False
    faults: tuple[Fault, ...] = ()  # the answers to the first submits
    throttle_status: int = 429
    refused: bool = False  # every submit
    late: bool = False
    early: bool = False
    knobs: Knobs = Knobs()  # noqa: RUF009 (frozen)


WORKS = Behaviour(means="everything works")

BEHAVIOURS: Mapping[str, Behaviour] = {
    "private": Behaviour(
        means="fails: DOWNLOAD_FAIL, URLInvalidError",
        error=URL_INVALID,
    ),
    "too-large": Behaviour(
        means="fails as more than 20 GB do: UPLOAD_FAIL",
        error=TOO_LARGE,
    ),
    "upload-fails": Behaviour(
        means="fails on VOD's side: UPLOAD_FAIL, InternalError",
        error=INTERNAL,
    ),
    "fail-then-success": Behaviour(
        means="the event says fail, and a pace later success; so does polling",
        error=URL_INVALID,
        takes_back=True,
    ),
    "status-lags": Behaviour(
        means="the event says success 40 paces before polling does",
        lags=True,
    ),
    "liar": Behaviour(
        means="the event says success, polling says DOWNLOAD_FAIL (VOD never does this, a forger might)",
        error=URL_INVALID,
        lies=True,
    ),
    "clean": Behaviour(
        means="works, with events that are correct JSON: no spaces in keys, and with Extend",
        clean=True,
    ),
    "clean-private": Behaviour(
        means="fails like private, with an event that is correct JSON",
        error=URL_INVALID,
        clean=True,
    ),
    "code-200": Behaviour(
        means="polling says SUCCESS with ErrorCode 200 and ErrorMessage Success",
        code_on_success=True,
    ),
    "flaky": Behaviour(
        means="the first two submits are answered 503 ServiceUnavailable",
        faults=(Fault.UNAVAILABLE, Fault.UNAVAILABLE),
    ),
    "throttled": Behaviour(
        means="the first submit is answered 429 Throttling.User with x-acs-retry-after",
        faults=(Fault.THROTTLED,),
    ),
    "throttled-400": Behaviour(
        means="the first submit is answered 400 Throttling.User, without saying how long to wait",
        faults=(Fault.THROTTLED,),
        throttle_status=400,
    ),
    "reset": Behaviour(
        means="the first submit is not answered, the connection is cut",
        faults=(Fault.RESET,),
    ),
    "html": Behaviour(
        means="the first submit is answered 502 with an HTML page",
        faults=(Fault.HTML,),
    ),
    "refused": Behaviour(
        means="every submit is answered 400 InvalidParameter",
        refused=True,
    ),
    "silent": Behaviour(
        means="no event is ever sent; polling works",
        knobs=Knobs(drop=1),
    ),
    "garbled": Behaviour(
        means="every event is cut in half; polling works",
        knobs=Knobs(garble=1),
    ),
    "twice": Behaviour(
        means="every event comes twice; two that are due swap places",
        knobs=Knobs(duplicate=1, reorder=True),
    ),
    "late": Behaviour(
        means="events come 40 paces after polling says SUCCESS",
        late=True,
    ),
    "early": Behaviour(
        means="the events come before the submit is answered",
        early=True,
    ),
    "stuck": Behaviour(
        means="the job stays DOWNLOADING for ever",
        stuck=True,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source URL, understood."""

    url: str
    behaviour: Behaviour
    knobs: Knobs

    def fault(self, number: int) -> Fault | None:
        """How the submit `number` (from 0) is answered; None if it is accepted."""
        if self.behaviour.refused:
            return Fault.REFUSED
        faults = self.behaviour.faults
        faults += (Fault.THROTTLED,) * self.knobs.throttle + (Fault.UNAVAILABLE,) * self.knobs.fail
        return faults[number] if number < len(faults) else None


def read_source(url: str, defaults: Knobs) -> Source:
    """Raises ValueError if the URL turns a knob to something that is no number, or is no web address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is no web address")
    behaviour = BEHAVIOURS.get(PurePosixPath(unquote(parts.path)).stem, WORKS)
    return Source(url=url, behaviour=behaviour, knobs=defaults.stronger(behaviour.knobs).turned(parts.query))


def extension(url: str) -> str:
    """Without its dot; empty if there is none."""
    return PurePosixPath(unquote(urlsplit(url).path)).suffix.removeprefix(".")


def table() -> str:
    """What each file name does, one line each, then the knobs."""
    width = max(map(len, BEHAVIOURS))
    lines = [f"{name:{width}}  {behaviour.means}" for name, behaviour in BEHAVIOURS.items()]
    return "\n".join([*lines, f"{'else':{width}}  {WORKS.means}", f"{'?knobs':{width}}  {described()}"])
