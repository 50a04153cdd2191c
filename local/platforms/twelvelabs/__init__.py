"""A TwelveLabs to develop against: its real paths, bodies and status codes, on loopback, with faults to choose from."""

from local.platforms.courier import Delivery
from local.platforms.knobs import Knobs
from local.platforms.twelvelabs.api import ReceivedRequest
from local.platforms.twelvelabs.behaviour import BEHAVIOURS, Behaviour
from local.platforms.twelvelabs.forms import UploadedFile
from local.platforms.twelvelabs.server import SimulatedTwelveLabs

__all__ = ["BEHAVIOURS", "Behaviour", "Delivery", "Knobs", "ReceivedRequest", "SimulatedTwelveLabs", "UploadedFile"]
