"""TwelveLabs: it honours no idempotency key, lists what it has, and calls the account's webhook when a task ends."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.faults.deployment import BASE_URL
from local.faults.platforms.border import Asked, Submission

TAKES = 40.0
WEBHOOK = f"{BASE_URL}/callbacks/twelvelabs/index-task"
SECRET = "whs_test"  # noqa: S105 (of a simulated platform)
_PREFIX = "/v1.3"
_INDEXED = re.compile(r"/indexes/(?P<index>[^/]+)/indexed-assets")


@dataclass(eq=False, kw_only=True)
class Thing:
    """An asset, an indexed asset or a task."""

    id: str
    kind: str
    began: float
    ends_at: float
    failure: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class TwelveLabs:
    """`script`: what becomes of the assets, indexed assets and tasks, in their order: "" is success, else a reason."""

    def __init__(self, world: Any, *, script: Mapping[str, Sequence[str]] | None = None, takes: float = TAKES) -> None:
        self.submissions: list[Submission] = []
        self._world = world
        self._script = script or {}
        self._takes = takes
        self._things: dict[str, Thing] = {}

    def answer(self, asked: Asked) -> tuple[int, Any]:
        path = asked.path.removeprefix(_PREFIX)
        if asked.method == "POST":
            return self._made(path, asked)
        if asked.method == "DELETE":
            return (200, None) if self._things.pop(path.rsplit("/", 1)[-1], None) else _not_found()
        return self._told(path, asked)

    def work_elsewhere(self, task_id: str) -> None:
        """A task that somebody else began."""
        self._begin("task", task_id, {"index_id": "index-1"})

    def call_back(self, task_id: str, *, ready: bool = True, after: float = 0.0) -> None:
        """Call the webhook about a task, whether there is such a one or not."""
        self._tell(Thing(id=task_id, kind="task", began=0, ends_at=0, failure="" if ready else "failed"), after=after)

    def _made(self, path: str, asked: Asked) -> tuple[int, Any]:
        if path == "/assets":
            thing = self._submitted("asset", str(asked.fields["url"]), asked.fields)
            return 201, self._shown(thing) | {"method": "url"}
        if path == "/tasks":
            thing = self._submitted("task", str(asked.fields["video_url"]), asked.fields)
            return 200, {"_id": thing.id, "video_id": f"{thing.id}-video"}
        if found := _INDEXED.fullmatch(path):
            asset = self._things.get(str(asked.body["asset_id"]))
            if asset is None or self._word(asset) != "ready":
                return 400, {"code": "asset_not_ready", "message": "the asset is not ready"}
            thing = self._submitted(
                "indexed_asset", str(asset.fields.get("url", asset.id)), {**asked.body, "index_id": found["index"]}
            )
            return 202, {"_id": thing.id, "asset_id": asset.id}
        return _not_found()

    def _submitted(self, kind: str, subject: str, fields: Mapping[str, Any]) -> Thing:
        self.submissions.append(Submission(step=kind, subject=subject, at=self._world.clock.now))
        return self._begin(kind, f"{self._world.next_id()}", fields)

    def _begin(self, kind: str, name: str, fields: Mapping[str, Any]) -> Thing:
        number = sum(thing.kind == kind for thing in self._things.values())
        outcomes = self._script.get(kind, ())
        now = self._world.clock.seconds
        thing = Thing(
            id=name,
            kind=kind,
            began=now,
            ends_at=now + self._takes,
            failure=outcomes[number] if number < len(outcomes) else "",
            fields=dict(fields),
        )
        self._things[thing.id] = thing
        if kind == "task":
            self._tell(thing, after=self._takes)
        return thing

    def _tell(self, thing: Thing, *, after: float) -> None:
        """Printed: the envelope; that it is sent again is not, so it is not relied on."""
        status = "failed" if thing.failure else "ready"
        body = {"id": f"whe_{thing.id}", "type": f"index.task.{status}", "data": {"id": thing.id, "status": status}}

        def ends() -> None:
            thing.ends_at = min(thing.ends_at, self._world.clock.seconds)

        self._world.call_back(WEBHOOK, json.dumps(body).encode(), sign=self._signed, after=after, first=ends)

    def _signed(self, body: bytes) -> Mapping[str, str]:
        moment = int(self._world.clock.seconds)
        made = hmac.new(SECRET.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
        return {"TL-Signature": f"t={moment},v1={made}"}

    def _told(self, path: str, asked: Asked) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        match parts:
            case ["assets"]:
                return 200, _page([self._shown(one) for one in self._of("asset", asked)])
            case ["tasks"]:
                return 200, _page([self._shown(one) for one in self._of("task", asked)])
            case ["assets", asset_id, "indexed-assets"]:
                indexed = [one for one in self._of("indexed_asset", asked) if one.fields["asset_id"] == asset_id]
                return 200, _page([{**self._shown(one), "index": {"_id": one.fields["index_id"]}} for one in indexed])
            case ["indexes", index_id, "indexed-assets"]:
                indexed = [one for one in self._of("indexed_asset", asked) if one.fields["index_id"] == index_id]
                return 200, _page([self._shown(one) for one in indexed])
            case ["assets" | "tasks", name] | ["indexes", _, "indexed-assets", name] if name in self._things:
                return 200, self._shown(self._things[name])
            case _:
                return _not_found()

    def _of(self, kind: str, asked: Asked) -> list[Thing]:
        """The newest first. A filename is a part of one, in any case."""
        part = asked.query.get("filename", [""])[0].lower()
        named = [thing for thing in self._things.values() if thing.kind == kind and part in _filename(thing).lower()]
        return named[::-1][:50]

    def _word(self, thing: Thing) -> str:
        if thing.ends_at > self._world.clock.seconds:
            return "indexing" if thing.kind == "task" else "processing"
        return "failed" if thing.failure else "ready"

    def _shown(self, thing: Thing) -> dict[str, Any]:
        word = self._word(thing)
        shown: dict[str, Any] = {"_id": thing.id, "status": word}
        if thing.kind == "task":
            shown |= {"video_id": f"{thing.id}-video", "index_id": thing.fields.get("index_id")}
            if word == "failed":
                shown["error_reason"] = thing.failure
        elif thing.kind == "asset":
            shown |= {"filename": _filename(thing), "file_type": "video/mp4"}
            if "user_metadata" in thing.fields:
                shown["user_metadata"] = json.loads(thing.fields["user_metadata"])
            if word == "failed":
                shown["error"] = {"message": thing.failure}
        else:
            shown["asset_id"] = thing.fields["asset_id"]
        return shown


def _filename(thing: Thing) -> str:
    """The one that it was given, else that of its URL."""
    url = str(thing.fields.get("url") or thing.fields.get("video_url") or "")
    return str(thing.fields.get("filename") or url.rpartition("/")[2])


def _page(rows: list[dict[str, Any]]) -> dict[str, Any]:
    info = {"limit_per_page": 50, "page": 1, "total_page": 1, "total_results": len(rows)}
    return {"data": rows, "page_info": info}


def _not_found() -> tuple[int, Any]:
    return 404, {"code": "resource_not_exists", "message": "the resource does not exist"}
