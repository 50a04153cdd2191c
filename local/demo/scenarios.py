"""The demo's jobs: what each one shows, and how it must end.

The file name decides what the simulated VideoDB does with a source (`local.platforms.videodb.behaviour`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from video_jobs.jobs import JobStatus, StepStatus
from video_jobs.platforms.videodb.plan import STEPS, StepName

type Via = Literal["callback", "check", "submit"]
"""How a step's end reached the stack: it was told, it asked, or the answer to its request said so already."""

EVERY_STEP_SUCCEEDS = (StepStatus.SUCCEEDED,) * len(STEPS)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A job, and what must be seen of it in the end. What is left out is not looked at."""

    source: str
    """The file's name, and the simulated VideoDB's knobs as a query."""
    shows: str
    """In a few words: the tables have 29 columns for it."""
    steps: tuple[StepStatus, ...] = EVERY_STEP_SUCCEEDS
    """How each step of the plan must end."""
    error: str | None = None
    """The code with which the job must fail; None: it must succeed."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """What POST /jobs is given besides the provider and the source."""
    attempts: Mapping[StepName, int] = field(default_factory=dict)
    told: Mapping[StepName, Via] = field(default_factory=dict)
    """How the ends of these steps must have been learnt, and in no other way."""
    asked: Mapping[StepName, Mapping[str, Any]] = field(default_factory=dict)
    """What VideoDB must have been asked for, among other things."""
    copies: int | None = None
    """How often the callback of every step must have been sent at least, and answered 200."""
    unreadable: int | None = None
    """How many of its callbacks must be among the dead letters."""
    fails_first: str | None = None
    """The code with which it must fail at first. Then POST /jobs/{id}/retry is sent."""
    proof: str | None = None
    """The sentence that is true if all of this was seen."""

    @property
    def file(self) -> str:
        return self.source.partition("?")[0]

    @property
    def url(self) -> str:
        return f"https://media.example.com/{self.source}"

    @property
    def ends(self) -> JobStatus:
        return JobStatus.FAILED if self.error else JobStatus.SUCCEEDED


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Scenarios that show one thing together."""

    title: str
    scenarios: tuple[Scenario, ...]


def fails_at(step: StepName) -> tuple[StepStatus, ...]:
    """The steps before succeed, those after it are never reached."""
    reached = STEPS.index(step)
    left = len(STEPS) - reached - 1
    return (StepStatus.SUCCEEDED,) * reached + (StepStatus.FAILED,) + (StepStatus.WAITING,) * left


def every_step(via: Via) -> Mapping[StepName, Via]:
    return dict.fromkeys(STEPS, via)


OPTIONS: Mapping[StepName, Mapping[str, Any]] = {
    "upload": {"name": "Lecture 1"},
    "index_spoken_words": {"language_code": "en_us", "segmentation_type": "sentence"},
    "index_scenes": {
        "extraction_type": "time",
        "extraction_config": {"time": 10},
        "prompt": "What is on the slide?",
    },
}

CHAPTERS = (
    Chapter(
        title="Work as it should be",
        scenarios=(
            Scenario(
                source="lecture.mp4",
                shows="all four steps, with options",
                request={"options": OPTIONS},
                asked=OPTIONS,
                proof="its options reached VideoDB: language_code, extraction_type, prompt and all",
            ),
            Scenario(
                source="podcast.mp3",
                shows="audio: nothing to index",
                steps=(StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.SKIPPED, StepStatus.SKIPPED),
            ),
            Scenario(
                source="poster.jpg",
                shows="an image is only uploaded",
                steps=(StepStatus.SUCCEEDED,),
                request={"media_type": "image"},
            ),
        ),
    ),
    Chapter(
        title="VideoDB gives up",
        scenarios=(
            Scenario(
                source="private.mp4",
                shows="it cannot be downloaded",
                steps=fails_at("upload"),
                error="download_failed",
            ),
            Scenario(
                source="wrong-type.mp4",
                shows="it is not what it should be",
                steps=fails_at("upload"),
                error="invalid_media_type",
            ),
            Scenario(
                source="corrupt.mp4",
                shows="the file is broken",
                steps=fails_at("upload"),
                error="something_went_wrong",
            ),
            Scenario(
                source="no-speech.mp4",
                shows="nothing is said in it",
                steps=fails_at("index_spoken_words"),
                error="unknown_error",
            ),
            Scenario(
                source="no-scenes.mp4",
                shows="its scenes cannot be indexed",
                steps=fails_at("index_scenes"),
                error="unknown_error",
            ),
        ),
    ),
    Chapter(
        title="Callbacks go wrong",
        scenarios=(
            Scenario(
                source="silent.mp4",
                shows="no callback ever comes",
                told=every_step("check"),
                proof="not one callback came; checks found out how every step ended",
            ),
            Scenario(
                source="garbled.mp4",
                shows="callbacks are cut in half",
                told=every_step("check"),
                unreadable=len(STEPS),
                proof="its 4 unreadable callbacks wait among the dead letters; checks did their work",
            ),
            Scenario(
                source="twice.mp4",
                shows="twice each, and out of order",
                copies=2,
                proof="every callback came twice and was answered 200; every step ended once",
            ),
            Scenario(
                source="early.mp4",
                shows="they beat the submit's answer",
            ),
        ),
    ),
    Chapter(
        title="VideoDB is down for a moment",
        scenarios=(
            Scenario(
                source="flaky.mp4",
                shows="503, 503, then accepted",
                attempts={"upload": 3},
                proof="its upload was accepted at the third attempt",
            ),
            Scenario(
                source="throttled.mp4",
                shows="429: come again in a second",
                attempts={"upload": 2},
            ),
            Scenario(
                source="reset.mp4",
                shows="the connection breaks",
                attempts={"upload": 2},
            ),
            Scenario(
                source="outage.mp4?fail=2",
                shows="fails, and is retried by hand",
                steps=(StepStatus.SUCCEEDED,),
                request={"steps": ["upload"], "retry": {"max_attempts": 2, "base_delay": 0}},
                attempts={"upload": 3},
                fails_first="platform_unavailable",
                proof="it failed with platform_unavailable; POST /jobs/{id}/retry made it succeed",
            ),
        ),
    ),
    Chapter(
        title="The work was done before",
        scenarios=(
            Scenario(
                source="already-indexed.mp4",
                shows="its words are indexed already",
                told={"index_spoken_words": "submit"},
            ),
            Scenario(
                source="scene-exists.mp4",
                shows="so are its scenes",
                told={"index_scenes": "submit"},
                proof="the index that VideoDB had was taken over, not made again",
            ),
        ),
    ),
)

SCENARIOS = tuple(scenario for chapter in CHAPTERS for scenario in chapter.scenarios)
