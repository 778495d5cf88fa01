"""The way back from a plugin to the engine that started it: log messages."""

import threading
from typing import Any

import grpc

from tools.plugins.common.protobuf import bare_packages

with bare_packages():
    from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Engine:
    """The pulumirpc.Engine service at an address; connected when first needed.

    Args:
        address: host:port, empty if the plugin was started by hand (messages are dropped then until
            Attach or Handshake names one).
    """

    def __init__(self, address: str = "") -> None:
        self._lock = threading.Lock()
        self._address = address
        self._stub: Any = None

    def connect(self, address: str) -> None:
        """Use the engine at another address from now on; an empty one changes nothing."""
        with self._lock:
            if address and address != self._address:
                self._address, self._stub = address, None

    def log(self, severity: str, text: str, urn: str = "", ephemeral: bool = False) -> None:
        """Show a message.

        Args:
            severity: debug, info, warning or error.
            text: the message; bytes that are not UTF-8 are replaced.
            urn: of the resource it is about.
            ephemeral: shown while the operation runs, not kept in the history.
        """
        stub = self._connected()
        if stub is None:
            return
        text = text.encode(errors="surrogateescape").decode(errors="replace")
        try:
            stub.Log(
                engine_pb2.LogRequest(
                    severity=engine_pb2.LogSeverity.Value(severity.upper()),
                    message=text,
                    urn=urn,
                    ephemeral=ephemeral,
                )
            )
        except grpc.RpcError as error:
            # The engine may end before a command that it cancelled has said its last line.
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise

    def _connected(self) -> Any:
        with self._lock:
            if self._stub is None and self._address:
                channel = grpc.insecure_channel(self._address, options=UNLIMITED)
                self._stub = engine_pb2_grpc.EngineStub(channel)
            return self._stub
