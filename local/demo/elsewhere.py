"""The simulated platforms, as somebody sees them who calls their APIs directly, and not through the stack."""

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import urllib3

from local.demo.jobs_api import ApiError
from local.demo.scenario import Provider
from local.demo.twelvelabs import INDEX
from local.platforms.apsaravideo import signatures
from local.platforms.apsaravideo.server import ACCESS_KEYS
from local.platforms.courier import Delivery
from local.platforms.simulated import SimulatedPlatforms

TIMEOUT_SECONDS = 60
KEY = "demo"  # of TwelveLabs and api.video: the simulated ones take any
SOURCES = ("url", "video_url", "source", "UploadURLs")  # the names that the platforms have for a source's URL


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a platform was asked to do: the fields of a body, a form or a query."""

    path: str
    fields: Mapping[str, Any]

    @property
    def source(self) -> str | None:
        """The URL that it was to fetch."""
        found = next((self.fields[name] for name in SOURCES if name in self.fields), None)
        # VOD wants its URLs encoded once more
        return unquote(found) if isinstance(found, str) and "://" not in found else found


class Elsewhere:
    """Raises ApiError if a platform does not answer, or not as it should."""

    def __init__(self, platforms: SimulatedPlatforms) -> None:
        self._platforms = platforms
        self._connections = urllib3.PoolManager(timeout=TIMEOUT_SECONDS, retries=False)

    def deliveries(self, provider: Provider) -> Sequence[Delivery]:
        """The callbacks that it tried to send."""
        match provider:
            case "videodb":
                return self._platforms.videodb.deliveries
            case "twelvelabs":
                return self._platforms.twelvelabs.deliveries
            case "apivideo":
                return self._platforms.apivideo.deliveries
            case "apsaravideo":
                return self._platforms.apsaravideo.deliveries

    def asked(self, provider: Provider) -> Sequence[Asked]:
        """What it was asked to do, by whomever."""
        match provider:
            case "videodb":
                found = [r for r in self._platforms.videodb.requests if r.method == "POST"]
                return [Asked(path=r.path, fields=r.body) for r in found]
            case "twelvelabs":
                posts = [r for r in self._platforms.twelvelabs.requests if r.method == "POST"]
                return [Asked(path=r.path, fields=r.body) for r in posts]
            case "apivideo":
                created = [r for r in self._platforms.apivideo.requests if r.method == "POST"]
                return [Asked(path=r.path, fields=r.body) for r in created]
            case "apsaravideo":
                uploads = [r for r in self._platforms.apsaravideo.requests if r.action == "UploadMediaByURL"]
                return [Asked(path=r.path, fields=r.query) for r in uploads]

    # --- what a platform has ---

    def made(self, provider: Provider, url: str) -> int:
        """How many things it has made of a source: assets, videos or uploads. VideoDB has no list to ask for."""
        match provider:
            case "videodb":
                raise ValueError("VideoDB does not say what it has made of a URL")
            case "twelvelabs":
                return max(self._assets(url), self._indexed_assets(url))
            case "apivideo":
                # a job's video has the file's name as its title, unless the job says otherwise
                title = PurePosixPath(urlsplit(url).path).name
                found = self._apivideo("GET", f"/videos?{urlencode({'title': title})}")
                return len(found["data"])
            case "apsaravideo":
                found = self._vod("GetURLUploadInfos", UploadURLs=quote(url, safe=""))
                return len(found["URLUploadInfoList"])

    def _assets(self, url: str) -> int:
        """Those of the same file's name, as far as a page of the list has them."""
        name = PurePosixPath(urlsplit(url).path).name
        found = self._twelvelabs("GET", f"/assets?{urlencode({'page_limit': '50', 'filename': name})}")
        return sum(one["filename"] == name for one in found["data"])

    def _indexed_assets(self, url: str) -> int:
        """Those of the same file's name."""
        name = PurePosixPath(urlsplit(url).path).name
        found = self._twelvelabs("GET", f"/indexes/{INDEX}/indexed-assets?page_limit=50")
        return sum(one["system_metadata"]["filename"] == name for one in found["data"])

    # --- work that the stack did not begin ---

    def begin(self, provider: Provider, url: str) -> str:
        """Have it do what it calls back about; its id of that."""
        match provider:
            case "videodb":
                raise ValueError("VideoDB is given a callback URL with each job: see local.demo.unexpected")
            case "twelvelabs":
                task = self._twelvelabs("POST", "/tasks", fields={"index_id": INDEX, "video_url": url})
                return str(task["_id"])
            case "apivideo":
                video = self._apivideo("POST", "/videos", json={"title": "Begun elsewhere", "source": url})
                return str(video["videoId"])
            case "apsaravideo":
                upload = self._vod("UploadMediaByURL", UploadURLs=quote(url, safe=""))
                return str(upload["UploadJobs"][0]["JobId"])

    # --- how each is called ---

    def _twelvelabs(self, method: str, path: str, **what: Any) -> Any:
        return self._call(method, f"{self._platforms.twelvelabs.url}{path}", headers={"x-api-key": KEY}, **what)

    def _apivideo(self, method: str, path: str, **what: Any) -> Any:
        basic = base64.b64encode(f"{KEY}:".encode()).decode()
        url = f"{self._platforms.apivideo.url}{path}"
        return self._call(method, url, headers={"authorization": f"Basic {basic}"}, **what)

    def _vod(self, action: str, **parameters: str) -> Any:
        [(key_id, secret)] = ACCESS_KEYS.items()
        asked = {
            "Action": action,
            "Version": "2017-03-21",
            "Format": "JSON",
            "AccessKeyId": key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid.uuid4().hex,
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **parameters,
        }
        asked["Signature"] = signatures.rpc_v1(secret, method="GET", parameters=asked)
        return self._call("GET", f"{self._platforms.apsaravideo.url}/?{urlencode(asked)}")

    def _call(self, method: str, url: str, **what: Any) -> Any:
        shown = f"{method} {urlsplit(url).path}"
        try:
            answer = self._connections.request(method, url, **what)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(f"a simulated platform did not answer {shown}: {type(error).__name__}") from None
        if not 200 <= answer.status < 300:
            said = answer.data[:200].decode(errors="replace")
            raise ApiError(f"a simulated platform answered {answer.status} to {shown}: {said}")
        return json.loads(answer.data)
