"""What can be said about a source that failed: which one, why, and what to do."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from deepstream.plan import is_live, source_uri
from ropewatch.load import redact
from ropewatch.settings import SourceSettings

SNIFF_BYTES: Final = 4096


def explain_failure(source: SourceSettings, said: str) -> str:
    """Turn an element's error into one message with camera, URI, reason and the way out.

    Args:
        source: the camera that failed.
        said: the text of the element's error.
    """
    uri = source_uri(source)
    where = f"source {source.id}: {redact(uri)}"
    if is_live(uri):
        return (
            f"{where}: {redact(said)}, want a reachable RTSP stream; check cable, address and "
            "credentials, then `gst-launch-1.0 rtspsrc location=... ! fakesink`"
        )
    if uri.startswith("file:"):
        reason, cure = _look_at_file(Path(unquote(urlsplit(uri).path)), said)
        return f"{where}: {reason}; {cure}"
    return f"{where}: {redact(said)}, want H.264 or H.265 video; check the address"


def _look_at_file(path: Path, said: str) -> tuple[str, str]:
    if not path.exists():
        return "no such file, want a video file", "correct sources.uri in the site file"
    if not path.is_file():
        return "not a file, want a video file", "correct sources.uri in the site file"
    try:
        with path.open("rb") as file:
            head = file.read(SNIFF_BYTES)
    except OSError as error:
        return f"cannot be read: {error.strerror}, want a readable file", f"chmod a+r {path}"
    if not head:
        return "the file is empty, want a video file", "copy it again"
    if b"\0" not in head:
        return (
            f"the file holds text, want H.264 or H.265 video ({said})",
            "correct sources.uri in the site file",
        )
    return (
        f"cannot be decoded: {said}, want H.264 or H.265 video",
        "play it elsewhere, or copy it again if it was cut short",
    )
