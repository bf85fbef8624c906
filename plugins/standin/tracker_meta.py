"""The tracker's structures of pyds: where targets were unseen, and how they look."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from plugins.standin.osd_params import NvOSD_RectParams
from plugins.standin.structs import (
    CharArray,
    Field,
    Float32,
    Int,
    Nested,
    Owned,
    Struct,
    uint,
    uint64,
)

__all__ = [
    "NvDsObjReid",
    "NvDsTargetMiscDataBatch",
    "NvDsTargetMiscDataFrame",
    "NvDsTargetMiscDataObject",
    "NvDsTargetMiscDataStream",
]


class NvDsTargetMiscDataFrame(Struct):
    """One target in one past frame; the box in muxer-output pixels."""

    __slots__ = ()
    frameNum = uint()  # noqa: N815  NVIDIA's name
    tBbox = Nested(NvOSD_RectParams)  # noqa: N815  NVIDIA's name
    confidence = Float32()
    age = uint()


class NvDsTargetMiscDataObject(Struct):
    """The past frames of one target, the oldest first."""

    __slots__ = ()
    frames: Owned[NvDsTargetMiscDataFrame] = Owned()
    uniqueId = uint64()  # noqa: N815  NVIDIA's name
    classId = Int(bits=16, signed=False)  # noqa: N815  NVIDIA's name
    objLabel = CharArray()  # noqa: N815  NVIDIA's name

    @property
    def numObj(self) -> int:  # noqa: N802  NVIDIA's name
        """How many frames there are."""
        return len(self.frames)

    def list(self) -> Iterator[NvDsTargetMiscDataFrame]:
        """Walk the frames."""
        return iter(self.frames)


class NvDsTargetMiscDataStream(Struct):
    """The targets of one stream."""

    __slots__ = ()
    objects: Owned[NvDsTargetMiscDataObject] = Owned()
    streamID = uint()  # noqa: N815  NVIDIA's name
    surfaceStreamID = uint64()  # noqa: N815  NVIDIA's name
    numAllocated = uint()  # noqa: N815  NVIDIA's name

    @property
    def numFilled(self) -> int:  # noqa: N802  NVIDIA's name
        """How many targets there are."""
        return len(self.objects)

    def list(self) -> Iterator[NvDsTargetMiscDataObject]:
        """Walk the targets."""
        return iter(self.objects)


class NvDsTargetMiscDataBatch(Struct):
    """The streams of a batch."""

    __slots__ = ()
    streams: Owned[NvDsTargetMiscDataStream] = Owned()
    numAllocated = uint()  # noqa: N815  NVIDIA's name

    @property
    def numFilled(self) -> int:  # noqa: N802  NVIDIA's name
        """How many streams there are."""
        return len(self.streams)

    def list(self) -> Iterator[NvDsTargetMiscDataStream]:
        """Walk the streams."""
        return iter(self.streams)


class NvDsObjReid(Struct):
    """A target's re-identification vector: `stand_in_vector` is (featureSize,) float32."""

    __slots__ = ()
    featureSize = uint()  # noqa: N815  NVIDIA's name
    stand_in_vector: Field[npt.NDArray[np.float32] | None] = Field(None)

    def get_host_reid_vector(self) -> npt.NDArray[np.float32]:
        """Copy the vector, (featureSize,) float32; zeros where nobody has filled it."""
        if self.stand_in_vector is None:
            return np.zeros(self.featureSize, np.float32)
        return np.array(self.stand_in_vector[: self.featureSize], np.float32)
