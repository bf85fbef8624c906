"""A bad network in front of a broker: cuts, swallows, is slow, lets nobody in."""

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType

from typing_extensions import Self

CHUNK_BYTES = 4096
# Closing then sends a reset: what the other side has not read is gone.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes on between a box and a broker, as long as it is told to.

    Attributes:
        swallows_up: bytes from the box are taken and thrown away.
        swallows_down: bytes from the broker are.
        bytes_per_s: in each direction of each connection; None as fast as it goes.
    """

    def __init__(self, host: str, port: int) -> None:
        self.swallows_up = self.swallows_down = False
        self.bytes_per_s: int | None = None
        self._goal = (host, port)
        self._closed_to_new = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def hold(self) -> None:
        """End every connection and let nobody in."""
        self._closed_to_new = True
        self.cut()

    def release(self) -> None:
        """Let boxes in again."""
        self._closed_to_new = False

    def cut(self) -> None:
        """End every connection at once, whatever is on its way."""
        pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        while True:
            try:
                box, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._closed_to_new:
                    raise ConnectionRefusedError
                broker = socket.create_connection(self._goal)
            except OSError:
                box.close()
                continue
            for end in (box, broker):
                # Waiting to fill packets would add its 40 ms to each large message.
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((box, broker))
            for source, goal, up in ((box, broker, True), (broker, box, False)):
                threading.Thread(target=self._pump, args=(source, goal, up), daemon=True).start()

    def _pump(self, source: socket.socket, goal: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if self.bytes_per_s is not None:
                    time.sleep(len(data) / self.bytes_per_s)
                if not (self.swallows_up if up else self.swallows_down):
                    goal.sendall(data)
        for end in (source, goal):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
