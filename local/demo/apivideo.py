"""What the demo shows of api.video: encodings that are told by parts, and failures that nothing tells.

The file name decides what the simulated api.video does with a source (`local.platforms.apivideo.behaviour`). A source
of 720p, the usual one, is encoded to HLS at 240p, 360p, 480p and 720p, and to an MP4: five callbacks.
"""

from functools import partial

from local.demo.scenario import Platform, Scenario, Theme

encoded = partial(
    Scenario, provider="apivideo", plan=("upload", "encoding"), told={"upload": "submit", "encoding": "check"}
)
refused = partial(Scenario, provider="apivideo", plan=("upload", "encoding"))

APIVIDEO = Platform(
    provider="apivideo",
    name="api.video",
    steps={"upload": "upload", "encoding": "encoding"},
    signs=True,
    scenarios=(
        encoded(
            theme=Theme.WORKS,
            source="lecture.mp4",
            shows="720p: five webhooks",
            request={"options": {"upload": {"title": "Lecture 1", "tags": ["autumn"]}}},
            asked=({"title": "Lecture 1", "tags": ["autumn"]},),
            callbacks=5,
            proof="its five renditions were told one by one; then api.video was asked, and the encoding was done",
        ),
        encoded(
            theme=Theme.WORKS,
            source="mp4-first.mp4",
            shows="the MP4 is the first",
            callbacks=5,
        ),
        encoded(
            theme=Theme.WORKS,
            source="no-mp4.mp4",
            shows="no MP4: four webhooks",
            callbacks=4,
        ),
        encoded(
            theme=Theme.WORKS,
            source="new-quality.mp4",
            shows="1440p, in no document",
            callbacks=7,
        ),
        encoded(
            theme=Theme.WORKS,
            source="upper-case.mp4",
            shows="webhooks say HLS and MP4",
            callbacks=5,
        ),
        encoded(
            theme=Theme.WORKS,
            source="transcribed.mp4",
            shows="captions: told, ignored",
            callbacks=5,
            ignored=1,
            proof="video.caption.generated was ignored by its step, and archived with its job",
        ),
        refused(
            theme=Theme.WORKS,
            source="stuck-rendition.mp4",
            shows="playable at 80 %; canceled",
            callbacks=4,
            stays_at=0.8,
            proof="playable, with 4 of 5 renditions done, it was seen to wait for the last; DELETE canceled it",
        ),
        encoded(
            theme=Theme.FAILS,
            source="failed-rendition.mp4",
            shows="one of five fails, untold",
            fails="encoding",
            error="rendition_failed",
            callbacks=4,
            proof="no callback tells that a rendition has failed; a check found it",
        ),
        encoded(
            theme=Theme.FAILS,
            source="all-failed.mp4",
            shows="all fail, and nobody tells",
            fails="encoding",
            error="encoding_failed",
            callbacks=0,
        ),
        refused(
            theme=Theme.FAILS,
            source="refused.mp4",
            shows="400 with its problems",
            fails="upload",
            error="invalid_attribute",
            made=0,
        ),
        encoded(
            theme=Theme.LOST,
            source="silent.mp4",
            shows="no webhook ever comes",
            callbacks=0,
            proof="not one webhook came; a check found the video encoded",
        ),
        encoded(
            theme=Theme.DISORDER,
            source="twice.mp4",
            shows="twice, and out of order",
            callbacks=5,
            copies=2,
        ),
        encoded(
            theme=Theme.DISORDER,
            source="early.mp4",
            shows="before the submit's answer",
            callbacks=5,
            proof="all webhooks came before anybody knew the video's id; there is one job of it, and no other",
        ),
        encoded(
            theme=Theme.FAULTS,
            source="throttled.mp4",
            shows="429: come again in 1 s",
            attempts={"upload": 2},
        ),
        encoded(
            theme=Theme.FAULTS,
            source="lost.mp4",
            shows="the answer is lost",
            attempts={"upload": 2},
            made=1,
            proof="the answer to its submit was lost; the video was found again by its metadata, not made twice",
        ),
    ),
)
