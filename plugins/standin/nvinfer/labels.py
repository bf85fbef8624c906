"""Labels files: a detector's has a class a line, a classifier's an output a line."""

from pathlib import Path

from plugins.standin.nvinfer.outputs import OutputLayer
from ropewatch.errors import ModelError

Labels = tuple[tuple[str, ...], ...]


def read_labels(path: Path | None, *, config: Path) -> Labels:
    """Read a labels file as nvinfer does: lines, each divided by ;, empty lines skipped.

    Nothing is stripped: blanks, carriage returns and a byte order mark belong to their label.

    Raises:
        ModelError: the file is named and cannot be read; nvinfer does not start either.
    """
    if path is None:
        return ()
    try:
        # As bytes: a carriage return is a part of the label, as in C.
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{config}: labelfile-path: {path}: {error}, want a readable labels file; correct it"
        ) from error
    return parse_labels(text)


def parse_labels(text: str) -> Labels:
    """Divide a labels file's text as nvinfer does."""
    return tuple(tuple(line.split(";")) for line in text.split("\n") if line)


def check_classifier_labels(
    labels: Labels, outputs: tuple[OutputLayer, ...], *, config: Path, path: Path | None
) -> None:
    """Refuse labels that would make nvinfer attach nothing for some class, without a word.

    Raises:
        ModelError: an output has no line, or fewer labels than classes.
    """
    where = f"{config}: labelfile-path: {path}"
    want = f"want {len(outputs)}, one for each output, its classes on that line divided by ;"
    if len(labels) < len(outputs):
        raise ModelError(f"{where}: {len(labels)} lines, {want}; correct the file")
    for row, output in zip(labels, outputs, strict=False):
        classes = output.shape[0] if output.shape else 1
        if len(row) < classes:
            raise ModelError(
                f"{where}: {len(row)} labels for output {output.name}, want {classes} on one line "
                f"divided by ; (the file has {len(labels)} lines); nvinfer attaches nothing for a "
                f"class without a label"
            )
