"""The routes that are made for ministack are those that SAM makes on AWS."""

from typing import Any

import pytest

from local import routes
from tests.cloudformation import of_type
from tests.translation import translated


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    """The OpenAPI body that SAM's transform writes for template.yaml."""
    [api] = [r for r in translated()["Resources"].values() if r["Type"] == "AWS::ApiGatewayV2::Api"]
    found: dict[str, Any] = api["Properties"]["Body"]
    return found


def declared() -> dict[str, tuple[str, bool]]:
    """Function and openness of every route, from the events in template.yaml."""
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": (name, "Auth" in event["Properties"])
        for name, function in of_type("AWS::Serverless::Function").items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def test_every_event_in_the_template_becomes_one_route_to_its_function(body: dict[str, Any]) -> None:
    made = [(route.key, route.function) for route in routes.routes(body)]

    assert sorted(made) == sorted((key, function) for key, (function, _) in declared().items())


def test_only_routes_that_the_template_opens_do_without_the_authorizer(body: dict[str, Any]) -> None:
    open_routes = {route.key for route in routes.routes(body) if route.authorizer is None}

    assert open_routes == {key for key, (_, is_open) in declared().items() if is_open}
    assert open_routes


def test_the_authorizer_is_the_templates_and_asked_every_time(body: dict[str, Any]) -> None:
    [authorizer] = routes.authorizers(body)

    assert authorizer == routes.Authorizer(
        name="ApiKey",
        function="ApiAuthorizer",
        payload_format="2.0",
        simple_responses=True,
        identity_source=("$context.routeKey",),
        cache_seconds=0,
    )


class ApiGateway:
    """Notes what it is asked to create."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []

    def create_authorizer(self, **authorizer: Any) -> dict[str, str]:
        return {"AuthorizerId": f"authorizer of {authorizer['AuthorizerUri']}"}

    def create_integration(self, **integration: Any) -> dict[str, str]:
        return {"IntegrationId": integration["IntegrationUri"]}

    def create_route(self, **route: Any) -> None:
        self.created.append(route)


def test_a_route_is_created_with_its_functions_real_name_and_its_authorizer(body: dict[str, Any]) -> None:
    api_gateway = ApiGateway()
    names = {name: f"{name}-1a2b" for name in of_type("AWS::Serverless::Function")}

    routes.create(api_gateway, "an-api", body, names)

    created = {route["RouteKey"]: route for route in api_gateway.created}
    assert created["GET /jobs"] == {
        "ApiId": "an-api",
        "RouteKey": "GET /jobs",
        "Target": "integrations/JobsApi-1a2b",
        "AuthorizationType": "CUSTOM",
        "AuthorizerId": "authorizer of ApiAuthorizer-1a2b",
    }
    assert created["POST /callbacks/videodb/upload"]["AuthorizationType"] == "NONE"
    assert len(created) == len(declared())
