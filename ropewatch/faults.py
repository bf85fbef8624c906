"""pydantic's faults in words that name key and value and say what to do."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a field holds, also when it is optional or a list of them."""
    for candidate in (field.annotation, *getattr(field.annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def describe(fault: ErrorDetails, model: type[BaseModel]) -> str:
    """Return "key: value, want ...; what to do" for one fault; the file is the caller's."""
    keys = [str(part) for part in fault["loc"]]
    where = ".".join(keys)
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key, {_nearest(keys, model)}"
    if fault["type"] == "missing":
        field = field_at(keys, model)
        hint = f": {field.description}" if field is not None and field.description else ""
        return f"{where}: missing, want a value{hint}"
    if fault["type"] == "value_error":
        return f"{where}: {message}" if where else message
    return f"{where}: {shown(fault['input'])}, want {_wanted(fault, keys, model)}"


def _wanted(fault: ErrorDetails, keys: list[str], model: type[BaseModel]) -> str:
    """Say what a site file may hold there, in YAML's words instead of Python's."""
    kind = fault["type"]
    if kind == "path_type":
        return "a path"
    if kind == "tuple_type":
        return "a list"
    if kind in {"model_type", "model_attributes_type"}:
        section = section_at(keys, model) or model
        has_defaults = not any(f.is_required() for f in section.model_fields.values())
        return "keys and values" + (" ({} for the defaults)" if has_defaults else "")
    return re.sub(r"^\w+ should (be |have )?", "", fault["msg"])


def shown(value: Any) -> str:
    """Return a value as YAML has it, not as Python does, and of a long one the beginning."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _nearest(keys: list[str], model: type[BaseModel]) -> str:
    section = section_at(keys[:-1], model) or model
    names = list(section.model_fields)
    near = difflib.get_close_matches(keys[-1], names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    # A camera's overrides have the names of the site's sections, which are meant more often.
    elsewhere = [
        path
        for path in _all_keys(model)
        if path.rpartition(".")[2] == keys[-1] and ".overrides." not in path
    ]
    if elsewhere:
        return f"it belongs at {' or '.join(elsewhere)}"
    return f"want one of {', '.join(names)}"


def _all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        section = section_of(field)
        if section is not None:
            yield from _all_keys(section, f"{prefix}{name}.")


def section_at(keys: list[str], model: type[BaseModel]) -> type[BaseModel] | None:
    """Follow keys and list indices from the root to a section."""
    section: type[BaseModel] | None = model
    for key in keys:
        if key.isdecimal() or section is None:
            continue
        field = section.model_fields.get(key)
        section = section_of(field) if field is not None else None
    return section


def field_at(keys: list[str], model: type[BaseModel]) -> FieldInfo | None:
    """Follow keys and list indices from the root to a field."""
    section = section_at(keys[:-1], model)
    return None if section is None else section.model_fields.get(keys[-1])
