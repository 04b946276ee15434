"""GitHub's OpenAPI description as a judge: which operation a request is, and whether request and answer are as described."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from jsonschema import Draft4Validator
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

HOST = "https://api.github.com"
MULTI_SEGMENT = {"ref", "sha"}  # x-multi-segment in the description: `heads/x` is one value


@dataclass(frozen=True)
class Operation:
    """A described operation that a request was found to be."""

    method: str
    pattern: str
    values: dict[str, str]

    @property
    def quoted_path(self) -> str:
        """The path with each value as one segment, which is what openapi-core's router can read."""
        return re.sub(r"\{(\w+)\}", lambda match: quote(self.values[match[1]], safe=""), self.pattern)


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_bytes())
    return loaded


@cache
def _openapi() -> OpenAPI:
    return OpenAPI.from_dict(document())


@cache
def _routes() -> list[tuple[str, str, re.Pattern[str]]]:
    """(method, pattern, expression), the ones with fewest variables first."""

    def expression(pattern: str) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", pattern)
        names = [f"(?P<{part}>{'.+' if part in MULTI_SEGMENT else '[^/]+'})" if i % 2 else re.escape(part) for i, part in enumerate(parts)]
        return re.compile("".join(names))

    routes = [(method.upper(), pattern, expression(pattern)) for pattern, item in document()["paths"].items() for method in item]
    return sorted(routes, key=lambda route: route[1].count("{"))


def find(method: str, path: str) -> Operation | None:
    """The described operation of a request; None where there is none in the cut."""
    for described_method, pattern, expression in _routes():
        if described_method == method and (match := expression.fullmatch(path)):
            return Operation(method, pattern, {name: unquote(value) for name, value in match.groupdict().items()})
    return None


def request_violations(operation: Operation, query: Mapping[str, str], body: bytes, content_type: str) -> list[str]:
    """What is wrong with a request: values as described, and no query parameter or body key that GitHub does not know."""
    request = _request(operation, query, body, content_type)
    found = [_reason(error) for error in _openapi().iter_request_errors(request)]
    described = document()["paths"][operation.pattern][operation.method.lower()]
    known = {parameter["name"] for parameter in map(_resolved, described.get("parameters", [])) if parameter["in"] == "query"}
    found += [f"unknown query parameter '{name}'" for name in query if name not in known]
    schema = described.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body and schema is None:
        found.append("a body where none is described")
    if body and schema is not None and "properties" in schema:
        try:
            found += [f"unknown key '{key}' in the body" for key in json.loads(body) if key not in schema["properties"]]
        except ValueError:
            found.append("the body is no JSON")
    return found


def answer_violations(
    operation: Operation, query: Mapping[str, str], body: bytes, content_type: str, status: int, headers: Mapping[str, str], answer: bytes
) -> list[str]:
    """What is wrong with an answer. An error status the description leaves out must at least be a `basic-error`."""
    described = document()["paths"][operation.pattern][operation.method.lower()]["responses"]
    if status >= 400 and str(status) not in described:
        schema = document()["components"]["schemas"]["basic-error"]
        return [error.message for error in Draft4Validator(schema).iter_errors(json.loads(answer))]
    response = MockResponse(answer, status, dict(headers), headers.get("Content-Type", "application/json").split(";")[0])
    return [_reason(error) for error in _openapi().iter_response_errors(_request(operation, query, body, content_type), response)]


def _request(operation: Operation, query: Mapping[str, str], body: bytes, content_type: str) -> MockRequest:
    return MockRequest(
        HOST,
        operation.method,
        operation.quoted_path,
        args=dict(query),
        view_args=dict(operation.values),
        data=body,
        content_type=content_type or "application/json",
    )


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if reference := node.get("$ref"):
        _, _, section, name = reference.split("/")
        resolved: dict[str, Any] = document()["components"][section][name]
        return resolved
    return node


def _reason(error: BaseException) -> str:
    """What is wrong, on one line: the schema's errors where there are some, else the innermost cause."""
    while error.__cause__ is not None and not getattr(error, "schema_errors", None):
        error = error.__cause__
    reasons = [f"{'.'.join(map(str, inner.absolute_path))}: {inner.message[:200]}" for inner in getattr(error, "schema_errors", ())]
    return " ".join("; ".join(reasons or [str(error)]).split())[:600]
