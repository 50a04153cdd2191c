"""An ApsaraVideo VOD and its MNS queue to develop against: real paths, signatures and bodies, on loopback."""

from local.platforms.apsaravideo.behaviour import BEHAVIOURS, Behaviour
from local.platforms.apsaravideo.received import ReceivedRequest
from local.platforms.apsaravideo.server import SimulatedApsaraVideo
from local.platforms.courier import Delivery
from local.platforms.knobs import Knobs

__all__ = ["BEHAVIOURS", "Behaviour", "Delivery", "Knobs", "ReceivedRequest", "SimulatedApsaraVideo"]
