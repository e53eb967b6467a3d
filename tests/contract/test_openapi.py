"""The OpenAPI document: valid, the same as the snapshot, and true to the application and the API reference."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from gateway.app import ANSWERS, create_app
from gateway.docs import openapi, openapi_words, recipes
from gateway.endpoints import ENDPOINTS
from gateway.params import DetectParams, MaskParams, parse_params
from gateway.routes.health import HealthResponse
from gateway.serialise import DetectResponse
from shared.errors import BadParameter, ClientError, FaceApiError, NotFound, Overloaded
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = Path(__file__).with_name("openapi.json")
PICTURE_PATHS = ("/api/v1/detect", "/api/v1/mask")

#: name → (type, default, least, most), as the API reference's tables say.
DETECT = {
    "confidence": ("number", 0.5, 0.01, 1.0),
    "nms_threshold": ("number", 0.4, 0.01, 1.0),
    "max_faces": ("integer", 0, 0, None),
}
MASK = DETECT | {
    "strength": ("integer", 199, 1, 999),
    "padding": ("number", 0.15, 0.0, 2.0),
    "quality": ("integer", 95, 1, 100),
}
MASK_HEADERS = {
    "X-Request-Id",
    "X-Face-Count",
    "X-Inference-Ms",
    "X-Total-Ms",
    "X-Model",
    "X-Image-Width",
    "X-Image-Height",
    "X-Blur-Method",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return msgspec.json.decode(openapi.encoded())


def operation(document: dict[str, Any], path: str) -> dict[str, Any]:
    return document["paths"][path]["post"]


def query(document: dict[str, Any], path: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each["schema"] for each in operation(document, path)["parameters"] if each["in"] == "query"}


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_the_document_is_the_snapshot(document: dict[str, Any]) -> None:
    assert document == msgspec.json.decode(SNAPSHOT.read_bytes()), (
        "the API has changed; if that is meant: python -m gateway.docs.openapi > tests/contract/openapi.json"
    )


def test_the_command_prints_the_document(capsys: pytest.CaptureFixture[str], document: dict[str, Any]) -> None:
    assert openapi.main() == 0
    assert msgspec.json.decode(capsys.readouterr().out) == document


def routes() -> Iterator[tuple[str, str]]:
    """(path, method) of the application's routes for programs."""
    for route in create_app(Settings()).routes:
        if not isinstance(route, Route):
            continue
        if route.path.startswith("/api/") or route.path in ("/health", "/readyz", "/livez"):
            yield from ((route.path, method) for method in (route.methods or set()) - {"HEAD"})


def test_documented_and_served_endpoints_are_the_same(document: dict[str, Any]) -> None:
    documented = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert documented == set(routes())


def test_every_answer_has_its_row_and_what_has_none_is_no_endpoint() -> None:
    assert list(ANSWERS) == [row.name for row in ENDPOINTS]
    served = {route.path for route in create_app(Settings()).routes if isinstance(route, Route)}
    assert {row.path for row in ENDPOINTS} <= served


@pytest.mark.parametrize(("path", "expected"), [("/api/v1/detect", DETECT), ("/api/v1/mask", MASK)])
def test_parameters_have_the_references_types_ranges_and_defaults(
    document: dict[str, Any], path: str, expected: dict[str, Any]
) -> None:
    for name, (kind, default, least, most) in expected.items():
        schema = query(document, path)[name]
        schema |= schema.get("anyOf", [{}])[0]  # a number, beside words of ours
        assert (schema["type"], schema["default"], schema["minimum"]) == (kind, default, least), name
        assert most is None or schema["maximum"] == most, name


def test_methods_and_formats_come_in_the_references_order(document: dict[str, Any]) -> None:
    schemas = query(document, "/api/v1/mask")
    assert schemas["method"]["enum"][:4] == ["gaussian", "pixelate", "solid", "elliptical"]
    assert schemas["format"]["enum"][:3] == ["jpeg", "png", "webp"]


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/detect", DetectParams), ("/api/v1/mask", MaskParams)])
def test_every_accepted_parameter_is_documented(
    document: dict[str, Any], path: str, kind: type[msgspec.Struct]
) -> None:
    assert tuple(query(document, path)) == kind.__struct_fields__


@pytest.mark.parametrize("path", PICTURE_PATHS)
def test_a_picture_is_sent_as_a_form_or_as_the_body(document: dict[str, Any], path: str) -> None:
    content = operation(document, path)["requestBody"]["content"]
    assert next(iter(content)) == "multipart/form-data"  # what the pages offer first
    form = content["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    assert form["properties"]["image"]["contentMediaType"] == "application/octet-stream"  # a file picker
    assert {"image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff"} < set(content)


def errors_of_callers(kind: type[FaceApiError] = FaceApiError) -> Iterator[type[FaceApiError]]:
    for child in kind.__subclasses__():
        yield child
        yield from errors_of_callers(child)


@pytest.mark.parametrize("path", PICTURE_PATHS)
def test_every_status_of_the_house_is_documented_with_a_detail(document: dict[str, Any], path: str) -> None:
    statuses = {str(kind.status) for kind in errors_of_callers() if kind is not NotFound}
    responses = operation(document, path)["responses"]
    asked = {"400", "401", "403", "408", "413", "415", "422", "429", "503"}
    assert statuses | asked == set(responses) - {"200"}
    for status in asked:
        answer = document["components"]["responses"][f"Error{status}"]
        assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
        assert ("Retry-After" in answer["headers"]) == (status in {"429", "503"})


def test_the_details_shown_are_what_the_service_says() -> None:
    with pytest.raises(BadParameter) as caught:
        parse_params(DetectParams, [("confidence", "2")], [])
    assert str(caught.value) == openapi_words.ERROR_DETAILS[422]
    assert str(Overloaded()) == openapi_words.ERROR_DETAILS[503]
    assert issubclass(BadParameter, ClientError)


def test_mask_documents_the_references_headers(document: dict[str, Any]) -> None:
    assert set(operation(document, "/api/v1/mask")["responses"]["200"]["headers"]) >= MASK_HEADERS


@pytest.mark.parametrize("name", ["detect", "mask"])
def test_every_header_an_endpoint_sets_is_documented(document: dict[str, Any], name: str) -> None:
    code = (ROOT / "gateway/routes" / f"{name}.py").read_text()
    named = set(re.findall(r'"(X-[A-Za-z-]+)"', code))
    assert named
    assert named <= set(operation(document, f"/api/v1/{name}")["responses"]["200"]["headers"])


@pytest.mark.parametrize("path", PICTURE_PATHS)
def test_detect_and_mask_need_a_key_and_health_does_not(document: dict[str, Any], path: str) -> None:
    assert operation(document, path)["security"] == [{"ApiKey": []}]
    assert document["components"]["securitySchemes"]["ApiKey"]["name"] == "X-API-Key"
    assert document["paths"]["/health"]["get"]["security"] == []


def test_the_examples_are_answers_the_types_allow() -> None:
    msgspec.convert(openapi_words.DETECT_EXAMPLE, DetectResponse)
    msgspec.convert(openapi_words.HEALTH_EXAMPLE, HealthResponse)
    assert list(openapi_words.HEALTH_EXAMPLE) == list(HealthResponse.__struct_fields__)


def test_each_endpoint_has_samples_in_four_languages_and_the_other_recipes_are_a_chapter(
    document: dict[str, Any],
) -> None:
    for path in ("/api/v1/detect", "/api/v1/mask", "/health"):
        (operation,) = document["paths"][path].values()
        assert [sample["label"] for sample in operation["x-codeSamples"]] == ["curl", "Python", "JavaScript", "C#"]
    (chapter,) = [tag["description"] for tag in document["tags"] if tag["name"] == "Recipes"]
    assert chapter.count("```") == 2 * 4 * len(recipes.TOPICS)


def test_the_server_is_relative_so_any_host_and_prefix_works(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["."]


def test_the_version_is_the_projects() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == openapi.VERSION


def test_what_schemathesis_is_told_of_single_operations_names_them(document: dict[str, Any]) -> None:
    told = tomllib.loads((ROOT / "tests" / "schemathesis.toml").read_text())["operations"]
    known = {each.get("operationId") for path in document["paths"].values() for each in path.values()}
    assert {name for each in told for name in each["include-operation-id"]} <= known
