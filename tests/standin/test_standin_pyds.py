"""pyds: which of its names exist here, and what those do that no element needs."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.standin.pipelines import RGBA, through

pytestmark = [pytest.mark.gst, pytest.mark.usefixtures("stand_ins")]

ROOT = Path(__file__).parents[2]
README = ROOT / "plugins" / "standin" / "README.md"
# What the bindings' sources define, by regular expression from their cb7fd9c.
NAMES = json.loads((Path(__file__).parent / "pyds_1_2_0.json").read_text())
DEVICE_MEMORY = "it works on device memory"
ABSENT = {
    "NvBufSurfaceCopy": DEVICE_MEMORY,
    "NvBufSurfaceCreate": DEVICE_MEMORY,
    "NvBufSurfaceDestroy": DEVICE_MEMORY,
    "NvBufSurfaceFromFd": DEVICE_MEMORY,
    "NvBufSurfaceMap": DEVICE_MEMORY,
    "NvBufSurfaceMapEglImage": DEVICE_MEMORY,
    "NvBufSurfaceMemSet": DEVICE_MEMORY,
    "NvBufSurfaceSyncForCpu": DEVICE_MEMORY,
    "NvBufSurfaceSyncForDevice": DEVICE_MEMORY,
    "NvBufSurfaceUnMap": DEVICE_MEMORY,
    "NvDsInferTensorMeta.out_buf_ptrs_dev": DEVICE_MEMORY,
    "NvDsMeta.meta": "no Python type shows a GstMeta",
    "NvDsMetaPool.element_size": "there are no pools",
    "NvDsMetaPool.empty_list": "there are no pools",
    "NvDsMetaPool.max_elements_in_pool": "there are no pools",
    "NvDsMetaPool.num_empty_elements": "there are no pools",
    "gst_buffer_add_nvds_meta": "nothing in Python is the GstBuffer that it takes",
    "nvds_clear_meta_list": "a list does not tell whose it is",
    "nvds_get_current_metadata_info": "what it prints is not published",
}


@pytest.fixture
def pyds(stand_ins: None) -> Any:
    return importlib.import_module("pyds")


def all_names() -> set[str]:
    members = {name for names in NAMES["enumerations"].values() for name in names}
    kinds = {*NAMES["classes"], *NAMES["enumerations"]}
    return {"__version__", *NAMES["functions"], *kinds, *members}


def test_each_name_of_pyds_is_here_or_absent_for_a_reason_and_no_other_name_is(pyds: Any) -> None:
    here = {name for name in vars(pyds) if not name.startswith("_")} | {"__version__"}

    assert all_names() - here == {name for name in ABSENT if "." not in name}
    assert here - all_names() == set()


def test_each_member_of_each_structure_is_here_or_absent_for_a_reason(pyds: Any) -> None:
    missing = {
        f"{kind}.{member}"
        for kind, members in NAMES["classes"].items()
        for member in members
        if not hasattr(getattr(pyds, kind), member)
    }

    assert missing == {name for name in ABSENT if "." in name}


def test_each_enumeration_has_the_members_of_pyds_in_its_order(pyds: Any) -> None:
    here = {
        kind: [item.name for item in sorted(getattr(pyds, kind))] for kind in NAMES["enumerations"]
    }

    assert here == {kind: [*names] for kind, names in NAMES["enumerations"].items()}
    assert pyds.NVBUF_COLOR_FORMAT_RGBA == 19
    assert pyds.NVDS_BATCH_GST_META == 4097


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_an_absent_name_says_why_and_the_readme_lists_it(pyds: Any, name: str) -> None:
    kind, _, member = name.rpartition(".")
    owner = getattr(pyds, kind)() if kind else pyds

    with pytest.raises(AttributeError, match=f"pyds.{name}: the CPU stand-in has none: ") as error:
        getattr(owner, member)

    assert ABSENT[name] in str(error.value)
    assert f"`{name}`" in README.read_text()


def test_a_name_that_pyds_does_not_have_says_so(pyds: Any) -> None:
    for owner, member, name in ((pyds, "dance", "dance"), (pyds.NvDsRect(), "z", "NvDsRect.z")):
        with pytest.raises(AttributeError, match=rf"pyds\.{name}: pyds 1\.2\.0 has no such name"):
            getattr(owner, member)


def test_every_structure_that_pyds_can_make_can_be_made_copied_and_cast(pyds: Any) -> None:
    for name in NAMES["classes"]:
        if name == "GList":
            continue
        item = getattr(pyds, name)()
        assert type(item.copy()) is type(item)
        assert getattr(pyds, name).cast(item) is item


def frame_with_parent(pyds: Any) -> tuple[Any, Any]:
    batch = pyds.nvds_create_batch_meta(2)
    frame = pyds.nvds_acquire_frame_meta_from_pool(batch)
    pyds.nvds_add_frame_meta_to_batch(batch, frame)
    person, helmet = (pyds.nvds_acquire_obj_meta_from_pool(batch) for _ in range(2))
    helmet.text_params.display_text = "helmet"
    pyds.nvds_add_obj_meta_to_frame(frame, person, None)
    pyds.nvds_add_obj_meta_to_frame(frame, helmet, person)
    return batch, frame


def test_copied_objects_are_appended_have_copied_parents_and_belong_to_the_target(
    pyds: Any,
) -> None:
    _, source = frame_with_parent(pyds)
    batch, target = frame_with_parent(pyds)

    pyds.nvds_copy_obj_meta_list(source.obj_meta_list, target)

    person, helmet = target.objects[2:]
    assert target.num_obj_meta == 4
    assert helmet.parent is person
    assert person is not source.objects[0]
    assert person.base_meta.batch_meta is batch
    assert pyds.get_string(helmet.text_params.display_text) == "helmet"


def test_frames_displays_and_user_metas_are_copied_too(pyds: Any) -> None:
    batch, frame = frame_with_parent(pyds)
    other = pyds.nvds_create_batch_meta(2)
    display = pyds.nvds_acquire_display_meta_from_pool(batch)
    display.num_rects = 1
    user = pyds.nvds_acquire_user_meta_from_pool(batch)
    user.user_meta_data = pyds.alloc_nvds_event()
    pyds.nvds_add_display_meta_to_frame(frame, display)
    pyds.nvds_add_user_meta_to_frame(frame, user)

    pyds.nvds_copy_frame_meta_list(batch.frame_meta_list, other)
    copied = other.frames[0]
    pyds.nvds_copy_display_meta_list(frame.display_meta_list, copied)
    pyds.nvds_copy_frame_user_meta_list(frame.frame_user_meta_list, copied)
    pyds.nvds_copy_batch_user_meta_list(frame.frame_user_meta_list, other)
    pyds.nvds_copy_obj_meta_list(None, copied)

    assert copied.base_meta.batch_meta is other
    assert [item.num_rects for item in copied.displays] == [1, 1]
    assert len(copied.user_metas) == 2
    assert other.user_metas[0].user_meta_data is not user.user_meta_data
    assert other.user_meta_pool.num_full_elements == 3
    assert other.user_meta_pool.meta_type == pyds.NVDS_USER_META


def test_destroying_a_batch_releases_its_user_metas(pyds: Any) -> None:
    batch, frame = frame_with_parent(pyds)
    released = []
    user = pyds.nvds_acquire_user_meta_from_pool(batch)
    pyds.user_releasefunc(user, lambda meta, _data: released.append(meta))
    pyds.nvds_add_user_meta_to_frame(frame, user)

    copied = pyds.nvds_batch_meta_copy_func(batch, None)
    pyds.nvds_batch_meta_release_func(copied, None)
    pyds.unset_callback_funcs()

    assert len(released) == 1
    assert (copied.frame_meta_list, batch.num_frames_in_batch) == (None, 1)


def test_what_an_application_attaches_is_there_behind_a_converter(pyds: Any) -> None:
    kind = pyds.nvds_get_user_meta_type("NVIDIA.DSANALYTICSFRAME.USER_META")

    def attach(batch: Any) -> None:
        user = pyds.nvds_acquire_user_meta_from_pool(batch)
        user.base_meta.meta_type = kind
        user.user_meta_data = pyds.NvDsAnalyticsFrameMeta()
        user.user_meta_data.objInROIcnt = {"edge": 2}
        user.user_meta_data.objCnt = {0: 3}
        pyds.nvds_add_user_meta_to_frame(batch.frames[0], user)

    batch = through(f"nvvideoconvert ! {RGBA} ! queue", before=attach)

    user = pyds.NvDsUserMeta.cast(batch.frames[0].frame_user_meta_list.data)
    counts = pyds.NvDsAnalyticsFrameMeta.cast(user.user_meta_data)
    assert user.base_meta.meta_type == kind
    assert (counts.objInROIcnt, counts.objCnt, counts.ocStatus) == ({"edge": 2}, {0: 3}, {})


def test_a_container_of_analytics_is_read_as_a_copy_and_takes_its_own_kind(pyds: Any) -> None:
    info = pyds.NvDsAnalyticsObjInfo()
    info.roiStatus = ["edge"]

    info.roiStatus.append("roof")

    assert info.roiStatus == ["edge"]
    with pytest.raises(TypeError, match="lcStatus: 'line' is str, want list"):
        info.lcStatus = "line"


def test_masks_and_flow_vectors_are_copies_of_the_form_that_samples_expect(pyds: Any) -> None:
    masks = pyds.NvDsInferSegmentationMeta()
    masks.width, masks.height, masks.class_map = 3, 2, np.arange(6, dtype=np.int32) - 1
    flow = pyds.NvDsOpticalFlowMeta()
    flow.rows, flow.cols, flow.data = 1, 2, np.array([[[1, -2], [3, 4]]], np.int16)

    classes, vectors = pyds.get_segmentation_masks(masks), pyds.get_optical_flow_vectors(flow)
    classes_before = classes.copy()
    masks.class_map[:] = 9

    assert classes.tolist() == classes_before.tolist() == [[-1, 0, 1], [2, 3, 4]]
    assert vectors.tolist() == [1, -2, 3, 4]
    assert vectors.dtype == np.float32
    flow.cols = 3
    with pytest.raises(ValueError, match=r"NvDsOpticalFlowMeta\.data: 4 values, want rows x cols"):
        pyds.get_optical_flow_vectors(flow)


def test_a_reid_vector_is_a_copy_of_its_length(pyds: Any) -> None:
    reid = pyds.NvDsObjReid()
    reid.featureSize = 2
    empty = reid.get_host_reid_vector()
    reid.stand_in_vector = np.array([0.5, 0.25, 1.0], np.float32)

    assert empty.tolist() == [0, 0]
    assert reid.get_host_reid_vector().tolist() == [0.5, 0.25]


@pytest.mark.parametrize(("kind", "kept"), [("person", True), ("face", False)])
def test_a_message_s_copy_has_a_person_of_its_own_and_no_face(
    pyds: Any, kind: str, kept: bool
) -> None:
    message = pyds.alloc_nvds_event_msg_meta(pyds.NvDsUserMeta())
    message.objType = getattr(pyds, f"NVDS_OBJECT_TYPE_{kind.upper()}")
    message.extMsg = getattr(pyds, f"alloc_nvds_{kind}_object")()
    message.extMsg.hair, message.extMsgSize = "grey", 40

    copied = message.copy()

    if kept:
        assert copied.extMsg is not message.extMsg
        assert pyds.get_string(copied.extMsg.hair) == "grey"
    else:
        assert (copied.extMsg, copied.extMsgSize) == (None, 0)


def test_memory_is_copied_byte_by_byte(pyds: Any) -> None:
    source = pyds.alloc_buffer(40)
    pyds.generate_ts_rfc3339(source, 40)

    copied = pyds.memdup(source, 40)
    pyds.free_buffer(source)

    assert pyds.get_string(copied).endswith("Z")
    assert pyds.memdup(0, 4) == 0
    pyds.free_gbuffer(None)


def test_extended_objects_payloads_and_drawing_lists_keep_what_they_are_given(pyds: Any) -> None:
    payload, vehicle = pyds.alloc_nvds_payload(), pyds.NvDsVehicleObjectExt()
    payload.payload, payload.payloadSize = b"{}", 2
    vehicle.license, vehicle.mask = "ZH 1", [[0, 0, 4, 4]]
    boxes = pyds.NvOSD_FrameRectParams()
    boxes.num_rects, boxes.rect_params_list = 1, pyds.NvOSD_RectParams()

    assert (payload.payload, payload.payloadSize) == (b"{}", 2)
    assert (vehicle.copy().license, vehicle.mask) == ("ZH 1", [[0, 0, 4, 4]])
    assert boxes.rect_params_list.width == 0
    planes = pyds.NvBufSurfaceParams().planeParams
    assert planes.pitch.tolist() == [0, 0, 0, 0]
