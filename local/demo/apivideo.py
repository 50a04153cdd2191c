"""What the demo shows of api.video: encodings that call back by parts, and failures that no callback names.

The file name decides what the simulated api.video does with a source (`local.platforms.apivideo.behaviour`). A source
of 720p, the usual one, is encoded to HLS at 240p, 360p, 480p and 720p, and to an MP4: five callbacks.
"""

from functools import partial

from local.demo.scenario import Kind, Platform, Scenario

video = partial(Scenario, provider="apivideo", plan=("upload", "encoding"))

APIVIDEO = Platform(
    provider="apivideo",
    name="api.video",
    steps={"upload": "upload", "encoding": "encoding"},
    signs=True,
    scenarios=(
        video(
            kind=Kind.WORKS,
            source="lecture.mp4",
            request={"options": {"upload": {"title": "Lecture 1", "tags": ["autumn"]}}},
            asked=({"title": "Lecture 1", "tags": ["autumn"]},),
            proves="five renditions, one end; options passed on",
        ),
        video(
            kind=Kind.FAILS,
            source="failed-rendition.mp4",
            fails="encoding",
            error="rendition_failed",
            proves="one of five fails; no callback says so: polled",
        ),
        video(
            kind=Kind.LOST,
            source="silent.mp4",
            callbacks=False,
            proves="no callback came: polling ended the encoding",
        ),
        video(
            kind=Kind.DISORDER,
            source="twice.mp4",
            doubled=True,
            proves="callbacks doubled, reordered; archived once",
        ),
        video(
            kind=Kind.DISORDER,
            source="early.mp4",
            proves="called back before its id was known: one job",
        ),
        video(
            kind=Kind.HEALED,
            source="lost.mp4",
            attempts={"upload": 2},
            made=1,
            proves="answer lost; found by its metadata, made once",
        ),
    ),
)
