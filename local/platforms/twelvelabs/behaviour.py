"""What the simulated TwelveLabs does with a source, which is decided by the source's URL or file name alone.

The file name chooses a `Behaviour`; the query string turns `Knobs`: https://example.com/twice.mp4?delay=2. Where the
server's defaults, the file name and the query all turn the same knob, the query decides, else the stronger one.

A source comes in by one of two ways, and its file name holds for both: `POST /tasks`, or `POST /assets` and then
`POST /indexes/{index_id}/indexed-assets`. Callbacks are about tasks; about indexed assets only
if the server is started so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from local.platforms.knobs import Fault, Knobs, described
from local.platforms.twelvelabs.errors import VIDEO_MESSAGES


class Step(StrEnum):
    """The asynchronous work that can be asked for."""

    TASK = "task"
    ASSET = "asset"
    INDEXED_ASSET = "indexed asset"


UPLOADS = frozenset({Step.TASK, Step.ASSET})
INDEXINGS = frozenset({Step.TASK, Step.INDEXED_ASSET})

NOT_ACCESSIBLE = "The platform could not access the file."  # ours, after the SDK's words of what a reason can be
BROKEN = VIDEO_MESSAGES["video_file_broken"]
INDEXING_FAILED = "Indexing failed."  # ours


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How TwelveLabs treats everything that comes of a source; `means` is the line that people read."""

    means: str
    rejects: Mapping[Step, str] = field(default_factory=dict)  # submits of the step are answered with this code
    fails: Mapping[Step, str] = field(default_factory=dict)  # accepted, and later failed for this reason
    stalls: frozenset[Step] = frozenset()  # never ends
    faults: tuple[Fault, ...] = ()  # the answers to the first upload submits
    refused: bool = False  # every upload submit
    lost: bool = False  # the answer to the first accepted submit of each step
    late: bool = False
    early: bool = False
    knobs: Knobs = Knobs()  # noqa: RUF009 (frozen)


def rejected(code: str) -> Behaviour:
    """Only a task and an indexing look at the video's measures: an asset may have any."""
    return Behaviour(means=f"a task and an indexed asset are refused: {code}", rejects=dict.fromkeys(INDEXINGS, code))


WORKS = Behaviour(means="everything works")

BEHAVIOURS: Mapping[str, Behaviour] = {
    "video_resolution_too_low": rejected("video_resolution_too_low"),
    "video_resolution_too_high": rejected("video_resolution_too_high"),
    "video_resolution_invalid_aspect_ratio": rejected("video_resolution_invalid_aspect_ratio"),
    "resolution_too_high": rejected("video_resolution_too_high"),  # for where a column is narrow
    "video_duration_too_short": rejected("video_duration_too_short"),
    "video_duration_too_long": rejected("video_duration_too_long"),
    "usage_limit_exceeded": rejected("usage_limit_exceeded"),
    "video_file_broken": Behaviour(
        means="a task is refused: video_file_broken; an asset fails later",
        rejects={Step.TASK: "video_file_broken"},
        fails={Step.ASSET: BROKEN},
    ),
    "video_filesize_too_large": Behaviour(
        means="a task and an asset are refused: video_filesize_too_large, the asset with 413",
        rejects=dict.fromkeys(UPLOADS, "video_filesize_too_large"),
    ),
    "private": Behaviour(
        means="a task and an asset fail later: the file cannot be accessed",
        fails=dict.fromkeys(UPLOADS, NOT_ACCESSIBLE),
    ),
    "corrupt": Behaviour(
        means="a task and an asset fail later: the file cannot be read",
        fails=dict.fromkeys(UPLOADS, BROKEN),
    ),
    "index-fails": Behaviour(
        means="a task and an indexed asset fail later: indexing failed; the asset is good",
        fails=dict.fromkeys(INDEXINGS, INDEXING_FAILED),
    ),
    "flaky": Behaviour(
        means="the first two upload submits are answered 503",
        faults=(Fault.UNAVAILABLE, Fault.UNAVAILABLE),
    ),
    "throttled": Behaviour(
        means="the first upload submit is answered 429 with the rate limit's headers and Retry-After: 1",
        faults=(Fault.THROTTLED,),
    ),
    "reset": Behaviour(
        means="the first upload submit is not answered, the connection is cut, and nothing was begun",
        faults=(Fault.RESET,),
    ),
    "lost": Behaviour(
        means="the first submit of each step is accepted, but its answer is lost: the connection is cut",
        lost=True,
    ),
    "html": Behaviour(
        means="the first upload submit is answered 502 with an HTML page",
        faults=(Fault.HTML,),
    ),
    "refused": Behaviour(
        means="every upload submit is answered 400 parameter_invalid",
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
        means="every callback comes twice; two that are due swap places",
        knobs=Knobs(duplicate=1, reorder=True),
    ),
    "late": Behaviour(
        means="callbacks come 40 paces after polling says ready",
        late=True,
    ),
    "early": Behaviour(
        means="the callback comes before the submit is answered",
        early=True,
    ),
    "stuck": Behaviour(
        means="a task stays indexing and an asset processing for ever",
        stalls=UPLOADS,
    ),
    "stuck-index": Behaviour(
        means="a task and an indexed asset stay indexing for ever; the asset is good",
        stalls=INDEXINGS,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source URL, or the name of an uploaded file, understood."""

    url: str
    filename: str
    behaviour: Behaviour
    knobs: Knobs

    def fault(self, step: Step, number: int) -> Fault | None:
        """How the submit `number` (from 0) of a step is answered; None if it is accepted."""
        if step in UPLOADS and self.behaviour.refused:
            return Fault.REFUSED
        faults = (Fault.THROTTLED,) * self.knobs.throttle + (Fault.UNAVAILABLE,) * self.knobs.fail
        if step in UPLOADS:
            faults = self.behaviour.faults + faults
        return faults[number] if number < len(faults) else None


def read_source(url: str, defaults: Knobs) -> Source:
    """Raises ValueError if the URL turns a knob to something that is no number."""
    parts = urlsplit(url)
    file = PurePosixPath(unquote(parts.path))
    behaviour = BEHAVIOURS.get(file.stem, WORKS)
    knobs = defaults.stronger(behaviour.knobs).turned(parts.query)
    return Source(url=url, filename=file.name, behaviour=behaviour, knobs=knobs)


def table() -> str:
    """What each file name does, one line each, then the knobs."""
    width = max(map(len, BEHAVIOURS))
    lines = [f"{name:{width}}  {behaviour.means}" for name, behaviour in BEHAVIOURS.items()]
    return "\n".join([*lines, f"{'else':{width}}  {WORKS.means}", f"{'?knobs':{width}}  {described()}"])
