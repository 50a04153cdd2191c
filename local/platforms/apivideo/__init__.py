"""An api.video to develop against: its real paths, bodies, signatures and status codes, on loopback."""

from local.platforms.apivideo.behaviour import BEHAVIOURS, Behaviour
from local.platforms.apivideo.gate import Rates, ReceivedRequest
from local.platforms.apivideo.server import SimulatedApiVideo
from local.platforms.apivideo.webhooks import Webhook
from local.platforms.courier import Delivery
from local.platforms.knobs import Knobs

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "Delivery",
    "Knobs",
    "Rates",
    "ReceivedRequest",
    "SimulatedApiVideo",
    "Webhook",
]
