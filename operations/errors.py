"""What can go wrong in an operation; each prints as one clear message, never as a traceback."""

from __future__ import annotations


class OperationError(Exception):
    """An operation did not do what was asked. The message says where, what was found, what to type next."""


class PreparationError(OperationError):
    """This machine lacks something that the stack needs and that could not be installed."""


class ConfigurationError(OperationError):
    """The configuration of the stack is wrong or incomplete; nothing was touched."""


class EngineError(OperationError):
    """The Pulumi engine reported a failure."""


class NoSuchStack(EngineError):
    """The backend has no state of that stack."""


class DockerError(OperationError):
    """The Docker daemon cannot be used, or refused a request."""
