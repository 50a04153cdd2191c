"""The secret of TwelveLabs' webhook. The webhook itself is made in TwelveLabs' dashboard: there is no API for it."""

from local.commands import StackError
from ops.webhooks.deployment import Deployment

DASHBOARD = "https://playground.twelvelabs.io/dashboard/integrations/webhooks"
CURRENT, PREVIOUS = "webhook", "webhook_previous"


def is_stored(deployment: Deployment) -> bool:
    return bool(deployment.secret.read().get(CURRENT))


def store_secret(deployment: Deployment, webhook_secret: str) -> bool:
    """Stores it as the current one; an earlier one still holds, as the previous one. False: it was stored already."""
    new = webhook_secret.strip()  # a line break comes with many a copied secret
    if not (new.isascii() and new.isprintable() and " " not in new and new):
        raise StackError("WEBHOOK_SECRET is no secret: it must be printable characters without blanks, like whs_...")
    earlier = deployment.secret.read().get(CURRENT)
    if earlier == new:
        return False
    deployment.secret.add({CURRENT: new} | ({PREVIOUS: earlier} if earlier else {}))
    return True
