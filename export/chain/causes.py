"""Which one setting of a preprocessing would explain what the graph answered.

The ONNX is run again on the same frames with each of nvinfer's keys set otherwise. The setting
under which it comes nearest to the graph is the likely cause of a difference.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from export.chain.answers import Person, pairs
from ropewatch.manifest import Preprocessing

# A cause has to explain this much of the difference, and of what the next setting leaves. It does
# not always explain all: without a net-scale-factor hundreds of confidences are 1.0 to the bit or
# next to it, and which of them `topk` leaves depends on how the CPU rounds (69 % with AVX2, where
# the next setting has 0 %).
_EXPLAINS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting that was tried, and how far from the graph it comes; 0 is the same answers."""

    setting: str
    distance: float


@dataclass(frozen=True, slots=True)
class Cause:
    """What was tried for one configuration.

    Attributes:
        config: path of the nvinfer configuration, for people.
        as_exported: distance with the manifest's preprocessing.
        trials: all others, nearest first.
    """

    config: str
    as_exported: float
    trials: tuple[Trial, ...]

    @property
    def setting(self) -> str | None:
        """The setting that explains the difference; None when none does."""
        if not self.trials:
            return None
        nearest, *others = self.trials
        left = min([self.as_exported, *(each.distance for each in others[:1])])
        return nearest.setting if nearest.distance <= (1 - _EXPLAINS) * left else None

    def sentence(self) -> str:
        """What to tell, without a full stop."""
        if self.setting is None:
            return (
                f"{self.config}: no single preprocessing setting explains the difference; look at "
                f"the muxer, thresholds, clustering and the engine"
            )
        return (
            f"{self.config}: the graph answers as if {self.setting} "
            f"(distance {self.trials[0].distance:.2g}, as exported {self.as_exported:.2g}); "
            f"`ropewatch check` says what the manifest wants"
        )


def alternatives(exported: Preprocessing) -> Mapping[str, Preprocessing]:
    """The manifest's preprocessing with one key otherwise, by that key in nvinfer's words."""
    other = {"RGB": "BGR", "BGR": "RGB"}[exported.model_color_format]
    keep = not exported.maintain_aspect_ratio
    found: dict[str, dict[str, Any]] = {
        f"model-color-format={('RGB', 'BGR').index(other)}": {"model_color_format": other},
        f"maintain-aspect-ratio={int(keep)}": {"maintain_aspect_ratio": keep},
        "scaling-filter=0": {"scaling_filter": 0},
    }
    if exported.net_scale_factor != 1:
        found["net-scale-factor=1"] = {"net_scale_factor": 1.0}
    if any(exported.offsets):
        found["offsets were absent"] = {"offsets": (0.0, 0.0, 0.0)}
    if exported.maintain_aspect_ratio:
        symmetric = not exported.symmetric_padding
        found[f"symmetric-padding={int(symmetric)}"] = {"symmetric_padding": symmetric}
    return {name: exported.model_copy(update=changes) for name, changes in found.items()}


def find_cause(
    config: str, exported: Preprocessing, distance: Callable[[Preprocessing], float]
) -> Cause:
    """Try every alternative; distance says how far from the graph a preprocessing comes."""
    trials = [Trial(name, distance(how)) for name, how in alternatives(exported).items()]
    ordered = sorted(trials, key=lambda trial: trial.distance)
    return Cause(config, distance(exported), tuple(ordered))


def persons_apart(one: Sequence[Person], other: Sequence[Person]) -> float:
    """How far two sets of persons in a picture are apart: 1 for each that only one of them has."""
    same = pairs(one, other)
    unmatched = len(one) + len(other) - 2 * len(same)
    return unmatched + sum(
        1 - each.iou + abs(one[each.one].confidence - other[each.other].confidence)
        for each in same
    )
