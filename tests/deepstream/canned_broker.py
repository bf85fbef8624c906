"""Says what no mosquitto can be made to say: one answer to CONNECT, one to each PUBLISH."""

import socket
import threading
from collections.abc import Callable
from types import TracebackType

from typing_extensions import Self

CONNECT, PUBLISH = 1, 3


class CannedBroker:
    """An MQTT 5 broker of fixed answers on a free loopback port.

    Args:
        connack: reason code of every CONNACK; None never answers.
        puback: reason codes of PUBACKs, one after the other; then success.
        disconnect: reason code with which a connection ends as soon as it is there.
    """

    def __init__(
        self,
        *,
        connack: int | None = 0,
        puback: tuple[int, ...] = (),
        disconnect: int | None = None,
    ) -> None:
        self.published = 0
        self.connects = 0
        self._connack, self._puback, self._disconnect = connack, list(puback), disconnect
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                self._talk(connection, stream.read)

    def _talk(self, connection: socket.socket, read: Callable[[int], bytes]) -> None:
        while head := read(1):
            body = read(_length(read))
            if head[0] >> 4 == CONNECT:
                self.connects += 1
                if self._connack is None:
                    continue
                connection.sendall(bytes([0x20, 3, 0, self._connack, 0]))
                if self._connack:
                    return
                if self._disconnect is not None:
                    connection.sendall(bytes([0xE0, 1, self._disconnect]))
                    return
            elif head[0] >> 4 == PUBLISH:
                self.published += 1
                topic_bytes = int.from_bytes(body[:2], "big")
                mid = body[2 + topic_bytes : 4 + topic_bytes]
                code = self._puback.pop(0) if self._puback else 0
                connection.sendall(bytes([0x40, 3, *mid, code]))


def _length(read: Callable[[int], bytes]) -> int:
    length, shift = 0, 0
    while True:
        (byte,) = read(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return length
