"""Sub-batches, their files and places, and the pool of past-frame metas."""

import gc

import pytest

from plugins.standin.nvtracker.past_pool import PastPool
from plugins.standin.nvtracker.sub_batches import (
    NONE,
    Places,
    SubBatches,
    file_of,
    parse_sub_batches,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", NONE, id="none"),
        pytest.param("0,1;2", SubBatches(((0, 1), (2,)), (2, 1)), id="sources"),
        pytest.param("0, 3;1;", SubBatches(((0, 3), (1,)), (2, 1)), id="blank-and-end"),
        pytest.param("2:3", SubBatches((), (2, 3)), id="sizes"),
        pytest.param("4", SubBatches((), (4,)), id="one-size"),
        pytest.param("2x:3", SubBatches((), (2, 3)), id="behind-the-digits"),
    ],
)
def test_both_forms_are_read(text: str, expected: SubBatches) -> None:
    assert parse_sub_batches(text) == (expected, "")


@pytest.mark.parametrize("text", ["0,1:2", "0;-1", "0,a;1", "x:2", "-2:1", "0 1;2"])
def test_what_cannot_be_read_switches_them_off_and_is_said(text: str) -> None:
    found, wrong = parse_sub_batches(text)

    assert found == NONE
    assert wrong.startswith(f"sub-batches: {text!r}: want ")
    assert wrong.endswith("as on the device they are not used")


def test_sources_have_their_own_place_and_others_none() -> None:
    places = Places(parse_sub_batches("0,2;1")[0])

    assert [places.place(pad) for pad in (0, 1, 2, 0)] == [0, 1, 0, 0]
    with pytest.raises(ValueError, match="Failed to submit input to tracker: source 3 is in no"):
        places.place(3)


def test_sizes_are_filled_evenly_and_a_place_that_is_free_is_used_again() -> None:
    places = Places(parse_sub_batches("3:2")[0])

    # As in the plugin's own example: by turns, the third round finds room in the first only.
    assert [places.place(pad) for pad in (10, 11, 12, 13, 14)] == [0, 1, 0, 1, 0]
    with pytest.raises(ValueError, match="no sub-batch has room for source 15"):
        places.place(15)
    places.remove(11)
    assert places.place(15) == 1


def test_a_sub_batch_without_a_file_of_its_own_has_the_last_one() -> None:
    assert [file_of(["a", "b"], number) for number in range(3)] == ["a", "b", "b"]
    assert file_of([], 0) == ""


def test_a_meta_that_nobody_holds_is_free_again() -> None:
    pool = PastPool(2)
    held = [pool.take(), pool.take()]

    assert pool.take() is None
    held.pop()
    gc.collect()
    assert pool.take() is not None
