"""Make openapi.json: GitHub's OpenAPI description, cut to the operations the stand-in knows. Needs the npm package on disk.

    npm pack @octokit/openapi && python tests/github_stand_in/cut.py octokit-openapi-*.tgz

GitHub publishes the description; this package of it is Octokit's, under the MIT licence (openapi.LICENSE, written beside it).
"""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS: dict[str, list[str]] = {
    "/user": ["get"],
    REPOSITORY: ["get"],
    f"{REPOSITORY}/pulls": ["get"],
    f"{REPOSITORY}/pulls/{{pull_number}}": ["get"],
    f"{REPOSITORY}/commits/{{commit_sha}}/pulls": ["get"],
    f"{REPOSITORY}/commits/{{commit_sha}}/comments": ["get", "post"],
    f"{REPOSITORY}/comments/{{comment_id}}": ["patch"],
    f"{REPOSITORY}/issues/{{issue_number}}/comments": ["get", "post"],
    f"{REPOSITORY}/issues/comments/{{comment_id}}": ["get", "patch", "delete"],
    f"{REPOSITORY}/issues/comments/{{comment_id}}/reactions": ["post"],
    f"{REPOSITORY}/statuses/{{sha}}": ["post"],
    f"{REPOSITORY}/commits/{{ref}}/statuses": ["get"],
    f"{REPOSITORY}/compare/{{basehead}}": ["get"],
    f"{REPOSITORY}/actions/runs": ["get"],
    f"{REPOSITORY}/actions/runs/{{run_id}}": ["get"],
    f"{REPOSITORY}/actions/runs/{{run_id}}/attempts/{{attempt_number}}/jobs": ["get"],
    f"{REPOSITORY}/actions/workflows/{{workflow_id}}/runs": ["get"],
    f"{REPOSITORY}/check-runs/{{check_run_id}}/annotations": ["get"],
    f"{REPOSITORY}/actions/runs/{{run_id}}/artifacts": ["get"],
    f"{REPOSITORY}/actions/runs/{{run_id}}/rerun": ["post"],
    f"{REPOSITORY}/actions/runs/{{run_id}}/rerun-failed-jobs": ["post"],
    f"{REPOSITORY}/actions/artifacts": ["get"],
    f"{REPOSITORY}/actions/artifacts/{{artifact_id}}": ["get"],
    f"{REPOSITORY}/actions/artifacts/{{artifact_id}}/{{archive_format}}": ["get"],
    f"{REPOSITORY}/actions/workflows/{{workflow_id}}/dispatches": ["post"],
    f"{REPOSITORY}/collaborators/{{username}}/permission": ["get"],
    f"{REPOSITORY}/rules/branches/{{branch}}": ["get"],
    f"{REPOSITORY}/branches/{{branch}}/protection/required_status_checks": ["get"],
}
# GitHub's own examples, which the stand-in's answers are made from.
EXAMPLES = [
    "artifact",
    "check-annotation-items",
    "commit-comment",
    "commit-comparison",
    "full-repository-default-response",
    "issue-comment",
    "job-paginated",
    "private-user-response-with-public-and-private-profile-information",
    "pull-request",
    "reaction",
    "repository-collaborator-permission-response-if-user-has-admin-permissions",
    "status",
    "status-check-policy",
    "workflow-run",
]
PROSE = {"description", "summary", "externalDocs", "tags", "example", "examples", "title", "deprecated"}


def main(package: Path) -> None:
    with tarfile.open(package) as archive:

        def member(name: str) -> bytes:
            stream = archive.extractfile(f"package/{name}")
            assert stream is not None, name
            return stream.read()

        version = json.loads(member("package.json"))["version"]
        full = json.loads(member("generated/api.github.com.json"))
        licence = member("LICENSE")
    result = cut(full, f"@octokit/openapi {version}")
    (HERE / "openapi.json").write_text(json.dumps(result, sort_keys=True, separators=(",", ":")) + "\n")
    (HERE / "openapi.LICENSE").write_bytes(licence)


def cut(full: dict[str, Any], source: str) -> dict[str, Any]:
    """The operations, what they refer to, and the examples; without prose."""
    paths = {path: {method: without_prose(full["paths"][path][method]) for method in methods} for path, methods in OPERATIONS.items()}
    components: dict[str, Any] = {"schemas": {"basic-error": full["components"]["schemas"]["basic-error"]}}
    pending = [paths, components]
    while pending:
        for section, name in references(pending.pop()):
            if name not in components.setdefault(section, {}):
                components[section][name] = without_prose(full["components"][section][name])
                pending.append(components[section][name])
    components["examples"] = {name: full["components"]["examples"][name] for name in EXAMPLES}
    return {
        "openapi": full["openapi"],
        "info": {
            "title": full["info"]["title"],
            "version": full["info"]["version"],
            "license": full["info"]["license"],
            "x-cut-from": source,
        },
        "servers": [{"url": "https://api.github.com"}],
        "paths": paths,
        "components": components,
    }


def without_prose(node: Any, is_properties: bool = False) -> Any:
    """The node without text for people; a property that happens to be called `description` stays."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if is_properties or (key not in PROSE and not key.startswith("x-"))}
    cleaned = {key: without_prose(value, is_properties=key == "properties" and not is_properties) for key, value in kept.items()}
    if not is_properties and "description" in node and set(node) <= {"description", "content", "headers", "links"}:
        cleaned["description"] = ""  # a response is not valid without one
    return cleaned


def references(node: Any) -> list[tuple[str, str]]:
    """(section, name) of every `#/components/…` reference below a node."""
    if isinstance(node, list):
        return [reference for item in node for reference in references(item)]
    if not isinstance(node, dict):
        return []
    found = [reference for value in node.values() for reference in references(value)]
    if isinstance(target := node.get("$ref"), str):
        _, _, section, name = target.split("/")
        found.append((section, name))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
