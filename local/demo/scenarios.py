"""The demo's jobs, by platform."""

from local.demo.apivideo import APIVIDEO
from local.demo.apsaravideo import APSARAVIDEO
from local.demo.scenario import Platform, Scenario
from local.demo.twelvelabs import TWELVELABS
from local.demo.videodb import VIDEODB

PLATFORMS: tuple[Platform, ...] = (VIDEODB, TWELVELABS, APIVIDEO, APSARAVIDEO)

SCENARIOS: tuple[Scenario, ...] = tuple(scenario for platform in PLATFORMS for scenario in platform.scenarios)


def platform_of(scenario: Scenario) -> Platform:
    return next(platform for platform in PLATFORMS if platform.provider == scenario.provider)
