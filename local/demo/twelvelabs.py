"""What the demo shows of TwelveLabs, with both plans.

The file name decides what the simulated TwelveLabs does with a source (`local.platforms.twelvelabs.behaviour`). Its
indexed assets call nobody back, as no document says that they do; its tasks do.
"""

from functools import partial

from local.demo.scenario import Kind, Platform, Scenario

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
            kind=Kind.WORKS,
            source="lecture.mp4",
            request={"options": {"index_id": INDEX, "asset": {"enable_hls": False, "user_metadata": {"term": 2}}}},
            asked=({"method": "url", "enable_hls": "false"},),  # its metadata have our mark, too
            made=1,
            proves="uploaded and indexed once; options passed on",
        ),
        of_asset(
            kind=Kind.FAILS,
            source="resolution_too_high.mp4",
            fails="indexed_asset",
            error="video_resolution_too_high",
            proves="the index refuses it, with cause and action",
        ),
        of_task(
            kind=Kind.LOST,
            source="silent.mp4",
            callbacks=False,
            proves="no callback came: polling ended the task",
        ),
        of_task(
            kind=Kind.LOST,
            source="garbled.mp4",
            callbacks=False,
            unreadable=True,
            proves="cut callback: a dead letter, and polling",
        ),
        of_task(
            kind=Kind.DISORDER,
            source="twice.mp4?reorder=0",  # it has but one callback, which would only wait to be overtaken
            doubled=True,
            proves="signed callback came twice; archived once",
        ),
        of_asset(
            kind=Kind.HEALED,
            source="lost.mp4",
            attempts={"asset": 2, "indexed_asset": 2},
            made=1,
            proves="answers of both submits lost; made only once",
        ),
    ),
)
