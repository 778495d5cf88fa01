"""Where the project's plugins answer otherwise than the official ones, on purpose.

Each entry names the case, why, and what is expected instead, step by step: the value replaces the part
of the recorded step, None takes it away. A case that is not listed has to answer as recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

URN = "urn:pulumi:dev::conformance::command:remote:Command::res"


@dataclass(frozen=True)
class Deviation:
    """Why a case differs, and what its steps (by their recorded label) answer instead."""

    reason: str
    steps: dict[str, dict[str, Any]]


def shown(*lines: str) -> list[dict[str, Any]]:
    """The log messages of lines that a remote command prints."""
    return [{"ephemeral": True, "message": line, "severity": "info", "urn": URN} for line in lines]


CONNECTION = {
    "dialErrorLimit": 1,
    "host": "${CONF_SSH_HOST}",
    "hostKey": "<rsa public key>",
    "perDialTimeout": 15,
    "port": "${CONF_SSH_PORT}",
    "privateKey": {"$secret": "${file:CONF_SSH_KEY}"},
    "user": "${CONF_SSH_USER}",
}

COMMAND = {
    "remote-cancel/while-running": Deviation(
        "Ctrl-C has to stop a remote command, not wait for it: the official plugin lets it run to its end, "
        "and shows nothing that later commands print",
        {
            "join long (the command goes on)": {
                "answer": None,
                "error": {
                    "code": "UNKNOWN",
                    "message": "Process exited with status 143 from signal TERM: "
                    'running "echo started; sleep 3; echo finished":\nstarted\n',
                },
            },
            "create of create (after Cancel)": {"logs": shown("after")},
        },
    ),
    "remote-run/custom-timeout": Deviation(
        "the official plugin ignores a custom timeout but loses the lines that are printed after it",
        {"create": {"logs": shown("finished")}},
    ),
    "remote-connect/host-key": Deviation(
        "the official plugin asks the owner of an RSA host key for a signature with SHA-1, which no OpenSSH "
        "since 8.8 gives; the same key signs with SHA-2",
        {
            "create of connection.hostKey, connection.dialErrorLimit, create (rsa)": {
                "error": None,
                "answer": {
                    "id": "<name+8 hex digits>",
                    "properties": {
                        "connection": {"$secret": CONNECTION},
                        "create": "echo fine",
                        "stderr": "",
                        "stdout": "fine",
                    },
                },
                "logs": shown("fine"),
            },
        },
    ),
}

DOCKER: dict[str, Deviation] = {}

DEVIATIONS = {"command": COMMAND, "docker": DOCKER}
