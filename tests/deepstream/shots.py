"""JPEGs for tests of snapshots."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image


def jpeg_of(rgb: npt.NDArray[np.uint8]) -> bytes:
    """Encode (H, W, 3) finely."""
    memory = io.BytesIO()
    Image.fromarray(rgb).save(memory, "JPEG", quality=98, subsampling=0)
    return memory.getvalue()
