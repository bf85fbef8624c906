"""Errors that an operator can fix; each message says where, what, what was wanted, what to do.

RopewatchError
├── SettingsError      a site file or a setting
├── ModelError         a model, engine, manifest, labels file or nvinfer config
├── SourceError        a camera or a video file
├── BackendError       GStreamer, DeepStream or the stand-ins are not as needed
├── BrokerError        the MQTT broker
└── StoreError         a consumer's database
"""


class RopewatchError(Exception):
    """Base of everything that an operator can fix; the command line shows its text alone."""


class SettingsError(RopewatchError):
    """A site file is missing, is not YAML, or holds a value that cannot be used."""


class ModelError(RopewatchError):
    """A model file, its manifest, its labels or its nvinfer config does not fit."""


class SourceError(RopewatchError):
    """A source cannot be opened or decoded."""


class BackendError(RopewatchError):
    """The machine lacks elements or libraries, or has ones that must not be replaced."""


class BrokerError(RopewatchError):
    """The MQTT broker is absent or refuses."""


class StoreError(RopewatchError):
    """A consumer's database cannot be opened or written."""
