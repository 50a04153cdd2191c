"""Routes of the HTTP API: ministack's CloudFormation leaves out those that SAM writes into the API's OpenAPI body."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"})


@dataclass(frozen=True)
class Route:
    """`key` is API Gateway's ("POST /jobs"), `function` a logical id."""

    key: str
    function: str
    payload_format: str


def routes(body: Mapping[str, Any]) -> Iterator[Route]:
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            integration = operation["x-amazon-apigateway-integration"]
            yield Route(
                key=f"{'ANY' if method == 'x-amazon-apigateway-any-method' else method.upper()} {path}",
                function=_function(integration["uri"]),
                payload_format=integration["payloadFormatVersion"],
            )


def create(api_gateway: Any, api_id: str, body: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """`names`: what each function is really called, by its logical id."""
    for route in routes(body):
        integration = api_gateway.create_integration(
            ApiId=api_id,
            IntegrationType="AWS_PROXY",
            IntegrationUri=names[route.function],
            PayloadFormatVersion=route.payload_format,
        )
        api_gateway.create_route(
            ApiId=api_id,
            RouteKey=route.key,
            Target=f"integrations/{integration['IntegrationId']}",
            AuthorizationType="NONE",  # each function proves who asks
        )


def _function(uri: Any) -> str:
    """The logical id in the address of an integration, as SAM writes it."""
    match uri:
        case {"Fn::Sub": str(address)} if found := re.search(r"\$\{(\w+)\.Arn\}", address):
            return found[1]
        case _:
            raise ValueError(f"no function in {uri}")
