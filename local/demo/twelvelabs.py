"""What the demo shows of TwelveLabs: both plans, and the documented errors.

The file name decides what the simulated TwelveLabs does with a source (`local.platforms.twelvelabs.behaviour`). Its
indexed assets call nobody back, as no document says that they do; its tasks do.
"""

from functools import partial

from local.demo.scenario import Platform, Scenario, Theme

INDEX = "62a0906d47f5678267ec10a6"
ASSET = {"options": {"index_id": INDEX}}
TASK = {"options": {"index_id": INDEX}, "plan": "task"}

of_asset = partial(Scenario, provider="twelvelabs", plan=("asset", "indexed_asset"), request=ASSET)
of_task = partial(Scenario, provider="twelvelabs", plan=("task",), request=TASK)

TWELVELABS = Platform(
    provider="twelvelabs",
    name="TwelveLabs",
    steps={"asset": "asset", "indexed_asset": "indexing", "task": "task"},
    signs=True,
    scenarios=(
        of_asset(
            theme=Theme.WORKS,
            source="lecture.mp4",
            shows="asset, indexed: by checks",
            request={"options": {"index_id": INDEX, "asset": {"enable_hls": False, "user_metadata": {"term": 2}}}},
            asked=({"method": "url", "enable_hls": "false", "user_metadata": '{"term": 2}'},),
            callbacks=0,
            made=1,
        ),
        of_task(
            theme=Theme.WORKS,
            source="course.mp4",
            shows="the task plan: a webhook",
            asked=({"index_id": INDEX},),
            callbacks=1,
            proof="a signed webhook told the task's end; its video was asked for, which the webhook does not name",
        ),
        of_asset(
            theme=Theme.FAILS,
            source="video_resolution_too_low.mp4",
            shows="refused by the index",
            fails="indexed_asset",
            error="video_resolution_too_low",
        ),
        of_asset(
            theme=Theme.FAILS,
            source="resolution_too_high.mp4",
            shows="refused by the index",
            fails="indexed_asset",
            error="video_resolution_too_high",
        ),
        of_task(
            theme=Theme.FAILS,
            source="invalid_aspect_ratio.mp4",
            shows="refused at once",
            fails="task",
            error="video_resolution_invalid_aspect_ratio",
        ),
        of_asset(
            theme=Theme.FAILS,
            source="video_duration_too_short.mp4",
            shows="refused by the index",
            fails="indexed_asset",
            error="video_duration_too_short",
        ),
        of_task(
            theme=Theme.FAILS,
            source="video_duration_too_long.mp4",
            shows="refused at once",
            fails="task",
            error="video_duration_too_long",
        ),
        of_task(
            theme=Theme.FAILS,
            source="video_file_broken.mp4",
            shows="refused at once",
            fails="task",
            error="video_file_broken",
        ),
        of_asset(
            theme=Theme.FAILS,
            source="video_filesize_too_large.mp4",
            shows="refused with 413",
            fails="asset",
            error="video_filesize_too_large",
        ),
        of_asset(
            theme=Theme.FAILS,
            source="usage_limit_exceeded.mp4",
            shows="no free credit is left",
            fails="indexed_asset",
            error="usage_limit_exceeded",
        ),
        of_asset(
            theme=Theme.FAILS,
            source="corrupt.mp4",
            shows="an asset fails later",
            fails="asset",
            error="asset_failed",
        ),
        of_task(
            theme=Theme.FAILS,
            source="index-fails.mp4",
            shows="told; the reason is asked",
            fails="task",
            error="task_failed",
            callbacks=1,
        ),
        of_task(
            theme=Theme.LOST,
            source="silent.mp4",
            shows="no webhook ever comes",
            callbacks=0,
            proof="not one webhook came; a check found out how the task ended",
        ),
        of_task(
            theme=Theme.DISORDER,
            source="twice.mp4",
            shows="the webhook comes twice",
            callbacks=1,
            copies=2,
        ),
        of_task(
            theme=Theme.DISORDER,
            source="early.mp4",
            shows="before the submit's answer",
            callbacks=1,
            proof="its webhook came before anybody knew the task's id; there is one job of it, and no other",
        ),
        of_asset(
            theme=Theme.FAULTS,
            source="throttled.mp4",
            shows="429: come again in 1 s",
            attempts={"asset": 2},
        ),
        of_asset(
            theme=Theme.FAULTS,
            source="lost.mp4",
            shows="both answers are lost",
            attempts={"asset": 2, "indexed_asset": 2},
            made=1,
            proof="the answers to both submits were lost; thanks to Idempotency-Key there is one asset, indexed once",
        ),
    ),
)
