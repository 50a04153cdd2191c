"""VideoDB: it signs nothing, knows no idempotency key, and calls the URL that it was given, once."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.faults.platforms.border import Asked, Submission
from local.platforms.videodb import payloads
from local.platforms.videodb.payloads import Kind

TAKES = 40.0
"""Seconds for each piece of work."""
_PATHS: Sequence[tuple[str, re.Pattern[str], str]] = (
    ("POST", re.compile(r"/collection/[^/]+/upload"), "upload"),
    ("POST", re.compile(r"/video/(?P<id>[^/]+)/index"), "index_spoken_words"),
    ("POST", re.compile(r"/video/(?P<id>[^/]+)/index/scene"), "index_scenes"),
    ("POST", re.compile(r"/video/(?P<id>[^/]+)/scenes"), "extract_scenes"),
    ("GET", re.compile(r"/async-response/(?P<id>[^/]+)"), "poll"),
    ("GET", re.compile(r"/video/(?P<id>[^/]+)/index/"), "spoken_words"),
    ("GET", re.compile(r"/video/(?P<id>[^/]+)/index/scene"), "scene_indexes"),
    ("GET", re.compile(r"/video/(?P<id>[^/]+)/scenes"), "collections"),
)


@dataclass(eq=False, kw_only=True)
class Work:
    work_id: str
    step: str
    medium: str
    """What it is about, or what it makes."""
    made: str
    name: str | None
    ends_at: float
    body: bytes


class VideoDb:
    """`script`: for a step, what becomes of its pieces of work, in their order: "" is success, else a message."""

    def __init__(
        self, world: Any, *, script: Mapping[str, Sequence[str]] | None = None, ends: bool = True, takes: float = TAKES
    ) -> None:
        self.submissions: list[Submission] = []
        self._world = world
        self._script = script or {}
        self._ends = ends
        self._takes = takes
        self._work: dict[str, Work] = {}
        self._random = Random(7)

    def answer(self, asked: Asked) -> tuple[int, Any]:
        for method, path, step in _PATHS:
            if method == asked.method and (found := path.fullmatch(asked.path)):
                named = found.groupdict().get("id", "")
                return self._begun(step, named, asked) if method == "POST" else self._told(step, named)
        return 404, {"success": False, "message": "Not found"}

    def _begun(self, step: str, medium: str, asked: Asked) -> tuple[int, Any]:
        if medium and not any(work.made == medium and self._is_done(work) for work in self._work.values()):
            return 404, {"success": False, "message": "Video not found"}
        done = [work for work in self._of(step, medium) if self._is_done(work) and b"true" in work.body]
        if medium and done:
            return 200, {"success": False, "message": _EXISTS[step](done[0].made)}
        url = asked.body.get("callback_url") or ""
        job = parse_qs(urlsplit(url).query).get("job", [medium])[0]
        number = sum(one.step == step and one.subject == job for one in self.submissions)
        self.submissions.append(Submission(step=step, subject=job, at=self._world.clock.now))
        outcomes = self._script.get(step, ())
        work = self._new(step, medium, outcomes[number] if number < len(outcomes) else "", asked)
        if self._ends and url:
            self._world.call_back(url, work.body, after=self._takes, first=lambda: self._end(work))
        data = {"id": work.work_id, "output_url": f"https://api.videodb.io/async-response/{work.work_id}"}
        return 200, {"success": True, "status": "processing", "request_type": "async", "data": data}

    def _new(self, step: str, medium: str, failure: str, asked: Asked) -> Work:
        if step == "upload":
            made = payloads.new_media_id(Kind.VIDEO, self._random)
            good = payloads.uploaded(Kind.VIDEO, made, "c-1")
        elif step == "index_spoken_words":
            made, good = medium, payloads.spoken_words_indexed(medium)
        else:
            made = f"{self._random.getrandbits(64):016x}"
            good = payloads.scenes_indexed(made) if step == "index_scenes" else payloads.scenes_extracted(made, {})
        work = Work(
            work_id=f"job-{self._random.getrandbits(48):012x}",
            step=step,
            medium=medium or made,
            made=made,
            name=asked.body.get("name"),
            ends_at=self._world.clock.seconds + self._takes if self._ends else float("inf"),
            body=payloads.failed(failure) if failure else good,
        )
        self._work[work.work_id] = work
        return work

    def _end(self, work: Work) -> None:
        work.ends_at = min(work.ends_at, self._world.clock.seconds)

    def _is_done(self, work: Work) -> bool:
        return work.ends_at <= float(self._world.clock.seconds)

    def _of(self, step: str, medium: str) -> list[Work]:
        return [work for work in self._work.values() if work.step == step and work.medium == medium]

    def _told(self, what: str, named: str) -> tuple[int, Any]:
        if what == "poll":
            work = self._work.get(named)
            return (404, {"success": False, "message": "Response not found"}) if work is None else self._polled(work)
        if what == "spoken_words":
            found = self._of("index_spoken_words", named)
            if not found:
                return 404, {"success": False, "message": "Index not found"}
            return 200, {"success": True, "status": self._word(found[-1]), "message": "so it stands"}
        if what == "scene_indexes":
            listed = [
                {"name": work.name, "scene_index_id": work.made, "status": self._word(work)}
                for work in self._of("index_scenes", named)
            ]
            return 200, {"success": True, "data": {"scene_indexes": listed}}
        done = [work for work in self._of("extract_scenes", named) if self._word(work) == "done"]
        collections = [{"scene_collection_id": work.made, "config": {}} for work in done]
        return 200, {"success": True, "data": {"scene_collections": collections}}

    def _word(self, work: Work) -> str:
        if not self._is_done(work):
            return "processing"
        return "done" if json.loads(work.body)["success"] else "failed"

    def _polled(self, work: Work) -> tuple[int, Any]:
        word = self._word(work)
        if word == "processing":
            return 200, {"success": True, "status": word, "data": {"percentage": 50}}
        return 200, {"status": word, "response": json.loads(work.body)}


_EXISTS: Mapping[str, Callable[[str], str]] = {
    "index_spoken_words": lambda _made: "Spoken word index for video already exists.",
    "index_scenes": lambda made: f"Scene index with id {made} already exists.",
    "extract_scenes": lambda made: f"Scene collection already exists with id {made}.",
}
