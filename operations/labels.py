"""The labels of everything that a stack makes on Docker."""

PROJECT_LABEL = "itqan.project=itqan"
STACK_KEY = "itqan.stack"
# Only of the copies of branches: a digest of the backend that has their states.
BACKEND_KEY = "itqan.backend"


def stack_label(stack: str) -> str:
    """The label of what belongs to one stack."""
    return f"{STACK_KEY}={stack}"
