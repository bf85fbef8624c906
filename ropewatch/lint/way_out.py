"""What people write around a value, and how to write it instead."""

import re
from typing import Final

from ropewatch.nvinfer_keys import Key, Kind

_LISTS: Final = (Kind.INTS, Kind.FLOATS, Kind.STRINGS)
_TEXTS: Final = (Kind.PATH, Kind.STRING)
_PART: Final = re.compile(r"\s*([0-9]+\.?[0-9]*)\s*/\s*([0-9]*[1-9]\.?[0-9]*)\s*")


def way_out(text: str, key: Key, *, is_yaml: bool) -> str | None:
    """Say how a value that is not taken was likely meant; None where nothing is recognised.

    Args:
        text: the value as the file has it.
        key: what it is for.
        is_yaml: whether YAML has taken quotes and comments away already.
    """
    if not is_yaml and re.search(r"\s#", text):
        return "put the comment on a line of its own: in an ini file it is a part of the value"
    if not is_yaml and text[:1] in ("'", '"'):
        return "take the quotes away: in an ini file they are a part of the value"
    if not is_yaml and text != text.rstrip():
        return "take away what is invisible behind the value: it is a part of it"
    if key.kind is Kind.PATH and text[:1] in ("~", "$"):
        return "write the whole path: nvinfer resolves neither ~ nor variables"
    if key.kind in _TEXTS and "\\" in text:
        return "write / for each backslash: it begins an escape of ini files"
    if key.kind in _LISTS and "," in text:
        return f"write {re.sub(r'[, ]+', ';', text.strip(' ,;[]'))}, with semicolons"
    part = _PART.fullmatch(text) if key.kind is Kind.FLOAT else None
    if part is not None:
        return f"write {float(part[1]) / float(part[2]):.10g}: nobody divides"
    if key.kind is Kind.FLOAT and re.fullmatch(r"\s*[0-9]+,[0-9]+\s*", text):
        return f"write {text.strip().replace(',', '.')}, with a point"
    return None
