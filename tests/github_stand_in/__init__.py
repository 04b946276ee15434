"""A stand-in for GitHub's REST API that keeps state and checks every request and answer against GitHub's OpenAPI description.

See README.md for how a test uses it.
"""

from github_stand_in.server import Exchange, StandIn
from github_stand_in.state import BOT, WORKFLOW_PERMISSIONS, Token

__all__ = ["BOT", "WORKFLOW_PERMISSIONS", "Exchange", "StandIn", "Token"]
