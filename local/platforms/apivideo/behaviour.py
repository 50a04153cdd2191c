"""What the simulated api.video does with a source, which is decided by the source's URL alone.

The file name chooses a `Behaviour`; the query string turns `Knobs`, and `height` says how high the picture is:
https://example.com/twice.mp4?delay=2&height=1080. Where the server's defaults, the file name and the query all turn the
same knob, the query decides, else the stronger one. The name of an uploaded file chooses in the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from local.platforms.knobs import Fault, Knobs, described

HEIGHT = 720


class Mp4(Enum):
    """When the MP4 is finished."""

    ANYWHERE = auto()
    FIRST = auto()
    LAST = auto()
    NEVER = auto()


class Failing(Enum):
    """Which renditions end as failed."""

    NONE = auto()
    FIRST = auto()  # one of HLS, before all others have ended
    LAST = auto()  # one of HLS, after all others have ended
    ALL = auto()


class Stuck(Enum):
    """What never ends."""

    NOTHING = auto()
    INGEST = auto()
    TOP = auto()  # the highest rendition of HLS
    ENCODING = auto()


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How api.video treats everything that comes of a source; `means` is the line that people read."""

    means: str
    mp4: Mp4 = Mp4.ANYWHERE
    failing: Failing = Failing.NONE
    stuck: Stuck = Stuck.NOTHING
    ingest: tuple[str, ...] = ()  # the words of ingest.status, in place of the usual ones
    height: int = HEIGHT  # unless the query says otherwise
    new_quality: bool = False  # the source's height is a quality of its own, in the ladder or not
    upper_case: bool = False  # callbacks say HLS and MP4
    live: bool = False  # callbacks say liveStreamId, too
    untyped: bool = False  # the status does not say what is HLS and what is MP4
    transcript: bool = False
    summary: bool = False
    accepted: bool = False  # the creation is answered 202
    faults: tuple[Fault, ...] = ()  # the answers to the first submits
    refused: bool = False  # every submit
    lost: bool = False  # the answer to the first accepted submit
    late: bool = False
    early: bool = False
    knobs: Knobs = Knobs()  # noqa: RUF009 (frozen)


WORKS = Behaviour(means="everything works; the renditions end in any order")

BEHAVIOURS: Mapping[str, Behaviour] = {
    "mp4-first": Behaviour(
        means="the MP4 is finished before every HLS rendition",
        mp4=Mp4.FIRST,
    ),
    "mp4-last": Behaviour(
        means="the MP4 is finished after every HLS rendition",
        mp4=Mp4.LAST,
    ),
    "no-mp4": Behaviour(
        means="no MP4 is made, whatever mp4Support says",
        mp4=Mp4.NEVER,
    ),
    "failed-rendition": Behaviour(
        means="one HLS rendition fails, before the others end; no callback says so",
        failing=Failing.FIRST,
    ),
    "failed-last": Behaviour(
        means="one HLS rendition fails, after the others have ended; no callback says so",
        failing=Failing.LAST,
    ),
    "all-failed": Behaviour(
        means="every rendition fails; no callback says so",
        failing=Failing.ALL,
    ),
    "new-quality": Behaviour(
        means="the source has 1440p, and so has its highest rendition, which no document lists",
        height=1440,
        new_quality=True,
    ),
    "ingest-stuck": Behaviour(
        means="the source is being gathered for ever",
        stuck=Stuck.INGEST,
    ),
    "ingest-missing": Behaviour(
        means="ingest.status stays missing for ever",
        stuck=Stuck.INGEST,
        ingest=("missing",),
    ),
    "guide-ingest": Behaviour(
        means="ingest.status has the guide's words: uploading, last_chunck_uploaded, merging, uploaded",
        ingest=("uploading", "last_chunck_uploaded", "merging", "uploaded"),
    ),
    "ingest-merging": Behaviour(
        means="ingest.status stays at the guide's word merging for ever",
        stuck=Stuck.INGEST,
        ingest=("merging",),
    ),
    "upper-case": Behaviour(
        means="callbacks say HLS and MP4, as the guide's table does",
        upper_case=True,
    ),
    "recorded": Behaviour(
        means="callbacks say liveStreamId, too, as one sample does",
        live=True,
    ),
    "untyped": Behaviour(
        means="the status has qualities without a type, as the SDK's sample does",
        untyped=True,
    ),
    "transcribed": Behaviour(
        means="video.caption.generated is sent, too, as with transcript: true",
        transcript=True,
    ),
    "summarized": Behaviour(
        means="video.caption.generated and video.summary.generated are sent, too, as with transcriptSummary: true",
        transcript=True,
        summary=True,
    ),
    "accepted": Behaviour(
        means="the creation is answered 202",
        accepted=True,
    ),
    "flaky": Behaviour(
        means="the first two submits are answered 503",
        faults=(Fault.UNAVAILABLE, Fault.UNAVAILABLE),
    ),
    "throttled": Behaviour(
        means="the first submit is answered 429 with X-RateLimit-Retry-After: 1",
        faults=(Fault.THROTTLED,),
    ),
    "reset": Behaviour(
        means="the first submit is not answered, the connection is cut, and nothing was begun",
        faults=(Fault.RESET,),
    ),
    "lost": Behaviour(
        means="the first submit is accepted, but its answer is lost: the connection is cut",
        lost=True,
    ),
    "html": Behaviour(
        means="the first submit is answered 502 with an HTML page",
        faults=(Fault.HTML,),
    ),
    "refused": Behaviour(
        means="every submit is answered 400 with an invalid source",
        refused=True,
    ),
    "silent": Behaviour(
        means="no callback is ever sent; polling works",
        knobs=Knobs(drop=1),
    ),
    "garbled": Behaviour(
        means="every callback is cut in half, and well signed so; polling works",
        knobs=Knobs(garble=1),
    ),
    "twice": Behaviour(
        means="every callback comes twice, the second time after the next one; two that are due swap places",
        knobs=Knobs(duplicate=1, reorder=True),
    ),
    "late": Behaviour(
        means="callbacks come 40 paces after polling says encoded",
        late=True,
    ),
    "early": Behaviour(
        means="all callbacks come before the submit is answered",
        early=True,
    ),
    "stuck": Behaviour(
        means="the encoding never ends, for any rendition",
        stuck=Stuck.ENCODING,
    ),
    "stuck-rendition": Behaviour(
        means="the highest HLS rendition never ends, the others do",
        stuck=Stuck.TOP,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source URL, or the name of an uploaded file, understood."""

    url: str
    behaviour: Behaviour
    knobs: Knobs
    height: int

    def fault(self, number: int) -> Fault | None:
        """How the submit `number` (from 0) is answered; None if it is accepted."""
        if self.behaviour.refused:
            return Fault.REFUSED
        throttled, unavailable = (Fault.THROTTLED,) * self.knobs.throttle, (Fault.UNAVAILABLE,) * self.knobs.fail
        faults = self.behaviour.faults + throttled + unavailable
        return faults[number] if number < len(faults) else None


def read_source(url: str, defaults: Knobs) -> Source:
    """Raises ValueError if the URL turns a knob, or the height, to something that is no number."""
    parts = urlsplit(url)
    behaviour = BEHAVIOURS.get(PurePosixPath(unquote(parts.path)).stem, WORKS)
    knobs = defaults.stronger(behaviour.knobs).turned(parts.query)
    [*_, height] = parse_qs(parts.query).get("height", [str(behaviour.height)])
    if not (height.isascii() and height.isdecimal() and int(height)):
        raise ValueError(f"{height} is not a height")
    return Source(url=url, behaviour=behaviour, knobs=knobs, height=int(height))


def table() -> str:
    """What each file name does, one line each, then the knobs."""
    width = max(map(len, BEHAVIOURS))
    lines = [f"{name:{width}}  {behaviour.means}" for name, behaviour in BEHAVIOURS.items()]
    knobs = f"{'?knobs':{width}}  {described()} height={HEIGHT}"
    return "\n".join([*lines, f"{'else':{width}}  {WORKS.means}", knobs])
