"""What nvinfer calls the engines that it builds; the only names that it looks for by itself."""

import re
from typing import Final

# As `TrtModelBuilder::buildModel` puts it together (DeepStream 9.1, nvdsinfer_model_builder.cpp).
ENGINE_NAME: Final = re.compile(
    r"(?P<onnx>.+)_b(?P<batch>[0-9]+)_(?P<device>(?:gpu|dla)[0-9]+)"
    r"_(?P<precision>fp32|fp16|int8|best)\.engine"
)
# NVDSINFER_MAX_BATCH_SIZE: nvinfer refuses a greater batch-size.
MAX_BATCH: Final = 1024


def engine_name(onnx: str, *, batch: int, precision: str, device: str = "gpu0") -> str:
    """The file that nvinfer writes for an ONNX, beside it.

    Args:
        onnx: the ONNX's file name or path, with its extension.
        batch: nvinfer's batch-size.
        precision: fp32, fp16, int8 or best; nvinfer takes it from network-mode.
        device: gpu and gpu-id, or dla and its core.
    """
    return f"{onnx}_b{batch}_{device}_{precision}.engine"
