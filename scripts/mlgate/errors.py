"""The errors a user can cause or meet, each with its exit code. The CLI turns them into one clear line; nothing else prints."""

from typing import ClassVar


class MlgateError(Exception):
    """A condition that ends a stage with a message for the user. The message says where, what was expected, what to do."""

    exit_code: ClassVar[int]


class InputError(MlgateError):
    """Configuration or input is wrong: the user has to change something (exit 2)."""

    exit_code = 2


class InfrastructureError(MlgateError):
    """Something outside the repository failed: network, remote, server, disk. A retry may help (exit 3)."""

    exit_code = 3


class RefusedError(InfrastructureError):
    """The token may not do what was asked. Where the user did not ask for it by name, the caller may do without."""
