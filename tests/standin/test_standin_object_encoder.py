"""nvds_obj_enc_*: what is in the JPEG, where it is attached, what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from plugins.standin import buffer_meta, metadata
from plugins.standin import pyds_stand_in as pyds
from plugins.standin.gst import Gst
from plugins.standin.surface import Surface

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

WH = (64, 48)


@pytest.fixture
def batched() -> tuple[Any, Any]:
    """Make a buffer of two frames and give its second: left half red, right half blue."""
    rgba = np.full((WH[1], WH[0], 4), 255, np.uint8)
    rgba[:, :, 1] = 0
    rgba[:, :32, 2] = 0
    rgba[:, 32:, 0] = 0
    batch = metadata.NvDsBatchMeta(2)
    batch.surfaces = [Surface.from_rgba(np.zeros_like(rgba)), Surface.from_rgba(rgba)]
    for index in range(2):
        frame = metadata.NvDsFrameMeta()
        frame.batch_id, frame.pad_index, frame.frame_num = index, index, 7
        batch.frames.append(frame)
    buffer = Gst.Buffer.new()
    buffer_meta.attach(buffer, batch)
    return buffer, batch.frames[1]


@pytest.fixture
def context() -> Any:
    handle = pyds.nvds_obj_enc_create_context(0)
    yield handle
    pyds.nvds_obj_enc_destroy_context(handle)


def asked(**values: Any) -> Any:
    args = pyds.NvDsObjEncUsrArgs()
    for name, value in {"attachUsrMeta": 1, "quality": 90, **values}.items():
        setattr(args, name, value)
    return args


def item_at(left: float, top: float, width: float, height: float) -> Any:
    item = metadata.NvDsObjectMeta()
    rect = item.rect_params
    rect.left, rect.top, rect.width, rect.height = left, top, width, height
    item.obj_label = "person"
    return item


def jpegs(glist: Any) -> list[Any]:
    """Decode the attached JPEGs as an application does; (H, W, 3) RGB each."""
    found = []
    while glist is not None:
        meta = pyds.NvDsUserMeta.cast(glist.data)
        if meta.base_meta.meta_type == pyds.NvDsMetaType.NVDS_CROP_IMAGE_META:
            output = pyds.NvDsObjEncOutParams.cast(meta.user_meta_data).outBuffer()
            bgr = np.asarray(cv2.imdecode(output, cv2.IMREAD_COLOR))
            found.append(bgr[:, :, ::-1])
        glist = glist.next
    return found


def test_a_whole_frame_is_attached_to_the_frame_by_finish_and_not_before(
    batched: tuple[Any, Any], context: int
) -> None:
    buffer, frame = batched

    assert pyds.nvds_obj_enc_process(context, asked(isFrame=1), hash(buffer), None, frame)
    assert jpegs(frame.frame_user_meta_list) == []
    pyds.nvds_obj_enc_finish(context)

    (picture,) = jpegs(frame.frame_user_meta_list)
    assert picture.shape == (48, 64, 3)
    np.testing.assert_allclose(picture[20, 8], (255, 0, 0), atol=12)
    np.testing.assert_allclose(picture[20, 56], (0, 0, 255), atol=12)


def test_what_is_painted_after_process_is_not_in_the_picture(
    batched: tuple[Any, Any], context: int
) -> None:
    buffer, frame = batched

    pyds.nvds_obj_enc_process(context, asked(isFrame=True), hash(buffer), None, frame)
    pyds.get_nvds_buf_surface(hash(buffer), 1)[:] = 255
    pyds.nvds_obj_enc_finish(context)

    np.testing.assert_allclose(jpegs(frame.frame_user_meta_list)[0][20, 8], (255, 0, 0), atol=12)


@pytest.mark.parametrize(
    ("ltwh", "size"),
    [
        pytest.param((2, 2, 20, 10), (20, 10), id="even-as-it-is"),
        pytest.param((2, 2, 21, 11), (22, 12), id="odd-sides-grow-by-one"),
        pytest.param((43, 37, 21, 11), (22, 12), id="at-the-edge-to-the-other-side"),
        pytest.param((-10, -10, 30, 30), (20, 20), id="cut-at-the-frame"),
    ],
)
def test_an_object_is_encoded_with_even_sides(
    batched: tuple[Any, Any],
    context: int,
    ltwh: tuple[float, float, float, float],
    size: tuple[int, int],
) -> None:
    buffer, frame = batched
    item = item_at(*ltwh)

    pyds.nvds_obj_enc_process(context, asked(), hash(buffer), item, frame)
    pyds.nvds_obj_enc_finish(context)

    assert frame.frame_user_meta_list is None
    assert jpegs(item.obj_user_meta_list)[0].shape == (size[1], size[0], 3)


def test_a_scaled_object_has_the_size_asked_for(batched: tuple[Any, Any], context: int) -> None:
    buffer, frame = batched
    item = item_at(0, 0, 8, 8)
    args = asked(scaleImg=True, scaledWidth=16, scaledHeight=32)

    pyds.nvds_obj_enc_process(context, args, hash(buffer), item, frame)
    pyds.nvds_obj_enc_finish(context)

    assert jpegs(item.obj_user_meta_list)[0].shape == (32, 16, 3)


def test_an_object_is_not_scaled_up_more_than_sixteen_times(
    batched: tuple[Any, Any], context: int
) -> None:
    buffer, frame = batched
    item = item_at(0, 0, 2, 2)
    args = asked(scaleImg=True, scaledWidth=34, scaledHeight=32)

    done = pyds.nvds_obj_enc_process(context, args, hash(buffer), item, frame)
    pyds.nvds_obj_enc_finish(context)

    assert done is False
    assert item.obj_user_meta_list is None


def test_a_picture_is_saved_under_the_documented_name_and_not_attached(
    batched: tuple[Any, Any], context: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    buffer, frame = batched
    args = asked(saveImg=True, attachUsrMeta=False, objNum=3)
    item = item_at(0, 0, 20, 10)

    pyds.nvds_obj_enc_process(context, args, hash(buffer), item, frame)
    args.fileNameImg = str(tmp_path / "own.jpg")
    pyds.nvds_obj_enc_process(context, args, hash(buffer), item, frame)
    pyds.nvds_obj_enc_finish(context)

    # Frame number, stream, object number, object type, size.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "7_1_3_person_20x10.jpg",
        "own.jpg",
    ]
    assert item.obj_user_meta_list is None


def test_a_folder_that_is_missing_costs_the_file_and_not_the_picture(
    batched: tuple[Any, Any], context: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buffer, frame = batched
    args = asked(isFrame=1, saveImg=1, fileNameImg=str(tmp_path / "gone" / "a.jpg"))

    pyds.nvds_obj_enc_process(context, args, hash(buffer), None, frame)
    pyds.nvds_obj_enc_finish(context)

    assert len(jpegs(frame.frame_user_meta_list)) == 1
    assert "want a file that can be written" in capsys.readouterr().out


def test_a_lower_quality_makes_a_smaller_picture(batched: tuple[Any, Any], context: int) -> None:
    buffer, frame = batched
    pixels = pyds.get_nvds_buf_surface(hash(buffer), 1)
    pixels[:] = np.random.default_rng(0).integers(0, 255, pixels.shape, np.uint8)

    for quality in (95, 20):
        args = asked(isFrame=1, quality=quality)
        pyds.nvds_obj_enc_process(context, args, hash(buffer), None, frame)
    pyds.nvds_obj_enc_finish(context)

    fine, coarse = (len(meta.user_meta_data.jpeg) for meta in frame.user_metas)
    assert coarse < fine / 2


def test_the_time_is_printed_when_asked_for(
    batched: tuple[Any, Any], context: int, capsys: pytest.CaptureFixture[str]
) -> None:
    buffer, frame = batched

    args = asked(isFrame=1, calcEncodeTime=1)
    pyds.nvds_obj_enc_process(context, args, hash(buffer), None, frame)
    pyds.nvds_obj_enc_finish(context)

    assert "encode time of 64x48: " in capsys.readouterr().out


def test_nothing_is_encoded_without_buffer_or_context(
    batched: tuple[Any, Any], context: int
) -> None:
    buffer, frame = batched

    assert not pyds.nvds_obj_enc_process(0, asked(isFrame=1), hash(buffer), None, frame)
    assert not pyds.nvds_obj_enc_process(context, asked(isFrame=1), 0, None, frame)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(
            lambda c, b, f: pyds.nvds_obj_enc_process(c, asked(), b, None, f),
            "no obj_meta, want one, or isFrame set",
            id="neither-object-nor-frame",
        ),
        pytest.param(
            lambda c, b, f: pyds.nvds_obj_enc_process(c, asked(quality=0, isFrame=1), b, None, f),
            "quality: 0, want 1 to 100",
            id="quality-not-set",
        ),
        pytest.param(
            lambda c, b, f: pyds.nvds_obj_enc_process(
                c, asked(isFrame=1, scaleImg=1, scaledWidth=65, scaledHeight=48), b, None, f
            ),
            "65 x 48, want at most the frame's 64 x 48",
            id="scaled-beyond-the-frame",
        ),
        pytest.param(
            lambda c, b, f: pyds.nvds_obj_enc_process(c, asked(), b, item_at(70, 0, 9, 9), f),
            "is outside the frame, want one inside 64 x 48",
            id="object-outside",
        ),
        pytest.param(
            lambda c, b, f: pyds.nvds_obj_enc_finish(c + 1000),
            "is no context, want one of nvds_obj_enc_create_context",
            id="no-such-context",
        ),
        pytest.param(
            lambda c, b, f: pyds.nvds_obj_enc_process(
                c, asked(isFrame=1), hash(Gst.Buffer.new()), None, f
            ),
            "no frame 1 in the buffer, want one of its 0",
            id="another-buffer",
        ),
    ],
)
def test_what_the_device_leaves_undefined_is_refused(
    batched: tuple[Any, Any],
    context: int,
    call: Callable[[int, int, Any], object],
    message: str,
) -> None:
    buffer, frame = batched

    with pytest.raises(ValueError, match=message):
        call(context, hash(buffer), frame)


def test_a_flag_takes_a_number_and_no_text() -> None:
    args: Any = pyds.NvDsObjEncUsrArgs()

    args.saveImg = 1

    assert args.saveImg is True
    with pytest.raises(TypeError, match="isFrame: 'yes' is str, want True or False"):
        args.isFrame = "yes"


def test_a_context_wants_the_number_of_a_gpu() -> None:
    gpu: Any = "0"

    with pytest.raises(TypeError, match="'0', want the number of a GPU"):
        pyds.nvds_obj_enc_create_context(gpu)
