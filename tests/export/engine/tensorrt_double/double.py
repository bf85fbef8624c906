"""A module `tensorrt` that has the names of one release and no others; see README.md."""

import enum
import functools
import inspect
import json
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

RELEASES = {"10.3": "10.3.0", "10.16": "10.16.1.11", "11.1": "11.1.0.106"}
_HERE = Path(__file__).parent


@functools.cache
def names_of(release: str) -> dict[str, Any]:
    """What the bindings of a release define, as read_names.py prints it."""
    found: dict[str, Any] = json.loads((_HERE / f"names-{release}.json").read_text("utf-8"))
    return found


def make_tensorrt(release: str, behaviours: Mapping[str, type]) -> types.ModuleType:
    """Make the module: every enum of the release, and the classes that have a behaviour.

    Args:
        release: a key of RELEASES.
        behaviours: by class name; each gets the module as its class attribute `_trt`.
    """
    names = names_of(release)
    module: Any = types.ModuleType("tensorrt")
    module.__version__ = RELEASES[release]
    for name, facts in names.items():
        if facts["values"]:
            setattr(module, name, _enum(name, facts["values"]))
    for name, behaviour in behaviours.items():
        if name in names:
            setattr(module, name, _restricted(name, behaviour, names, module))
    # Severity lies within the loggers, and so do its values (packaging's __init__.py for Logger).
    for logger in ("ILogger", "Logger"):
        if hasattr(module, logger):
            getattr(module, logger).Severity = module.Severity
            for severity in module.Severity:
                setattr(getattr(module, logger), severity.name, severity)
    del module.Severity
    return module  # type: ignore[no-any-return] # attributes are set on it, hence Any above


def _enum(name: str, values: list[str]) -> Any:
    # Numbered like the C++ enums that start at 0; `1 << int(flag)` works as with pybind11's.
    return enum.IntEnum(name, [(value, place) for place, value in enumerate(values)])


def _lineage(name: str, names: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield names[name]
    for base in names[name]["bases"]:
        yield from _lineage(base, names)


def _restricted(name: str, behaviour: type, names: dict[str, Any], module: Any) -> type:
    lineage = list(_lineage(name, names))
    methods = {key: value for facts in lineage for key, value in facts["methods"].items()}
    readable = {key for facts in lineage for key in facts["readable"]}
    writable = {key for facts in lineage for key in facts["writable"]}

    def get(self: Any, key: str) -> Any:
        if not key.startswith("_") and key not in readable | set(methods):
            # A subclass may have members of its own, as Python classes over bindings do.
            if any(
                key in vars(owner)
                for owner in type(self).__mro__
                if issubclass(owner, made) and owner is not made
            ) or key in vars(self):
                return object.__getattribute__(self, key)
            raise AttributeError(f"'tensorrt.{name}' object has no attribute {key!r}")
        value = object.__getattribute__(self, key)
        known = methods.get(key)
        overridden = key in vars(type(self)) and type(self) is not made
        if known is None or key.startswith("_") or overridden:
            return value
        return _checked(value, known, f"{name}.{key}")

    def put(self: Any, key: str, value: Any) -> None:
        if type(self) is made and not key.startswith("_") and key not in writable:
            raise AttributeError(f"can't set attribute {key!r} of 'tensorrt.{name}'")
        object.__setattr__(self, key, value)

    body = {"__getattribute__": get, "__setattr__": put, "_trt": module}
    made: type = type(name, (behaviour,), body)
    return made


def _checked(method: Any, overloads: list[list[str]], name: str) -> Callable[..., Any]:
    """Refuse arguments that no overload of the binding takes, as pybind11 does."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        for arguments in overloads:
            parameters = [
                inspect.Parameter(
                    argument.rstrip("="),
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=None if argument.endswith("=") else inspect.Parameter.empty,
                )
                for argument in arguments
            ]
            try:
                inspect.Signature(parameters).bind(*args, **kwargs)
            except TypeError:
                continue
            return method(*args, **kwargs)
        raise TypeError(f"{name}(): incompatible function arguments, want one of {overloads}")

    return call
