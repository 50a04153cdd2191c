"""What the simulated VideoDB does with a source, which is decided by the source's URL alone.

The file name chooses a `Behaviour`; the query string turns `Knobs`: https://example.com/twice.mp4?delay=2. Where the
server's defaults, the file name and the query all turn the same knob, the query decides, else the stronger one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from local.platforms.knobs import Fault, Knobs, described
from local.platforms.videodb import payloads
from local.platforms.videodb.payloads import Kind, Step


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How VideoDB treats everything that comes of a source; `means` is the line that people read."""

    means: str
    fails: Mapping[Step, str] = field(default_factory=dict)  # with the message
    stalls: frozenset[Step] = frozenset()  # stays processing for ever
    brings: frozenset[Step] = frozenset()  # the media file has it before anybody asks
    faults: tuple[Fault, ...] = ()  # the answers to the first upload submits
    refused: bool = False  # every upload submit
    late: bool = False
    early: bool = False
    knobs: Knobs = Knobs()  # noqa: RUF009 (frozen)


WORKS = Behaviour(means="everything works")

BEHAVIOURS: Mapping[str, Behaviour] = {
    "private": Behaviour(
        means="upload fails: Download failed.",
        fails={Step.UPLOAD: payloads.DOWNLOAD_FAILED},
    ),
    "corrupt": Behaviour(
        means="upload fails: Something went wrong",
        fails={Step.UPLOAD: payloads.SOMETHING_WENT_WRONG},
    ),
    "wrong-type": Behaviour(
        means="upload fails: Invalid media type",
        fails={Step.UPLOAD: payloads.INVALID_MEDIA_TYPE},
    ),
    "no-speech": Behaviour(
        means="the index of spoken words fails",
        fails={Step.INDEX_SPOKEN_WORDS: payloads.NO_SPEECH},
    ),
    "no-scenes": Behaviour(
        means="the scene index fails",
        fails={Step.INDEX_SCENES: payloads.NO_SCENES},
    ),
    "no-extract": Behaviour(
        means="the extraction of scenes fails",
        fails={Step.EXTRACT_SCENES: payloads.NO_EXTRACT},
    ),
    "already-indexed": Behaviour(
        means="spoken words are indexed already, and submitting says so",
        brings=frozenset({Step.INDEX_SPOKEN_WORDS}),
    ),
    "scene-exists": Behaviour(
        means="a scene index exists already, and submitting names it",
        brings=frozenset({Step.INDEX_SCENES}),
    ),
    "flaky": Behaviour(
        means="the first two upload submits are answered 503",
        faults=(Fault.UNAVAILABLE, Fault.UNAVAILABLE),
    ),
    "throttled": Behaviour(
        means="the first upload submit is answered 429 with Retry-After: 1",
        faults=(Fault.THROTTLED,),
    ),
    "reset": Behaviour(
        means="the first upload submit is not answered, the connection is cut",
        faults=(Fault.RESET,),
    ),
    "html": Behaviour(
        means="the first upload submit is answered 502 with an HTML page",
        faults=(Fault.HTML,),
    ),
    "refused": Behaviour(
        means="every upload submit is answered 400 with success: false",
        refused=True,
    ),
    "silent": Behaviour(
        means="no callback is ever sent; polling works",
        knobs=Knobs(drop=1),
    ),
    "garbled": Behaviour(
        means="every callback is cut in half; polling works",
        knobs=Knobs(garble=1),
    ),
    "twice": Behaviour(
        means="every callback comes twice, the second time after the next step's; two that are due swap places",
        knobs=Knobs(duplicate=1, reorder=True),
    ),
    "late": Behaviour(
        means="callbacks come 40 paces after polling says done",
        late=True,
    ),
    "early": Behaviour(
        means="the callback comes before the submit is answered",
        early=True,
    ),
    "stuck": Behaviour(
        means="the upload stays processing for ever",
        stalls=frozenset({Step.UPLOAD}),
    ),
    # https://github.com/video-db/videodb-python/issues/104
    "stuck-scenes": Behaviour(
        means="the scene index stays processing for ever",
        stalls=frozenset({Step.INDEX_SCENES}),
    ),
}

KINDS: Mapping[str, Kind] = {
    "mp4": Kind.VIDEO,
    "mov": Kind.VIDEO,
    "webm": Kind.VIDEO,
    "mp3": Kind.AUDIO,
    "wav": Kind.AUDIO,
    "jpg": Kind.IMAGE,
    "png": Kind.IMAGE,
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source URL, understood. `kind` is None for an extension that is no media file's."""

    url: str
    kind: Kind | None
    behaviour: Behaviour
    knobs: Knobs

    def upload_error(self, media_type: str | None) -> str | None:
        """The message with which the upload fails; None if it works."""
        if Step.UPLOAD in self.behaviour.fails:
            return self.behaviour.fails[Step.UPLOAD]
        if self.kind is None or media_type not in (None, self.kind):
            return payloads.INVALID_MEDIA_TYPE
        return None

    def fault(self, step: Step, number: int) -> Fault | None:
        """How the submit `number` (from 0) of a step is answered; None if it is accepted."""
        if step is Step.UPLOAD and self.behaviour.refused:
            return Fault.REFUSED
        faults = (Fault.THROTTLED,) * self.knobs.throttle + (Fault.UNAVAILABLE,) * self.knobs.fail
        if step is Step.UPLOAD:
            faults = self.behaviour.faults + faults
        return faults[number] if number < len(faults) else None


def read_source(url: str, defaults: Knobs) -> Source:
    """Raises ValueError if the URL turns a knob to something that is no number."""
    parts = urlsplit(url)
    file = PurePosixPath(unquote(parts.path))
    behaviour = BEHAVIOURS.get(file.stem, WORKS)
    knobs = defaults.stronger(behaviour.knobs).turned(parts.query)
    return Source(url=url, kind=kind_of(file), behaviour=behaviour, knobs=knobs)


def kind_of(file: PurePosixPath) -> Kind | None:
    """A file without an extension counts as a video, as most sources are."""
    return KINDS.get(file.suffix.removeprefix(".").lower()) if file.suffix else Kind.VIDEO


def table() -> str:
    """What each file name does, one line each, then the knobs."""
    width = max(map(len, BEHAVIOURS))
    lines = [f"{name:{width}}  {behaviour.means}" for name, behaviour in BEHAVIOURS.items()]
    return "\n".join([*lines, f"{'else':{width}}  {WORKS.means}", f"{'?knobs':{width}}  {described()}"])
