"""sub-batches and ll-config-file: which low-level tracker, with which file, has which source."""

import re
from dataclasses import dataclass, field

_UNUSABLE = "sub-batches: {text!r}: {what}; as on the device they are not used"


@dataclass(frozen=True, slots=True)
class SubBatches:
    """What the property asks for.

    Attributes:
        sources: pad indices of each sub-batch; empty where sources are spread as they come.
        sizes: how many sources each one has room for.
    """

    sources: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]


NONE = SubBatches((), ())


def parse_sub_batches(text: str) -> tuple[SubBatches, str]:
    """Read 0,1;2,3 (sources) or 2:2 (sizes) as the plugin does.

    Returns:
        The sub-batches, NONE where there are none, and what is wrong with the text.
    """
    fixed = ";" in text or "," in text
    if fixed and ":" in text:
        return NONE, _UNUSABLE.format(text=text, what="want either , and ; or :")
    parts = text.split(";" if fixed else ":")
    if parts[-1] == "":
        parts.pop()
    # What follows a size's digits is not looked at.
    shape = r"(\s*\+?\d+(,|$))*" if fixed else r"\s*\+?\d+.*"
    if not all(re.fullmatch(shape, part) for part in parts):
        return NONE, _UNUSABLE.format(text=text, what="want numbers of 0 or more")
    numbers = [tuple(map(int, re.findall(r"\d+", part))) for part in parts]
    if fixed:
        return SubBatches(tuple(numbers), tuple(map(len, numbers))), ""
    return SubBatches((), tuple(number[0] for number in numbers)), ""


@dataclass(slots=True)
class Places:
    """Which sub-batch each source is in; everything is in the first where there are none."""

    batches: SubBatches
    of: dict[int, int] = field(default_factory=dict)

    def place(self, pad_index: int) -> int:
        """Return a source's sub-batch; a new source gets one, the emptiest where it may.

        Raises:
            ValueError: there is no place for it.
        """
        if not self.batches.sizes:
            return 0
        if pad_index not in self.of:
            self.of[pad_index] = self._find(pad_index)
        return self.of[pad_index]

    def _find(self, pad_index: int) -> int:
        if self.batches.sources:
            for number, sources in enumerate(self.batches.sources):
                if pad_index in sources:
                    return number
            raise ValueError(
                f"Failed to submit input to tracker: source {pad_index} is in no sub-batch, want "
                f"every source in one; add it to sub-batches"
            )
        used = list(self.of.values())
        free = [
            (used.count(number), number)
            for number, size in enumerate(self.batches.sizes)
            if used.count(number) < size
        ]
        if not free:
            raise ValueError(
                f"Failed to submit input to tracker: no sub-batch has room for source "
                f"{pad_index}, want room for every source; raise the sizes in sub-batches"
            )
        return min(free)[1]

    def remove(self, pad_index: int) -> None:
        """Let a source's place go to another one."""
        self.of.pop(pad_index, None)


def file_of(files: list[str], number: int) -> str:
    """Return a sub-batch's configuration file: its own in the list, else the last one."""
    return (files[number] if number < len(files) else files[-1]) if files else ""
