"""A VideoDB to develop against: its real paths, bodies and status codes, on loopback, with faults to choose from."""

from local.platforms.courier import Delivery
from local.platforms.knobs import Knobs
from local.platforms.videodb.api import ReceivedRequest
from local.platforms.videodb.behaviour import BEHAVIOURS, Behaviour
from local.platforms.videodb.server import SimulatedVideoDb

__all__ = ["BEHAVIOURS", "Behaviour", "Delivery", "Knobs", "ReceivedRequest", "SimulatedVideoDb"]
