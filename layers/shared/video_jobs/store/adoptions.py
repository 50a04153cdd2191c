"""How many jobs one signature may have made for work that was started elsewhere.

Whoever has seen one of VOD's callbacks can send other bodies with its headers while they are fresh, for the signature
does not cover the body. All that VOD itself sends in one second has the same signature, too.
"""

from video_jobs import clock, versions
from video_jobs.aws import clients
from video_jobs.store import table

MOST = 20
_KEPT_SECONDS = 86400


def is_allowed(signature: str | None) -> bool:
    """Count one more adoption; False if there were too many. Without a signature a person has asked for it (replay).

    Raises NewerVersionError.
    """
    if signature is None:
        return True
    request = {
        "TableName": table.name(),
        "Key": table.to_wire({"pk": f"SIGNATURE#{signature}", "sk": "SIGNATURE"}),
        "UpdateExpression": "SET expires_at = :expiry, #version = :known ADD adoptions :one",
        "ConditionExpression": "attribute_not_exists(pk) OR (adoptions < :most AND #version <= :known)",
        "ExpressionAttributeNames": {"#version": versions.FIELD},
        "ExpressionAttributeValues": table.to_wire(
            {
                ":one": 1,
                ":most": MOST,
                ":expiry": clock.now() // clock.SECOND + _KEPT_SECONDS,
                ":known": versions.ITEMS["signature"],
            }
        ),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    try:
        table.insisting(lambda: clients.dynamodb().update_item(**request))  # type: ignore[arg-type]
    except clients.dynamodb().exceptions.ConditionalCheckFailedException as error:
        table.to_plain(error.response.get("Item", {}))  # type: ignore[arg-type]
        return False
    return True
