"""What the demo shows of VideoDB.

The file name decides what the simulated VideoDB does with a source (`local.platforms.videodb.behaviour`).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from local.demo.scenario import Platform, Scenario, Theme, Via

PLAN = ("upload", "index_spoken_words", "index_scenes", "extract_scenes")


def every_step(via: Via) -> Mapping[str, Via]:
    return dict.fromkeys(PLAN, via)


OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "upload": {"name": "Lecture 1"},
    "index_spoken_words": {"language_code": "en_us", "segmentation_type": "sentence"},
    "index_scenes": {
        "extraction_type": "time",
        "extraction_config": {"time": 10},
        "prompt": "What is on the slide?",
    },
}

works = partial(Scenario, provider="videodb", plan=PLAN, theme=Theme.WORKS)
fails = partial(Scenario, provider="videodb", plan=PLAN, theme=Theme.FAILS)
lost = partial(Scenario, provider="videodb", plan=PLAN, theme=Theme.LOST)
disorder = partial(Scenario, provider="videodb", plan=PLAN, theme=Theme.DISORDER)
faults = partial(Scenario, provider="videodb", plan=PLAN, theme=Theme.FAULTS)

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
        works(
            source="lecture.mp4",
            shows="all four steps, options",
            request={"options": OPTIONS},
            asked=tuple(OPTIONS.values()),
            proof="its options reached VideoDB: language_code, extraction_type, prompt and all",
        ),
        works(
            source="podcast.mp3",
            shows="audio: nothing to index",
            skips=PLAN[1:],
        ),
        works(
            source="poster.jpg",
            shows="an image is only uploaded",
            plan=("upload",),
            request={"media_type": "image"},
        ),
        works(
            source="scene-exists.mp4",
            shows="scenes were indexed before",
            told={"index_scenes": "submit"},
            proof="the index that VideoDB had was taken over, not made again",
        ),
        fails(
            source="private.mp4",
            shows="it cannot be downloaded",
            fails="upload",
            error="download_failed",
        ),
        fails(
            source="wrong-type.mp4",
            shows="not what it should be",
            fails="upload",
            error="invalid_media_type",
        ),
        fails(
            source="corrupt.mp4",
            shows="the file is broken",
            fails="upload",
            error="something_went_wrong",
        ),
        fails(
            source="no-speech.mp4",
            shows="nothing is said in it",
            fails="index_spoken_words",
            error="unknown_error",
        ),
        lost(
            source="silent.mp4",
            shows="no callback ever comes",
            told=every_step("check"),
            callbacks=0,
            proof="not one callback came; checks found out how every step ended",
        ),
        lost(
            source="garbled.mp4",
            shows="callbacks are cut in half",
            told=every_step("check"),
            callbacks=0,
            unreadable=len(PLAN),
            proof="its 4 unreadable callbacks wait among the dead letters; checks did their work",
        ),
        disorder(
            source="twice.mp4",
            shows="twice, and out of order",
            copies=2,
            proof="every callback came twice and was answered 200; every step ended once",
        ),
        disorder(
            source="early.mp4",
            shows="before the submit's answer",
        ),
        faults(
            source="flaky.mp4",
            shows="503, 503, then accepted",
            attempts={"upload": 3},
            proof="its upload was accepted at the third attempt",
        ),
        faults(
            source="throttled.mp4",
            shows="429: come again in 1 s",
            attempts={"upload": 2},
        ),
        faults(
            source="outage.mp4?fail=2",
            shows="fails; retried by hand",
            plan=("upload",),
            request={"steps": ["upload"], "retry": {"max_attempts": 2, "base_delay": 0}},
            attempts={"upload": 3},
            fails_first="platform_unavailable",
            proof="it failed with platform_unavailable; POST /jobs/{id}/retry made it succeed",
        ),
    ),
)
