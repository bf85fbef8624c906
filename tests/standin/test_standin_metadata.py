"""Metadata behaves as pyds does, without GStreamer."""

import gc
import struct

import numpy as np
import pytest

from plugins.standin import metadata as m
from plugins.standin.structs import string_at


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def frame_with(*objects: m.NvDsObjectMeta) -> m.NvDsFrameMeta:
    frame = m.NvDsFrameMeta()
    frame.objects.extend(objects)
    return frame


def test_a_box_is_rounded_to_32_bits_and_restores_bit_for_bit() -> None:
    rect = m.NvDsObjectMeta().rect_params
    rect.left = 0.1

    saved = rect.left
    rect.left = 500.0
    rect.left = saved

    assert saved == float32(0.1) != 0.1
    assert rect.left == saved


def test_an_unsigned_field_refuses_a_float_and_a_negative_number() -> None:
    text = m.NvDsObjectMeta().text_params

    with pytest.raises(TypeError, match=r"x_offset: 1\.5 is float, want an integer from 0"):
        text.x_offset = 1.5  # type: ignore[assignment]
    with pytest.raises(TypeError, match="y_offset: -1 is int, want an integer from 0"):
        text.y_offset = -1


def test_defaults_are_those_of_the_pool() -> None:
    item = m.NvDsObjectMeta()

    assert item.object_id == 2**64 - 1
    assert item.obj_label == ""
    assert item.text_params.display_text == 0
    assert item.base_meta.meta_type == m.NvDsMetaType.NVDS_OBJ_META
    assert m.NvDsFrameMeta().num_surfaces_per_frame == 1


def test_a_label_is_cut_at_127_bytes() -> None:
    item = m.NvDsObjectMeta()

    item.obj_label = "x" * 200

    assert item.obj_label == "x" * 127


def test_a_shorter_label_keeps_the_tail_of_the_longer_one_unless_it_ends_in_nul() -> None:
    item = m.NvDsObjectMeta()
    item.obj_label = "person"

    item.obj_label = "dog"
    kept = item.obj_label
    item.obj_label = "dog\0"

    assert kept == "dogson"
    assert item.obj_label == "dog"


def test_display_text_is_read_as_an_address_that_get_string_takes() -> None:
    item = m.NvDsObjectMeta()
    item.text_params.display_text = "grüezi"

    address = item.text_params.display_text

    assert isinstance(address, int)
    assert string_at(address) == "grüezi"


def test_the_address_of_a_text_that_is_gone_is_refused() -> None:
    item = m.NvDsObjectMeta()
    item.text_params.display_text = "gone"
    address = item.text_params.display_text

    del item
    gc.collect()

    with pytest.raises(ValueError, match="no text that is alive"):
        string_at(address)


def test_an_empty_list_is_none_and_the_last_node_has_no_next() -> None:
    frame = frame_with(m.NvDsObjectMeta())

    node = frame.obj_meta_list

    assert m.NvDsFrameMeta().obj_meta_list is None
    assert node is not None
    assert node.next is None
    assert m.NvDsObjectMeta.cast(node.data) is frame.objects[0]


def test_nodes_lead_back_as_well() -> None:
    frame = frame_with(*(m.NvDsObjectMeta() for _ in range(3)))
    first = frame.obj_meta_list
    assert first is not None
    assert first.prev is None
    assert first.next is not None

    last = first.next.next

    assert last is not None
    assert last.prev is not None
    assert last.prev.prev is not None
    assert [last.prev.prev.data, last.prev.data, last.data] == frame.objects
    assert last.prev.next is last
    assert last.prev.prev.prev is None


def test_casting_nothing_raises_stop_iteration_as_the_samples_expect() -> None:
    with pytest.raises(StopIteration):
        m.NvDsFrameMeta.cast(None)


def test_casting_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="the data is NvDsFrameMeta, want NvDsObjectMeta"):
        m.NvDsObjectMeta.cast(m.NvDsFrameMeta())


def test_removing_while_walking_reaches_every_object() -> None:
    objects = [m.NvDsObjectMeta() for _ in range(4)]
    frame = frame_with(*objects)
    seen = []

    node = frame.obj_meta_list
    while node is not None:
        following = node.next
        seen.append(node.data)
        frame.objects.remove(node.data)
        node = following

    assert seen == objects
    assert frame.num_obj_meta == 0


def test_a_copy_of_a_batch_shares_no_metadata_but_the_surfaces() -> None:
    surface = object()
    batch = m.NvDsBatchMeta(4)
    item = m.NvDsObjectMeta()
    item.rect_params.left = 3.0
    item.text_params.display_text = "a"
    verdict = m.NvDsClassifierMeta()
    label = m.NvDsLabelInfo()
    label.result_label = "safe"
    verdict.labels.append(label)
    item.classifiers.append(verdict)
    batch.frames.append(frame_with(item))
    batch.surfaces.append(surface)

    twin = batch.copy()
    copied = twin.frames[0].objects[0]
    copied.rect_params.left = 9.0
    copied.text_params.display_text = "b"
    copied.classifiers[0].labels[0].result_label = "unsafe"

    assert item.rect_params.left == 3.0
    assert string_at(item.text_params.display_text) == "a"
    assert item.classifiers[0].labels[0].result_label == "safe"
    assert twin.surfaces == [surface]
    assert twin.surfaces is not batch.surfaces


def test_a_copied_child_has_the_copied_parent() -> None:
    parent, child = m.NvDsObjectMeta(), m.NvDsObjectMeta()
    child.parent = parent

    copied = frame_with(parent, child).copy()

    assert copied.objects[1].parent is copied.objects[0]
    assert copied.objects[0] is not parent


def test_a_user_meta_is_copied_and_released_by_its_writers_functions() -> None:
    released = []
    meta = m.NvDsUserMeta()
    meta.user_meta_data = [1]
    meta.copy_func = lambda item: [*item.user_meta_data, 2]
    meta.release_func = lambda item: released.append(item.user_meta_data)
    batch = m.NvDsBatchMeta()
    batch.user_metas.append(meta)

    twin = batch.copy()
    twin.release()

    assert twin.user_metas[0].user_meta_data == [1, 2]
    assert meta.user_meta_data == [1]
    assert released == [[1, 2]]


def test_tensor_meta_gives_host_addresses_of_the_values() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = m.NvDsInferTensorMeta.of({"scores": values}, unique_id=3, network_wh=(8, 4))

    described = tensors.output_layers_info(0)
    layer = tensors.layer_with_buffer(0)

    assert described.buffer is None
    assert tensors.output_layers_info(0).buffer is None
    assert layer.layerName == "scores"
    assert layer.inferDims.d[: layer.inferDims.numDims] == [2, 3]
    assert layer.buffer.address == tensors.out_buf_ptrs_host[0]


def test_dropped_batches_leave_no_live_objects() -> None:
    before = m.live_objects()
    batch = m.NvDsBatchMeta()
    item = m.NvDsObjectMeta()
    item.base_meta.batch_meta = batch
    batch.frames.append(frame_with(item))
    batch.copy()

    del batch, item

    assert m.live_objects() == before
