"""What pyds 1.2.0 has and the stand-in has not, and why."""

_DEVICE_MEMORY = "it works on device memory; frames are numpy arrays, see get_nvds_buf_surface"
_NO_POOL = "there are no pools, only what is in use: full_list"

ABSENT = {
    **dict.fromkeys(
        (
            "NvBufSurfaceCopy",
            "NvBufSurfaceCreate",
            "NvBufSurfaceDestroy",
            "NvBufSurfaceFromFd",
            "NvBufSurfaceMap",
            "NvBufSurfaceMapEglImage",
            "NvBufSurfaceMemSet",
            "NvBufSurfaceSyncForCpu",
            "NvBufSurfaceSyncForDevice",
            "NvBufSurfaceUnMap",
            "NvDsInferTensorMeta.out_buf_ptrs_dev",
        ),
        _DEVICE_MEMORY,
    ),
    **dict.fromkeys(
        (
            "NvDsMetaPool.element_size",
            "NvDsMetaPool.empty_list",
            "NvDsMetaPool.max_elements_in_pool",
            "NvDsMetaPool.num_empty_elements",
        ),
        _NO_POOL,
    ),
    "NvDsMeta.meta": "no Python type shows a GstMeta, with the real pyds neither",
    "gst_buffer_add_nvds_meta": (
        "nothing in Python is the GstBuffer that it takes, with the real pyds neither; "
        "add a user meta to a frame"
    ),
    "nvds_clear_meta_list": (
        "a list does not tell whose it is; use nvds_clear_obj_meta_list and its kin"
    ),
    "nvds_get_current_metadata_info": "what it prints is not published",
}


def explain(name: str) -> str:
    """Make the text of an AttributeError for a name of pyds, or a member as Struct.member."""
    if name in ABSENT:
        return f"pyds.{name}: the CPU stand-in has none: {ABSENT[name]}"
    return f"pyds.{name}: pyds 1.2.0 has no such name, want one of its own; correct it"
