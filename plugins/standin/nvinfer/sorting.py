"""The order that nvinfer's stable sort by confidence leaves, NaN included.

NaN is neither above nor below anything, which no sort promises to handle: what comes out is what
the C++ library's algorithm does. Candidates with a NaN confidence pass nvinfer's first threshold
(it asks for "less"), so they do reach the sort and move others.
"""

import numpy as np
import numpy.typing as npt

_CHUNK = 7


def by_confidence(confidences: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the (N,) indices that order (N,) confidences from high to low; ties keep order."""
    if not np.isnan(confidences).any():
        return np.argsort(-confidences, kind="stable")
    return np.array(_Merging(confidences.tolist()).sorted(), np.intp)


class _Merging:
    """The merge sort of libstdc++ on indices, where "before" is a greater value.

    Halves are sorted in runs of 7 by insertion, merged bottom-up, then merged with each other:
    forwards where the halves are equal, else backwards. For numbers that is any stable sort.
    """

    def __init__(self, values: list[float]) -> None:
        self._values = values

    def sorted(self) -> list[int]:
        """Sort all indices."""
        indices = list(range(len(self._values)))
        middle = (len(indices) + 1) // 2
        first, second = self._half(indices[:middle]), self._half(indices[middle:])
        if len(first) <= len(second):
            return self._merged(first, second)
        return self._merged_from_behind(first, second)

    def _before(self, one: int, other: int) -> bool:
        return self._values[one] > self._values[other]

    def _half(self, part: list[int]) -> list[int]:
        runs = [self._inserted(part[at : at + _CHUNK]) for at in range(0, len(part), _CHUNK)]
        while len(runs) > 1:
            pairs = range(0, len(runs) - 1, 2)
            last = runs[-1:] if len(runs) % 2 else []
            runs = [self._merged(runs[at], runs[at + 1]) for at in pairs] + last
        return runs[0] if runs else []

    def _inserted(self, run: list[int]) -> list[int]:
        done: list[int] = []
        for index in run:
            if done and self._before(index, done[0]):
                done.insert(0, index)
                continue
            at = len(done)
            while at and self._before(index, done[at - 1]):
                at -= 1
            done.insert(at, index)
        return done

    def _merged(self, first: list[int], second: list[int]) -> list[int]:
        out: list[int] = []
        left = right = 0
        while left < len(first) and right < len(second):
            if self._before(second[right], first[left]):
                out.append(second[right])
                right += 1
            else:
                out.append(first[left])
                left += 1
        return out + first[left:] + second[right:]

    def _merged_from_behind(self, first: list[int], second: list[int]) -> list[int]:
        out: list[int] = []
        left, right = len(first), len(second)
        while left and right:
            if self._before(second[right - 1], first[left - 1]):
                left -= 1
                out.append(first[left])
            else:
                right -= 1
                out.append(second[right])
        return first[:left] + second[:right] + out[::-1]
