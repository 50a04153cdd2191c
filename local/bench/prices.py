"""What AWS asks for: list prices of us-east-1 without its free tiers, in US dollars, and what is assumed of times."""

from collections.abc import Mapping
from dataclasses import dataclass

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """`dollars` for `per` of what is counted."""

    dollars: float
    per: float
    of: str
    source: str


PRICES: Mapping[str, Price] = {
    "api_requests": Price(
        dollars=1.00, per=MILLION, of="requests to an HTTP API, of 512 KB at most", source="api-gateway/pricing"
    ),
    "invocations": Price(dollars=0.20, per=MILLION, of="invocations of functions", source="lambda/pricing"),
    "gb_seconds": Price(dollars=0.0000133334, per=1, of="GB-seconds of functions on arm64", source="lambda/pricing"),
    "write_units": Price(dollars=0.625, per=MILLION, of="write units, on demand", source="dynamodb/pricing/on-demand"),
    "read_units": Price(dollars=0.125, per=MILLION, of="read units, on demand", source="dynamodb/pricing/on-demand"),
    "sqs_requests": Price(dollars=0.40, per=MILLION, of="requests to standard queues", source="sqs/pricing"),
    "sqs_fair_requests": Price(
        dollars=0.10, per=MILLION, of="more, for each of them with a message group", source="sqs/pricing"
    ),
    "log_bytes": Price(dollars=0.50, per=1024**3, of="bytes into CloudWatch Logs", source="cloudwatch/pricing"),
    "secret_calls": Price(dollars=0.05, per=10_000, of="calls to Secrets Manager", source="secrets-manager/pricing"),
    "bus_events": Price(
        dollars=1.00, per=MILLION, of="events of 64 KB onto an event bus", source="eventbridge/pricing"
    ),
}
"""The sources are pages of aws.amazon.com. They load their figures by script and could not be read as text on
2026-11-28; the figures are what others quote of them for 2025 and 2026 (DynamoDB: airbyte.com, after the cut of
2024-11-01; SQS with its fair queues: cloudburn.io; HTTP API: apigatewaycost.com; Lambda on arm64: a public note).
Secrets Manager, EventBridge and CloudWatch Logs are from memory alone."""

OWN_MILLISECONDS = 3.0
"""What a request or a message takes without its calls, assumed of Lambda's slower processor (`own_time_us` is what a
callback takes on this machine)."""
CALL_MILLISECONDS: Mapping[str, float] = {"dynamodb": 5.0, "sqs": 8.0, "secretsmanager": 15.0, "events": 10.0}
"""What a call to AWS takes, assumed: AWS promises "single-digit milliseconds" of DynamoDB alone."""
PLATFORM_MILLISECONDS = 300.0
"""What a call to a platform takes, assumed."""


def dollars(counted: Mapping[str, float]) -> float:
    """What all of this costs."""
    return sum(amount * PRICES[name].dollars / PRICES[name].per for name, amount in counted.items())
