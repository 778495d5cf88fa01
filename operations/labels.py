"""The labels of everything that a stack makes on Docker."""

PROJECT_LABEL = "itqan.project=itqan"
STACK_KEY = "itqan.stack"


def stack_label(stack: str) -> str:
    """The label of what belongs to one stack."""
    return f"{STACK_KEY}={stack}"
