"""The bodies with which VideoDB answers requests.

They come from its OpenAPI file (the answer to a submit, the error object, the state of an index of spoken words) and
from what its SDK reads (`request_type`, `percentage`, `response`, the names of the lists). The OpenAPI file prints one
example of an `error_code` and no list, so the codes here are HTTP's own names. Where no message is documented, the
words are ours.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from local.platforms.videodb.payloads import Step
from local.platforms.videodb.studio import Job, Status

type Body = dict[str, object]

SPOKEN_WORDS_MESSAGES: Mapping[Status, str] = {
    "done": "Index is available",  # documented
    "processing": "Index is not available yet",
    "failed": "Index has failed",
}


def submitted(job: Job, output_url: str) -> Body:
    # that a callback url makes a request async is inferred: the SDK knows both words, nothing says when which is sent
    request_type = "async" if job.callback else "sync"
    data = {"id": job.id, "output_url": output_url}
    return {"success": True, "status": "processing", "request_type": request_type, "data": data}


def polled(job: Job) -> Body:
    """A failed job has its status from the OpenAPI file and the nesting of a done one: inferred."""
    if job.status == "processing":
        return {"success": True, "status": "processing", "data": {"percentage": job.percentage}}
    return {"status": job.status, "response": job.outcome}


def error(status: int, message: str) -> Body:
    return {"success": False, "message": message, "error_code": HTTPStatus(status).name}


def already_exists(existing: Job) -> Body:
    """Documented for spoken words and scene indexes; for extractions only that the id stands at the end."""
    match existing.step:
        case Step.INDEX_SPOKEN_WORDS:
            message = "Spoken word index for video already exists."
        case Step.INDEX_SCENES:
            message = f"Scene index with id {existing.made} already exists."
        case _:
            message = f"Scene collection already exists with id {existing.made}."
    return {"success": False, "message": message}


def media(upload: Job) -> Body:
    """Inferred: what the upload's callback said."""
    return {"success": True, "data": upload.outcome["data"]}


def spoken_words_status(job: Job) -> Body:
    return {"success": True, "status": job.status, "message": SPOKEN_WORDS_MESSAGES[job.status]}


def scene_indexes(jobs: Sequence[Job]) -> Body:
    return {"success": True, "data": {"scene_indexes": [scene_index(job) for job in jobs]}}


def scene_index(job: Job) -> Body:
    name = (job.asked or {}).get("name") or "Scene Index 2024-07-22 10:06"
    return {"name": name, "scene_index_id": job.made, "status": job.status}


def scene_index_records(job: Job) -> Body:
    """Two scenes once the index is done, none before."""
    numbers = range(2) if job.status == "done" else range(0)
    records = [{"start": 10.0 * n, "end": 10.0 * (n + 1), "description": f"Scene {n + 1}"} for n in numbers]
    return {"success": True, "data": {"scene_index_records": records}}


def scene_collections(jobs: Sequence[Job]) -> Body:
    """Only the finished ones: an entry has no field that could say otherwise."""
    entries = [{"scene_collection_id": job.made, "config": job.asked or {}} for job in jobs if job.status == "done"]
    return {"success": True, "data": {"scene_collections": entries}}


def scene_collection(job: Job) -> Body:
    return {"success": True, "data": job.outcome["data"]}
