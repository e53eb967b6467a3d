"""The admin endpoints in the OpenAPI document: what they really answer has the shapes that are written there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.docs import openapi, openapi_admin
from gateway.keys.shown import AuditPage, Key, KeyDetails, KeyPage, MadeKey
from gateway.records.erasing import Erased
from gateway.reporting.overview import Overview
from gateway.reporting.system_facts import System
from gateway.routes.admin import PREFIX, CreateBody, RotateBody
from tests.unit.access.application import Site, opened


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(tmp_path) as site:
        site.client.headers["x-api-key"] = site.key(scopes=("admin",), name="boss")
        yield site


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return msgspec.json.decode(openapi.encoded())


def is_exactly(answer: Any, kind: type[msgspec.Struct]) -> bool:
    """Whether an answer has the type's fields, all of them and no others."""
    return msgspec.json.decode(msgspec.json.encode(msgspec.convert(answer, kind))) == answer


def test_what_is_answered_has_the_documented_shape(site: Site) -> None:
    made = site.client.post(f"{PREFIX}/keys", json={"name": "ci", "expires_in": "90d"})
    assert (made.status_code, is_exactly(made.json(), MadeKey)) == (201, True)
    key = f"{PREFIX}/keys/{made.json()['id']}"
    assert is_exactly(site.client.get(key).json(), KeyDetails)
    assert is_exactly(site.client.get(f"{PREFIX}/keys").json(), KeyPage)
    rotated = site.client.post(f"{key}/rotate", json={"grace": "1h"})
    assert (rotated.status_code, is_exactly(rotated.json(), MadeKey)) == (201, True)
    assert is_exactly(site.client.post(f"{key}/revoke").json(), Key)
    assert is_exactly(site.client.delete(key).json(), Key)
    assert is_exactly(site.client.post(f"{PREFIX}/erase", json={"before": "2026-11-28"}).json(), Erased)
    assert is_exactly(site.client.get(f"{PREFIX}/audit").json(), AuditPage)
    assert is_exactly(site.client.get(f"{PREFIX}/overview").json(), Overview)
    assert is_exactly(site.client.get(f"{PREFIX}/system").json(), System)
    missing = site.client.get(f"{PREFIX}/keys/key_000000000000")
    assert (missing.status_code, missing.json()) == (404, {"detail": openapi.words.ERROR_DETAILS[404]})


def test_a_field_too_many_or_too_few_is_noticed() -> None:
    key = openapi_admin.EXAMPLES["Key"]
    assert is_exactly(key, Key)
    assert not is_exactly(key | {"digest": "0a1b"}, Key)
    with pytest.raises(msgspec.ValidationError):
        is_exactly({name: value for name, value in key.items() if name != "hint"}, Key)


@pytest.mark.parametrize("name", openapi_admin.EXAMPLES)
def test_the_examples_are_answers_the_types_allow(name: str) -> None:
    kind = next(kind for kind in openapi_admin.SCHEMAS if kind.__name__ == name)
    msgspec.convert(openapi_admin.EXAMPLES[name], kind)


def test_bodies_are_those_the_endpoints_take(document: dict[str, Any]) -> None:
    for path, kind in ((f"{PREFIX}/keys", CreateBody), (f"{PREFIX}/keys/{{key_id}}/rotate", RotateBody)):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": f"#/components/schemas/{kind.__name__}"}
        msgspec.convert(content["example"], kind)
    assert document["components"]["schemas"]["CreateBody"]["additionalProperties"] is False


def test_every_admin_operation_needs_a_key_and_tells_its_errors(document: dict[str, Any]) -> None:
    operations = [
        (path, operation)
        for path, methods in document["paths"].items() if path.startswith(PREFIX)
        for operation in methods.values()
    ]  # fmt: skip
    assert len(operations) == 10
    assert len({operation["operationId"] for _, operation in operations}) == 10
    for path, operation in operations:
        assert operation["security"] == [{"ApiKey": []}]
        assert {"401", "403", "422", "429", "503"} < set(operation["responses"])
        assert ("404" in operation["responses"]) == ("{key_id}" in path)


def test_documented_query_parameters_are_taken_within_their_ranges_and_not_beyond(
    site: Site, document: dict[str, Any]
) -> None:
    for path in (f"{PREFIX}/keys", f"{PREFIX}/audit"):
        for parameter in document["paths"][path]["get"]["parameters"]:
            schema = parameter["schema"]
            if schema["type"] == "integer":
                for value, status in ((schema["maximum"], 200), (schema["maximum"] + 1, 422), (schema["minimum"], 200)):
                    assert site.client.get(path, params={parameter["name"]: value}).status_code == status
            for value in schema.get("enum", []):
                assert site.client.get(path, params={parameter["name"]: value}).status_code == 200
