"""What the network is given of a picture."""

from pathlib import Path

import numpy as np
import pytest

from plugins.standin.nvinfer.preprocess import NetworkInput, _read_ppm
from ropewatch.errors import ModelError
from tests.standin.nvinfer import tiny
from tests.standin.nvinfer.inferences import first_input, primary


def test_padding_is_zero_bytes_before_normalisation(tmp_path: Path) -> None:
    detect = primary(
        tmp_path, [], maintain_aspect_ratio=1, net_scale_factor=0.5, offsets="10;20;30"
    )

    planes = first_input(detect, tiny.batch_of((0, 0, tiny.grey(200))))

    assert planes[:, 0, 0].tolist() == [95, 90, 85]
    assert planes[:, 0, 55].tolist() == [95, 90, 85]
    assert planes[:, 0, 56].tolist() == [-5, -10, -15]


@pytest.mark.parametrize(("fmt", "first"), [(0, 1), (1, 3)])
def test_colour_order_is_the_networks(tmp_path: Path, fmt: int, first: int) -> None:
    picture = np.full((360, 640, 3), (1, 2, 3), np.uint8)
    detect = primary(tmp_path, [], model_color_format=fmt)

    planes = first_input(detect, tiny.batch_of((0, 0, picture)))

    assert planes[:, 5, 5].tolist() == ([1, 2, 3] if first == 1 else [3, 2, 1])


def test_a_mean_file_counts_from_its_header_on_and_without_a_factor_too(tmp_path: Path) -> None:
    pixels = bytes([10, 20, 30]) * (64 * 32)
    mean = tmp_path / "mean.ppm"
    mean.write_bytes(b"P6 64 32\n255\n" + pixels + b"\x63 what stands behind is not looked at")

    scaled = primary(tmp_path, [], mean_file=mean, net_scale_factor=0.5, offsets="1;2;3")
    unscaled = primary(tmp_path, [], mean_file=mean, net_scale_factor=0)

    batch = tiny.batch_of((0, 0, tiny.grey(50)))
    assert first_input(scaled, batch)[:, 31, 63].tolist() == [20, 15, 10]
    assert first_input(unscaled, batch)[:, 31, 63].tolist() == [40, 30, 20]


def test_offsets_are_counted_also_beside_a_mean_file(tmp_path: Path) -> None:
    mean = tmp_path / "mean.ppm"
    mean.write_bytes(b"P6 64 32\n255\n" + bytes(64 * 32 * 3))

    with pytest.raises(ModelError, match=r"offsets: 2 numbers, want 3"):
        primary(tmp_path, [], mean_file=mean, offsets="1;2")


def test_a_grey_network_s_mean_file_has_one_byte_a_pixel(tmp_path: Path) -> None:
    network = NetworkInput("images", 4, 2, 1)
    mean = tmp_path / "mean.ppm"
    mean.write_bytes(b"P6 4 2 255\n" + bytes(range(8)) + bytes(16))

    assert _read_ppm(mean, network).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7]]]


def test_scaling_is_nearest_unless_asked(tmp_path: Path) -> None:
    # Columns 0 and 255 by turns: bilinear from 640 to 64 mixes them, nearest never does.
    picture = np.zeros((360, 640, 3), np.uint8)
    picture[:, ::2] = 255
    batch = tiny.batch_of((0, 0, picture))

    nearest = first_input(primary(tmp_path, []), batch)
    bilinear = first_input(primary(tmp_path, [], scaling_filter=1), batch)

    assert set(np.unique(nearest)) <= {0.0, 255.0}
    assert 127 <= bilinear.mean() <= 128
