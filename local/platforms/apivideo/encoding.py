"""Which renditions a source is encoded to, in which order they end, and how.

Printed: an HLS rendition for every rung from 240p to the source's height, and one MP4 of the source's height (of a 720p
source: five in all). Inferred: that a height between two rungs counts as the lower one, that less than 240p
counts as 240p, and that two renditions are encoded at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from local.platforms.apivideo.behaviour import Behaviour, Failing, Mp4, Source, Stuck

RUNGS = (240, 360, 480, 720, 1080, 2160)
AT_A_TIME = 2

type Encoding = Literal["hls", "mp4"]
type Status = Literal["waiting", "encoding", "encoded", "failed"]


@dataclass(eq=False)
class Rendition:
    """`outcome` is settled before the encoding begins; None: it never ends."""

    encoding: Encoding
    quality: str
    outcome: Literal["encoded", "failed"] | None = "encoded"
    status: Status = "waiting"


@dataclass(frozen=True)
class Plan:
    """The renditions as the status lists them, and in the order in which they end."""

    listed: Sequence[Rendition]
    order: Sequence[Rendition]

    def called_back(self) -> list[Rendition]:
        """Those whose end is called back about: as far as the encoding comes, without those that fail."""
        ended = []
        for rendition in self.order:
            if rendition.outcome is None:
                break
            ended.append(rendition)
        return [rendition for rendition in ended if rendition.outcome == "encoded"]

    def encode_next(self, position: int) -> None:
        for rendition in self.order[position : position + AT_A_TIME]:
            rendition.status = "encoding"


def plan_encoding(source: Source, *, mp4_support: bool, random: Random) -> Plan:
    behaviour = source.behaviour
    heights = ladder(source)
    hls = [Rendition("hls", f"{height}p") for height in heights]
    listed = list(hls)
    if mp4_support and behaviour.mp4 is not Mp4.NEVER:
        listed.append(Rendition("mp4", f"{heights[-1]}p"))
    order = random.sample(listed, len(listed))
    settle_outcomes(behaviour, order, middle=hls[len(hls) // 2], top=hls[-1])
    order.sort(key=lambda rendition: place(behaviour, rendition))
    return Plan(listed=listed, order=order)


def ladder(source: Source) -> list[int]:
    heights = [rung for rung in RUNGS if rung <= source.height] or [RUNGS[0]]
    if source.behaviour.new_quality and source.height not in heights:
        heights.append(source.height)
    return heights


def settle_outcomes(
    behaviour: Behaviour, renditions: Sequence[Rendition], *, middle: Rendition, top: Rendition
) -> None:
    if behaviour.failing in (Failing.FIRST, Failing.LAST):
        middle.outcome = "failed"
    if behaviour.stuck is Stuck.TOP:
        top.outcome = None
    for rendition in renditions:
        if behaviour.failing is Failing.ALL:
            rendition.outcome = "failed"
        if behaviour.stuck is Stuck.ENCODING:
            rendition.outcome = None


def place(behaviour: Behaviour, rendition: Rendition) -> int:
    """Renditions of a lower place end earlier."""
    if rendition.outcome is None:
        return 2
    if rendition.outcome == "failed" and behaviour.failing is not Failing.ALL:
        return -1 if behaviour.failing is Failing.FIRST else 1
    if rendition.encoding == "mp4" and behaviour.mp4 in (Mp4.FIRST, Mp4.LAST):
        return -1 if behaviour.mp4 is Mp4.FIRST else 1
    return 0
