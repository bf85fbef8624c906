"""C structures as Python objects: fields with C's types, nested structures, strings by address.

pyds reads and writes C memory, so a value set there is rounded to 32 bits, refused when it is of
another type, and cut when it does not fit. These descriptors do the same.
"""

import ctypes
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from typing_extensions import Self, override

from plugins.standin.absent import explain

T = TypeVar("T")
_make_nested = threading.Lock()
_strings: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()


class Struct:
    """Base of every structure: one list of values, described by the class's fields."""

    __slots__ = ("__weakref__", "values")
    _fields: tuple["Field[Any]", ...] = ()
    _defaults: tuple[Any, ...] = ()

    def __init_subclass__(cls) -> None:
        own = [value for value in vars(cls).values() if isinstance(value, Field)]
        cls._fields = cls._fields + tuple(own)
        for index, field in enumerate(cls._fields):
            field.index = index
        cls._defaults = tuple(field.default for field in cls._fields)

    def __init__(self) -> None:
        self.values: list[Any] = list(self._defaults)

    if not TYPE_CHECKING:  # mypy would take every name for a member

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(explain(f"{type(self).__name__}.{name}"))

    def copy(self) -> Self:
        """Copy the structure and all that it owns."""
        other = type(self).__new__(type(self))
        other.values = [
            value if value.__class__ in _IMMUTABLE else field.duplicate(value)
            for field, value in zip(self._fields, self.values, strict=True)
        ]
        return other

    @classmethod
    def cast(cls, data: Any) -> Any:
        """Return what a list node's data or user_meta_data points to.

        The real cast looks at no type and reads garbage; this one refuses.

        Raises:
            StopIteration: there is nothing there, as the samples expect at a list's end.
            TypeError: it is another structure.
        """
        if data is None:
            raise StopIteration
        if not isinstance(data, cls):
            raise TypeError(
                f"pyds.{cls.__name__}.cast: the data is {type(data).__name__}, want "
                f"{cls.__name__}; test base_meta.meta_type before the cast"
            )
        return data


class Field(Generic[T]):
    """One field: how it is stored, checked and copied."""

    index = 0
    name = ""

    def __init__(self, default: Any) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Struct | None, kind: type | None = None) -> T:
        if owner is None:
            return self  # type: ignore[return-value]  # the class attribute, for introspection
        return owner.values[self.index]  # type: ignore[no-any-return]

    def __set__(self, owner: Struct, value: T) -> None:
        owner.values[self.index] = self.accept(value)

    def accept(self, value: Any) -> Any:
        """Turn a value into what C would keep of it, or raise TypeError."""
        return value

    def duplicate(self, value: Any) -> Any:
        """Make the value for a copy of the structure; here it is shared."""
        return value

    def refuse(self, value: Any, want: str) -> TypeError:
        """Make the error for a value of another type; pybind11 refuses the same values."""
        return TypeError(f"{self.name}: {value!r} is {type(value).__name__}, want {want}")


class Copied(Field[T]):
    """Anything with a copy() of its own."""

    @override
    def duplicate(self, value: Any) -> Any:
        return value.copy()


class Converted(Field[T]):
    """A C++ container: read as a copy, so that only assigning it changes the structure."""

    def __init__(self, kind: type[T]) -> None:
        super().__init__(None)
        self.kind = kind

    def __get__(self, owner: Struct | None, kind: type | None = None) -> T:
        if owner is None:
            return self  # type: ignore[return-value]  # the class attribute, for introspection
        value = owner.values[self.index]
        return self.kind() if value is None else self.kind(value)  # type: ignore[call-arg]

    @override
    def accept(self, value: Any) -> Any:
        if not isinstance(value, self.kind):
            raise self.refuse(value, self.kind.__name__)
        return self.kind(value)  # type: ignore[call-arg]


class Int(Field[int]):
    """A C integer of a given width; a float is refused, as pybind11 does."""

    def __init__(self, default: int = 0, *, bits: int = 32, signed: bool = True) -> None:
        super().__init__(default)
        self.low = -(1 << (bits - 1)) if signed else 0
        self.high = (1 << (bits - 1 if signed else bits)) - 1

    @override
    def accept(self, value: Any) -> int:
        if value.__class__ is not int:
            if isinstance(value, float) or not hasattr(value, "__index__"):
                raise self.refuse(value, f"an integer from {self.low} to {self.high}")
            value = int(value)
        if not self.low <= value <= self.high:
            raise self.refuse(value, f"an integer from {self.low} to {self.high}")
        return value  # type: ignore[no-any-return]


def uint(default: int = 0) -> Int:
    """Describe a guint."""
    return Int(default, signed=False)


def uint64(default: int = 0) -> Int:
    """Describe a guint64."""
    return Int(default, bits=64, signed=False)


class Bool(Field[bool]):
    """A C bool; like pybind11 it takes what says itself whether it is true: 1, but no text."""

    def __init__(self) -> None:
        super().__init__(default=False)

    @override
    def accept(self, value: Any) -> bool:
        if not hasattr(value, "__bool__"):
            raise self.refuse(value, "True or False")
        return bool(value)


class Float32(Field[float]):
    """A C float: what is read back is the nearest 32-bit value."""

    def __init__(self, default: float = 0.0) -> None:
        super().__init__(self.accept(default))

    @override
    def accept(self, value: Any) -> float:
        try:
            return ctypes.c_float(value).value
        except (TypeError, OverflowError):
            raise self.refuse(value, "a number") from None


class Float64(Field[float]):
    """A C double."""

    def __init__(self, default: float = 0.0) -> None:
        super().__init__(default)

    @override
    def accept(self, value: Any) -> float:
        if not hasattr(value, "__float__"):
            raise self.refuse(value, "a number")
        return float(value)


class Nested(Field[T]):
    """A structure inside a structure; assigning copies into it, as C does.

    Made at first use: most are never looked at, and an object has a dozen.
    """

    def __init__(self, factory: Callable[[], T]) -> None:
        super().__init__(None)
        self.factory = factory

    def __get__(self, owner: Struct | None, kind: type | None = None) -> T:
        if owner is None:
            return self  # type: ignore[return-value]  # the class attribute, for introspection
        value = owner.values[self.index]
        if value is None:
            with _make_nested:
                value = owner.values[self.index]
                if value is None:
                    value = owner.values[self.index] = self.factory()
        return value  # type: ignore[no-any-return]

    @override
    def accept(self, value: Any) -> Any:
        wanted = self.factory()
        if not isinstance(value, type(wanted)):
            raise self.refuse(value, type(wanted).__name__)
        return self.duplicate(value)

    @override
    def duplicate(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item.copy() if isinstance(item, Struct) else item for item in value]
        return value.copy()


class Owned(Field[list[T]]):
    """A list of metas that the structure owns; the pyds view of it is a GList."""

    def __init__(self) -> None:
        super().__init__(None)

    def __get__(self, owner: Struct | None, kind: type | None = None) -> list[T]:
        if owner is None:
            return self  # type: ignore[return-value]  # the class attribute, for introspection
        value = owner.values[self.index]
        if value is None:
            value = owner.values[self.index] = []
        return value  # type: ignore[no-any-return]

    @override
    def accept(self, value: Any) -> Any:
        return list(value)

    @override
    def duplicate(self, value: Any) -> Any:
        return [item.copy() for item in value]


class CharArray(Field[str]):
    """A char[128]: a new text overwrites the first bytes and, as in pyds, nothing else.

    A shorter text therefore keeps the tail of a longer one unless it ends in a NUL. Longer than
    127 bytes overruns on the device; here it is cut.
    """

    def __init__(self, size: int = 128) -> None:
        super().__init__(b"")
        self.room = size - 1

    def __get__(self, owner: Struct | None, kind: type | None = None) -> str:
        if owner is None:
            return self  # type: ignore[return-value]  # the class attribute, for introspection
        raw: bytes = owner.values[self.index]
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")

    def __set__(self, owner: Struct, value: str) -> None:
        if not isinstance(value, str):
            raise self.refuse(value, "a string")
        new = value.encode()[: self.room]
        owner.values[self.index] = new + owner.values[self.index][len(new) :]


class CString(Field[Any]):
    """A char*: set as text, read as an address for pyds.get_string()."""

    def __init__(self) -> None:
        super().__init__(None)

    def __get__(self, owner: Struct | None, kind: type | None = None) -> Any:
        if owner is None:
            return self
        value = owner.values[self.index]
        if value is None:
            return 0
        if isinstance(value, str):
            value = owner.values[self.index] = make_string(value)
        return ctypes.addressof(value)

    @override
    def accept(self, value: Any) -> Any:
        if isinstance(value, int):
            return _strings.get(value)
        if value is not None and not isinstance(value, str):
            raise self.refuse(value, "a string")
        return value

    @override
    def duplicate(self, value: Any) -> Any:
        return value if isinstance(value, str) else make_string(value.value.decode())

    def text(self, owner: Struct) -> str | None:
        """Read the text itself, which pyds cannot; the elements need it for every object."""
        value = owner.values[self.index]
        if value is None or isinstance(value, str):
            return value
        return value.value.decode("utf-8", "replace")  # type: ignore[no-any-return]


class GList:
    """One node of a list view; `next` is None at the end.

    The view is what the list was when it was asked for, so removing the node's own data does not
    lose the ones after it.
    """

    __slots__ = ("_index", "_items", "data", "next")

    def __init__(self, items: tuple[Any, ...], index: int, after: "GList | None") -> None:
        self._items = items
        self._index = index
        # Plain attributes: applications read both for every object of every frame.
        self.data = items[index]
        self.next = after

    @property
    def prev(self) -> "GList | None":
        """The node before this one, made when asked for: a cycle would keep metas alive."""
        return GList(self._items, self._index - 1, self) if self._index else None


def glist(items: list[Any]) -> GList | None:
    """Make the pyds view of a list; an empty list is None."""
    node, kept = None, tuple(items)
    for index in range(len(kept) - 1, -1, -1):
        node = GList(kept, index, node)
    return node


def make_string(text: str, size: int | None = None) -> Any:
    """Make C memory for a text; it lives as long as what is returned."""
    raw = text.encode()
    memory = ctypes.create_string_buffer(raw, size or len(raw) + 1)
    _strings[ctypes.addressof(memory)] = memory
    return memory


def string_at(address: int) -> str | None:
    """Read the text at an address that a char* field gave; None for a null pointer.

    Raises:
        ValueError: no text lives there (any more); on the device this reads freed memory.
    """
    if not address:
        return None
    memory = _strings.get(address)
    if memory is None:
        raise ValueError(
            f"pyds.get_string: {address:#x} is no text that is alive, want the value of a char* "
            f"field such as display_text; read it while its meta is alive"
        )
    return memory.value.decode("utf-8", "replace")  # type: ignore[no-any-return]


_IMMUTABLE = frozenset({int, float, str, bytes, bool, type(None)})
