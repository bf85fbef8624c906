"""What goes into nvmsgconv, and custom user metas: the payload structures of pyds."""

from enum import IntEnum
from typing import Any

from typing_extensions import Self, override

from plugins.standin.structs import (
    CString,
    Field,
    Float32,
    Float64,
    Int,
    Nested,
    Struct,
    uint,
    uint64,
)

__all__ = [
    "CustomDataStruct",
    "NvDsCoordinate",
    "NvDsEvent",
    "NvDsEventMsgMeta",
    "NvDsEventType",
    "NvDsFaceObject",
    "NvDsFaceObjectWithExt",
    "NvDsGeoLocation",
    "NvDsObjectSignature",
    "NvDsObjectType",
    "NvDsPayload",
    "NvDsPayloadType",
    "NvDsPersonObject",
    "NvDsPersonObjectExt",
    "NvDsRect",
    "NvDsVehicleObject",
    "NvDsVehicleObjectExt",
]


class NvDsEventType(IntEnum):
    """What happened."""

    NVDS_EVENT_ENTRY = 0
    NVDS_EVENT_EXIT = 1
    NVDS_EVENT_MOVING = 2
    NVDS_EVENT_STOPPED = 3
    NVDS_EVENT_EMPTY = 4
    NVDS_EVENT_PARKED = 5
    NVDS_EVENT_RESET = 6
    NVDS_EVENT_RESERVED = 0x100
    NVDS_EVENT_CUSTOM = 0x101
    NVDS_EVENT_FORCE32 = 0x7FFFFFFF


class NvDsObjectType(IntEnum):
    """What it happened to."""

    NVDS_OBJECT_TYPE_VEHICLE = 0
    NVDS_OBJECT_TYPE_PERSON = 1
    NVDS_OBJECT_TYPE_FACE = 2
    NVDS_OBJECT_TYPE_BAG = 3
    NVDS_OBJECT_TYPE_BICYCLE = 4
    NVDS_OBJECT_TYPE_ROADSIGN = 5
    NVDS_OBJECT_TYPE_VEHICLE_EXT = 6
    NVDS_OBJECT_TYPE_PERSON_EXT = 7
    NVDS_OBJECT_TYPE_FACE_EXT = 8
    NVDS_OBJECT_TYPE_RESERVED = 0x100
    NVDS_OBJECT_TYPE_CUSTOM = 0x101
    NVDS_OBJECT_TYPE_UNKNOWN = 0x102
    NVDS_OBEJCT_TYPE_FORCE32 = 0x7FFFFFFF


class NvDsPayloadType(IntEnum):
    """How nvmsgconv writes a message, as far as pyds 1.2.0 has names for it."""

    NVDS_PAYLOAD_DEEPSTREAM = 0
    NVDS_PAYLOAD_DEEPSTREAM_MINIMAL = 1
    NVDS_PAYLOAD_RESERVED = 0x100
    NVDS_PAYLOAD_CUSTOM = 0x101
    NVDS_PAYLOAD_FORCE32 = 0x7FFFFFFF


class NvDsRect(Struct):
    """A box in pixels."""

    __slots__ = ()
    top = Float32()
    left = Float32()
    width = Float32()
    height = Float32()


class NvDsGeoLocation(Struct):
    """Where on earth, degrees and metres."""

    __slots__ = ()
    lat = Float64()
    lon = Float64()
    alt = Float64()


class NvDsCoordinate(Struct):
    """Where on the site."""

    __slots__ = ()
    x = Float64()
    y = Float64()
    z = Float64()


class NvDsObjectSignature(Struct):
    """A re-identification vector."""

    __slots__ = ()
    signature: Field[Any] = Field(None)
    size = Int()


class NvDsVehicleObject(Struct):
    """A vehicle's attributes."""

    __slots__ = ()
    type = CString()
    make = CString()
    model = CString()
    color = CString()
    region = CString()
    license = CString()


class NvDsPersonObject(Struct):
    """A person's attributes."""

    __slots__ = ()
    gender = CString()
    hair = CString()
    cap = CString()
    apparel = CString()
    age = Int()


class NvDsFaceObject(Struct):
    """A face's attributes."""

    __slots__ = ()
    gender = CString()
    hair = CString()
    cap = CString()
    glasses = CString()
    facialhair = CString()
    name = CString()
    eyecolor = CString()
    age = Int()


class NvDsVehicleObjectExt(Struct):
    """A vehicle's attributes and the polygons of its mask; these texts are read as texts."""

    __slots__ = ()
    type: Field[str | None] = Field(None)
    make: Field[str | None] = Field(None)
    model: Field[str | None] = Field(None)
    color: Field[str | None] = Field(None)
    region: Field[str | None] = Field(None)
    license: Field[str | None] = Field(None)
    mask: Field[Any] = Field(None)


class NvDsPersonObjectExt(Struct):
    """A person's attributes and the polygons of its mask; these texts are read as texts."""

    __slots__ = ()
    gender: Field[str | None] = Field(None)
    hair: Field[str | None] = Field(None)
    cap: Field[str | None] = Field(None)
    apparel: Field[str | None] = Field(None)
    age = uint()
    mask: Field[Any] = Field(None)


class NvDsFaceObjectWithExt(Struct):
    """A face's attributes and the polygons of its mask; these texts are read as texts."""

    __slots__ = ()
    gender: Field[str | None] = Field(None)
    hair: Field[str | None] = Field(None)
    cap: Field[str | None] = Field(None)
    glasses: Field[str | None] = Field(None)
    facialhair: Field[str | None] = Field(None)
    name: Field[str | None] = Field(None)
    eyecolor: Field[str | None] = Field(None)
    age = uint()
    mask: Field[Any] = Field(None)


class NvDsEventMsgMeta(Struct):
    """One message about one object."""

    __slots__ = ()
    type = Int()
    objType = Int()  # noqa: N815  NVIDIA's name
    bbox = Nested(NvDsRect)
    location = Nested(NvDsGeoLocation)
    coordinate = Nested(NvDsCoordinate)
    objSignature = Nested(NvDsObjectSignature)  # noqa: N815  NVIDIA's name
    objClassId = Int()  # noqa: N815  NVIDIA's name
    sensorId = Int()  # noqa: N815  NVIDIA's name
    moduleId = Int()  # noqa: N815  NVIDIA's name
    placeId = Int()  # noqa: N815  NVIDIA's name
    componentId = Int()  # noqa: N815  NVIDIA's name
    frameId = Int()  # noqa: N815  NVIDIA's name
    confidence = Float64()
    trackingId = uint64()  # noqa: N815  NVIDIA's name
    ts = CString()
    objectId = CString()  # noqa: N815  NVIDIA's name
    sensorStr = CString()  # noqa: N815  NVIDIA's name
    otherAttrs = CString()  # noqa: N815  NVIDIA's name
    videoPath = CString()  # noqa: N815  NVIDIA's name
    extMsg: Field[Any] = Field(None)  # noqa: N815  NVIDIA's name
    extMsgSize = Int()  # noqa: N815  NVIDIA's name

    @override
    def copy(self) -> Self:
        """Copy the message; of what extMsg holds only a vehicle or a person, as pyds does."""
        other = super().copy()
        kind = _COPIED.get(self.objType) if self.extMsgSize > 0 else None
        if kind is not None and isinstance(self.extMsg, kind):
            other.extMsg = self.extMsg.copy()
        else:
            other.extMsg, other.extMsgSize = None, 0
        return other


_COPIED: dict[int, type[Struct]] = {
    NvDsObjectType.NVDS_OBJECT_TYPE_VEHICLE: NvDsVehicleObject,
    NvDsObjectType.NVDS_OBJECT_TYPE_PERSON: NvDsPersonObject,
}


class NvDsEvent(Struct):
    """An event with its message."""

    __slots__ = ()
    eventType = Int()  # noqa: N815  NVIDIA's name
    metadata: Field[NvDsEventMsgMeta | None] = Field(None)


class NvDsPayload(Struct):
    """A message that nvmsgconv has written: `payload` is bytes, what pyds shows as a pointer."""

    __slots__ = ()
    payload: Field[Any] = Field(None)
    payloadSize = uint()  # noqa: N815  NVIDIA's name
    componentId = uint()  # noqa: N815  NVIDIA's name


class CustomDataStruct(Struct):
    """The user meta of NVIDIA's custom binding sample."""

    __slots__ = ()
    structId = Int()  # noqa: N815  NVIDIA's name
    message = CString()
    sampleInt = Int()  # noqa: N815  NVIDIA's name
