"""What the demo shows of VideoDB.

The file name decides what the simulated VideoDB does with a source (`local.platforms.videodb.behaviour`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from local.demo.scenario import Kind, Platform, Scenario

PLAN = ("upload", "index_spoken_words", "index_scenes", "extract_scenes")

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "upload": {"name": "Lecture 1"},
    "index_spoken_words": {"language_code": "en_us", "segmentation_type": "sentence"},
    "index_scenes": {
        "extraction_type": "time",
        "extraction_config": {"time": 10},
        "prompt": "What is on the slide?",
    },
}

video = partial(Scenario, provider="videodb", plan=PLAN)

VIDEODB = Platform(
    provider="videodb",
    name="VideoDB",
    steps={
        "upload": "upload",
        "index_spoken_words": "spoken words",
        "index_scenes": "scenes",
        "extract_scenes": "extraction",
    },
    signs=False,
    scenarios=(
        video(
            kind=Kind.WORKS,
            source="lecture.mp4",
            request={"options": OPTIONS},
            asked=tuple(OPTIONS.values()),
            proves="four steps in a chain, all options passed on",
        ),
        video(
            kind=Kind.FAILS,
            source="private.mp4",
            fails="upload",
            error="download_failed",
            proves="a documented error, with cause and action",
        ),
        video(
            kind=Kind.LOST,
            source="silent.mp4",
            callbacks=False,
            proves="no callback came: polling ended each step",
        ),
        video(
            kind=Kind.DISORDER,
            source="twice.mp4",
            doubled=True,
            proves="callbacks doubled, reordered; archived once",
        ),
        video(
            kind=Kind.HEALED,
            source="flaky.mp4",
            attempts={"upload": 3},
            proves="503, 503, accepted: retries healed it",
        ),
    ),
)
