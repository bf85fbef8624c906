"""nvinfer's two kinds of labels file, which look alike and mean different things."""

from pathlib import Path

from ropewatch.errors import ModelError


def read_classifier_labels(path: Path) -> tuple[str, ...]:
    """Read a classifier's labels file: one line, classes in order, separated by semicolons.

    nvinfer takes each line for an output layer of its own, so a file with one class per line
    makes it attach no label beyond class 0.

    Raises:
        ModelError: the file is absent, or has another shape.
    """
    lines = _lines(path)
    if len(lines) > 1:
        raise ModelError(
            f"{path}: {len(lines)} lines, want one line with all classes separated by "
            f"semicolons, such as {';'.join(lines[:2])}; nvinfer reads each line as a "
            f"classifier output of its own"
        )
    # nvinfer splits like std::getline, so a semicolon at the end adds no class.
    labels = tuple(label.strip() for label in lines[0].removesuffix(";").split(";"))
    if len(labels) < 2:
        raise ModelError(f"{path}: {len(labels)} class, want two or more separated by semicolons")
    _check_names(path, labels)
    return labels


def read_detector_labels(path: Path) -> tuple[str, ...]:
    """Read a detector's labels file: one class per line, the line's number is the class id.

    Raises:
        ModelError: the file is absent, or has another shape.
    """
    lines = _lines(path)
    if any(";" in line for line in lines):
        raise ModelError(
            f"{path}: a semicolon, want one class per line; nvinfer drops what follows it"
        )
    _check_names(path, lines)
    return lines


def check_score_label(path: Path, labels: tuple[str, ...], score_label: str) -> int:
    """Return the class index of the site's `score_label`.

    Raises:
        ModelError: the classifier has no such label.
    """
    if score_label not in labels:
        raise ModelError(
            f"classifier.score_label: {score_label!r}, want one of {', '.join(labels)} "
            f"as in {path}; the threshold belongs to that label"
        )
    return labels.index(score_label)


def check_class_count(path: Path, labels: tuple[str, ...], outputs: int) -> None:
    """Refuse a labels file that does not fit the model's outputs.

    Args:
        path: the labels file, for the message.
        labels: as read from it.
        outputs: how many classes the network gives, at least 1.

    Raises:
        ModelError: another number of labels than of outputs.
    """
    if len(labels) != outputs:
        raise ModelError(
            f"{path}: {len(labels)} labels, want {outputs}, as many as the model has classes; "
            f"correct labelfile-path or the model"
        )


def check_person_class(path: Path, labels: tuple[str, ...], person_class_id: int) -> str:
    """Return the label of the site's `person_class_id`.

    Raises:
        ModelError: the detector has fewer classes.
    """
    if person_class_id >= len(labels):
        raise ModelError(
            f"detector.person_class_id: {person_class_id}, want 0 to {len(labels) - 1} "
            f"as in {path}"
        )
    return labels[person_class_id]


def _lines(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ModelError(f"{path}: no such labels file; correct labelfile-path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {error}, want a UTF-8 labels file") from None
    lines = tuple(line.strip() for line in text.rstrip().splitlines())
    if not lines:
        raise ModelError(f"{path}: empty, want the model's class names")
    return lines


def _check_names(path: Path, labels: tuple[str, ...]) -> None:
    for index, label in enumerate(labels):
        if not label:
            raise ModelError(f"{path}: class {index} has no name, want one for every class")
        if label in labels[:index]:
            raise ModelError(f"{path}: {label!r} is there twice, want each class once")
