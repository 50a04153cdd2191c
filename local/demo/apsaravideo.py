"""What the demo shows of ApsaraVideo VOD: events whose body nothing proves, and which are not quite JSON.

The file name decides what the simulated VOD does with a source (`local.platforms.apsaravideo.behaviour`). The usual
events are the documents' own bytes: keys that end in a space, and of a failure with a comma too many.
"""

from functools import partial

from local.demo.scenario import Platform, Scenario, Theme

upload = partial(Scenario, provider="apsaravideo", plan=("upload_by_url",))

APSARAVIDEO = Platform(
    provider="apsaravideo",
    name="ApsaraVideo VOD",
    steps={"upload_by_url": "upload"},
    signs=True,
    scenarios=(
        upload(
            theme=Theme.WORKS,
            source="lecture.mp4",
            shows="in the documents' bytes",
            request={"options": {"upload_by_url": {"template_group_id": "VOD_NO_TRANSCODE"}}},
            asked=({"TemplateGroupId": "VOD_NO_TRANSCODE"},),
            callbacks=1,
            made=1,
        ),
        upload(
            theme=Theme.WORKS,
            source="clean.mp4",
            shows="in correct JSON",
            callbacks=1,
        ),
        upload(
            theme=Theme.WORKS,
            source="status-lags.mp4",
            shows="the status comes later",
            callbacks=1,
            proof="the event told success long before VOD's status did; the job waited for the status",
        ),
        upload(
            theme=Theme.WORKS,
            source="fail-then-success.mp4",
            shows="a failure is taken back",
            recovers=True,
            callbacks=2,
            proof="the event told a failure, and then success: it succeeded",
        ),
        upload(
            theme=Theme.FAILS,
            source="private.mp4",
            shows="URLInvalidError",
            fails="upload_by_url",
            error="download_failed",
            callbacks=1,
        ),
        upload(
            theme=Theme.FAILS,
            source="upload-fails.mp4",
            shows="fetched, not stored",
            fails="upload_by_url",
            error="upload_failed",
            callbacks=1,
        ),
        upload(
            theme=Theme.FAILS,
            source="refused.mp4",
            shows="refused at once",
            fails="upload_by_url",
            error="invalid_upload_url",
            made=0,
        ),
        upload(
            theme=Theme.FAILS,
            source="liar.mp4",
            shows="told success, has failed",
            fails="upload_by_url",
            error="download_failed",
            callbacks=1,
            proof="the event told success, as a forger's might; VOD's own status was believed, and it failed",
        ),
        upload(
            theme=Theme.LOST,
            source="silent.mp4",
            shows="no event ever comes",
            callbacks=0,
            proof="not one event came; a check found the upload done",
        ),
        upload(
            theme=Theme.LOST,
            source="garbled.mp4",
            shows="the event is cut in half",
            callbacks=0,
            unreadable=3,
            proof="its unreadable event, sent three times, waits among the dead letters; a check did its work",
        ),
        upload(
            theme=Theme.DISORDER,
            source="twice.mp4",
            shows="the event comes twice",
            callbacks=1,
            copies=2,
        ),
        upload(
            theme=Theme.DISORDER,
            source="early.mp4",
            shows="before the submit's answer",
            callbacks=1,
            proof="its event came before anybody knew the upload's id; there is one job of it, and no other",
        ),
        upload(
            theme=Theme.FAULTS,
            source="throttled.mp4",
            shows="429: come again in 1 s",
            attempts={"upload_by_url": 2},
            made=1,
        ),
        upload(
            theme=Theme.FAULTS,
            source="flaky.mp4",
            shows="503, 503, then accepted",
            attempts={"upload_by_url": 3},
            made=1,
        ),
    ),
)
