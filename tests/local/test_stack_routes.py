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


def declared() -> dict[str, str]:
    """The function of every route, from the events in template.yaml."""
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": name
        for name, function in of_type("AWS::Serverless::Function").items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def test_every_event_in_the_template_becomes_one_route_to_its_function(body: dict[str, Any]) -> None:
    made = [(route.key, route.function) for route in routes.routes(body)]

    assert sorted(made) == sorted(declared().items())


class ApiGateway:
    """Notes what it is asked to create."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []

    def create_integration(self, **integration: Any) -> dict[str, str]:
        return {"IntegrationId": integration["IntegrationUri"]}

    def create_route(self, **route: Any) -> None:
        self.created.append(route)


def test_a_route_is_created_with_its_functions_real_name(body: dict[str, Any]) -> None:
    api_gateway = ApiGateway()
    names = {name: f"{name}-1a2b" for name in of_type("AWS::Serverless::Function")}

    routes.create(api_gateway, "an-api", body, names)

    created = {route["RouteKey"]: route for route in api_gateway.created}
    assert created["GET /jobs"] == {
        "ApiId": "an-api",
        "RouteKey": "GET /jobs",
        "Target": "integrations/JobsApi-1a2b",
        "AuthorizationType": "NONE",
    }
    assert len(created) == len(declared())
