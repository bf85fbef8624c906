"""The object encoder behind the pyds door; what it gives with pixels is in tests/pipeline."""

from enum import IntEnum
from typing import Any

import pytest

from deepstream.meta import FrameEncoder, FrameMeta
from ropewatch.errors import BackendError


class Pyds:
    """An encoder that does as it is told: starts or not, takes a frame or not."""

    class NvDsMetaType(IntEnum):
        NVDS_CROP_IMAGE_META = 14

    class NvDsObjEncUsrArgs:
        pass

    def __init__(self, *, context: int, takes: bool) -> None:
        self.context, self.takes = context, takes
        self.finished: list[int] = []
        self.destroyed: list[int] = []

    def nvds_obj_enc_create_context(self, _gpu_id: int) -> int:
        return self.context

    def nvds_obj_enc_process(self, *_: Any) -> bool:
        return self.takes

    def nvds_obj_enc_finish(self, context: int) -> None:
        self.finished.append(context)

    def nvds_obj_enc_destroy_context(self, context: int) -> None:
        self.destroyed.append(context)


class View:
    frame_user_meta_list = None


FRAME = FrameMeta(0, 12, 0, None, True, 1, View())


def test_an_encoder_that_does_not_start_is_refused_with_the_way_out() -> None:
    with pytest.raises(BackendError, match=r"snapshots: .* set snapshots\.enabled to false"):
        FrameEncoder(Pyds(context=0, takes=True), quality=95)


@pytest.mark.parametrize("takes", [True, False])
def test_a_frame_without_a_jpeg_says_so(takes: bool) -> None:
    encoder = FrameEncoder(Pyds(context=5, takes=takes), quality=95)

    with pytest.raises(RuntimeError, match=r"frame \(0, 12\): the object encoder gave no JPEG"):
        encoder.jpeg(FRAME)


def test_close_destroys_the_context() -> None:
    pyds = Pyds(context=5, takes=True)

    FrameEncoder(pyds, quality=95).close()

    assert pyds.destroyed == [5]
