"""Every callback that there is, by its name."""

from collections.abc import Mapping
from typing import Any

from video_jobs.platforms.apivideo import encoding
from video_jobs.platforms.apsaravideo import upload_by_url
from video_jobs.platforms.callback import Callback
from video_jobs.platforms.twelvelabs import task
from video_jobs.platforms.videodb import extract_scenes, index_scenes, index_spoken_words, upload

_MODULES = (upload, index_spoken_words, index_scenes, extract_scenes, task, encoding, upload_by_url)

CALLBACKS: Mapping[str, Callback[Any]] = {module.CALLBACK.name: module.CALLBACK for module in _MODULES}
