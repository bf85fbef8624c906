"""Which ultralytics checkpoints may be read: each is a pickle, and a pickle is a program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ropewatch.errors import ModelError
from ropewatch.files import sha256_of

# The COCO detectors of https://github.com/ultralytics/assets/releases/tag/v8.3.0. Ultralytics
# publishes no digests: these are the ones that several independent public projects pin for that
# release's files, and all of them agree.
PUBLISHED: Final = {
    "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1": "yolo11n.pt",
    "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5": "yolo11s.pt",
    "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95": "yolo11m.pt",
    "9ebd0e09d59811db4b1d61e2bc6730649608b1ac47f8dd01e2da6bca7c20023f": "yolo11l.pt",
    "7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24": "yolo11x.pt",
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Which pickles may be read.

    Attributes:
        every_pickle: the caller vouches for whoever made the file.
        digests: sha256 of files that are known, besides the published ones.
    """

    every_pickle: bool = False
    digests: frozenset[str] = frozenset()

    def check(self, path: Path) -> None:
        """Raise a ModelError unless a file may be read."""
        found = "" if self.every_pickle else sha256_of(path)
        if not self.every_pickle and found not in self.digests and found not in PUBLISHED:
            raise ModelError(
                f"{path}: an ultralytics checkpoint is a Python pickle, and reading one runs "
                f"whatever program its author put in; its sha256 is {found}, want one of "
                f"Ultralytics' own or one that --trusted-digest names (compare it with what the "
                f"author gave you), or --trust-pickle if you made the file yourself"
            )


# Published files alone.
PUBLISHED_ALONE: Final = Trust()
