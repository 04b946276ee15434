"""Which repository on GitHub a Git remote is, and where its API is. A token goes nowhere else."""

from __future__ import annotations

import pytest

from mlgate.forge.settings import Hosted, hosted

ENTERPRISE = {"GH_HOST": "git.example.org"}


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://github.com/octo/models.git", {}, Hosted("octo/models", "https://api.github.com")),
        ("https://github.com/octo/models", {}, Hosted("octo/models", "https://api.github.com")),
        ("https://x:token@github.com/octo/models.git/", {}, Hosted("octo/models", "https://api.github.com")),
        ("git@github.com:octo/models.git", {}, Hosted("octo/models", "https://api.github.com")),
        ("ssh://git@ssh.github.com:443/octo/models.git", {}, Hosted("octo/models", "https://api.github.com")),
        ("git@git.example.org:octo/models.git", ENTERPRISE, Hosted("octo/models", "https://git.example.org/api/v3")),
        (
            "https://git.example.org/octo/models.git",
            {"GITHUB_SERVER_URL": "https://git.example.org", "GITHUB_API_URL": "https://git.example.org/rest"},
            Hosted("octo/models", "https://git.example.org/rest"),
        ),
        ("git@git.example.org:octo/models.git", {}, None),
        ("https://github.com.example.org/octo/models.git", {}, None),
        ("https://notgithub.com/octo/models.git", ENTERPRISE, None),
        ("https://github.com/octo", {}, None),
        ("/srv/git/models.git", {}, None),
        ("../models.git", {}, None),
    ],
)
def test_where_a_repository_is(url: str, environ: dict[str, str], expected: Hosted | None) -> None:
    assert hosted(url, environ) == expected
