"""What the demo shows of ApsaraVideo VOD: events whose body nothing proves, and which are not quite JSON.

The file name decides what the simulated VOD does with a source (`local.platforms.apsaravideo.behaviour`). The usual
events are the documents' own bytes: keys that end in a space, and of a failure with a comma too many.
"""

from functools import partial

from local.demo.scenario import Kind, Platform, Scenario

upload = partial(Scenario, provider="apsaravideo", plan=("upload_by_url",))

APSARAVIDEO = Platform(
    provider="apsaravideo",
    name="ApsaraVideo VOD",
    steps={"upload_by_url": "upload"},
    signs=True,
    scenarios=(
        upload(
            kind=Kind.WORKS,
            source="lecture.mp4",
            request={"options": {"upload_by_url": {"template_group_id": "VOD_NO_TRANSCODE"}}},
            asked=({"TemplateGroupId": "VOD_NO_TRANSCODE"},),
            made=1,
            proves="fetched by its URL, once; options passed on",
        ),
        upload(
            kind=Kind.FAILS,
            source="private.mp4",
            fails="upload_by_url",
            error="download_failed",
            proves="a documented error, with cause and action",
        ),
        upload(
            kind=Kind.FAILS,
            source="liar.mp4",
            fails="upload_by_url",
            error="download_failed",
            proves="callback says success; VOD was asked: failed",
        ),
        upload(
            kind=Kind.LOST,
            source="silent.mp4",
            callbacks=False,
            proves="no callback came: polling ended the upload",
        ),
        upload(
            kind=Kind.DISORDER,
            source="twice.mp4?reorder=0",  # it has but one callback, which would only wait to be overtaken
            doubled=True,
            proves="callback came twice; archived once",
        ),
        upload(
            kind=Kind.HEALED,
            source="flaky.mp4",
            attempts={"upload_by_url": 3},
            made=1,
            proves="503, 503, accepted: retries healed it",
        ),
    ),
)
