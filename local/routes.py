"""Routes of the HTTP API: ministack's CloudFormation leaves out those that SAM writes into the API's OpenAPI body."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method"})


@dataclass(frozen=True)
class Authorizer:
    name: str
    function: str
    payload_format: str
    simple_responses: bool
    identity_source: tuple[str, ...]
    cache_seconds: int


@dataclass(frozen=True)
class Route:
    """`key` is API Gateway's ("POST /jobs"), `function` a logical id, `authorizer` a name; None lets everybody in."""

    key: str
    function: str
    payload_format: str
    authorizer: str | None


def authorizers(body: Mapping[str, Any]) -> Iterator[Authorizer]:
    schemes = body.get("components", {}).get("securitySchemes", {})
    for name, scheme in schemes.items():
        settings = scheme["x-amazon-apigateway-authorizer"]
        yield Authorizer(
            name=name,
            function=_function(settings["authorizerUri"]),
            payload_format=settings["authorizerPayloadFormatVersion"],
            simple_responses=settings.get("enableSimpleResponses", False),
            identity_source=tuple(settings.get("identitySource") or ()),
            cache_seconds=settings.get("authorizerResultTtlInSeconds", 300),
        )


def routes(body: Mapping[str, Any]) -> Iterator[Route]:
    known = {authorizer.name for authorizer in authorizers(body)}  # not NONE, which SAM writes for open routes
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            integration = operation["x-amazon-apigateway-integration"]
            required = {name for requirement in operation.get("security", ()) for name in requirement}
            yield Route(
                key=f"{'ANY' if method == 'x-amazon-apigateway-any-method' else method.upper()} {path}",
                function=_function(integration["uri"]),
                payload_format=integration["payloadFormatVersion"],
                authorizer=next(iter(required & known), None),
            )


def create(api_gateway: Any, api_id: str, body: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """`names`: what each function is really called, by its logical id."""
    authorizer_ids = {
        authorizer.name: api_gateway.create_authorizer(
            ApiId=api_id,
            Name=authorizer.name,
            AuthorizerType="REQUEST",
            AuthorizerUri=names[authorizer.function],
            AuthorizerPayloadFormatVersion=authorizer.payload_format,
            AuthorizerResultTtlInSeconds=authorizer.cache_seconds,
            EnableSimpleResponses=authorizer.simple_responses,
            IdentitySource=list(authorizer.identity_source),
        )["AuthorizerId"]
        for authorizer in authorizers(body)
    }
    for route in routes(body):
        integration = api_gateway.create_integration(
            ApiId=api_id,
            IntegrationType="AWS_PROXY",
            IntegrationUri=names[route.function],
            PayloadFormatVersion=route.payload_format,
        )
        authorization = (
            {"AuthorizationType": "CUSTOM", "AuthorizerId": authorizer_ids[route.authorizer]}
            if route.authorizer
            else {"AuthorizationType": "NONE"}
        )
        api_gateway.create_route(
            ApiId=api_id, RouteKey=route.key, Target=f"integrations/{integration['IntegrationId']}", **authorization
        )


def _function(uri: Any) -> str:
    """The logical id in the address of an integration or authorizer, as SAM writes the two."""
    match uri:
        case {"Fn::Sub": [_, {"__FunctionArn__": {"Fn::GetAtt": [name, "Arn"]}}]}:
            return str(name)
        case {"Fn::Sub": str(address)} if found := re.search(r"\$\{(\w+)\.Arn\}", address):
            return found[1]
        case _:
            raise ValueError(f"no function in {uri}")
