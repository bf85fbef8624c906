"""A real RTSP server on loopback, in a process of its own: `python rtsp_server.py PORT FILE`.

The file is served at rtsp://127.0.0.1:PORT/cam in real time, once for each connection.
"""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self


class RtspServer:
    """Serves one file, H.264 in .mp4 or H.265 in .mkv, while the `with` block lasts."""

    def __init__(self, file: Path, port: int) -> None:
        self.url = f"rtsp://127.0.0.1:{port}/cam"
        self._file, self._port = file, port
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server and wait until it listens."""
        command = [sys.executable, __file__, str(self._port), str(self._file)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise AssertionError("the RTSP server did not start")

    def kill(self) -> None:
        """End the server at once, as when a camera loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
            time.sleep(0.1)


def serve(port: str, file: str) -> None:
    """Run the server until the process is killed."""
    import gi  # noqa: PLC0415 - only the server's own process needs it

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer  # noqa: PLC0415 - after require_version

    Gst.init(None)
    demuxer = "matroskademux" if file.endswith(".mkv") else "qtdemux"

    class FileFactory(GstRtspServer.RTSPMediaFactory):
        """Makes the pipeline of a connection."""

        def do_create_element(self, _url: Any) -> Any:
            codec = "h265" if file.endswith(".mkv") else "h264"
            return Gst.parse_launch(
                f"filesrc location={file} ! {demuxer} ! {codec}parse ! "
                f"rtp{codec}pay name=pay0 pt=96 config-interval=1"
            )

    server = GstRtspServer.RTSPServer()
    server.set_service(port)
    server.set_address("127.0.0.1")
    factory = FileFactory()
    server.get_mount_points().add_factory("/cam", factory)
    if server.attach(None) == 0:
        raise SystemExit(f"rtsp server: port {port} is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
