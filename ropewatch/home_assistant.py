"""What Home Assistant is told to make of a camera's own topics, by its MQTT discovery.

Device discovery, which Home Assistant 2024.11 and later know; fields, templates and the meaning of
"None" are those of https://www.home-assistant.io/integrations/mqtt/. Nothing else is published for
it: it reads the states that every consumer reads.
"""

from typing import Any, Final

from pydantic_core import to_json

from ropewatch.topics import CAMERA_STATE, CAMERA_STATUS, JSON, STATUS
from ropewatch.wire import Message, Wire

# None is Home Assistant's "unknown", which is not off: nobody knows that all are safe. A template
# that fails leaves what was shown before, so these take any content: what is not readable shows
# as unknown, or as unavailable.
_STATE: Final = (
    "{% set state = value_json if value_json is defined and value_json is mapping else {} %}"
    "{% set counts = state.get('counts') %}"
    "{% set counts = counts if counts is mapping else {} %}"
)
_UNSAFE: Final = (
    _STATE + "{{ 'ON' if state.get('open_incidents') or counts.get('unsafe') else "
    "'OFF' if state.get('open_incidents') == [] and counts.get('unsafe') == 0 "
    "and counts.get('unknown') == 0 else 'None' }}"
)
_STATUS: Final = (
    "{% set status = value_json if value_json is defined and value_json is mapping else {} %}"
)
_BOX_RUNS: Final = (
    _STATUS + "{{ 'online' if status.get('status') in ['online', 'degraded'] else 'offline' }}"
)
# Too little is known of these, but what is stays true: an open incident, or people unknown.
_CAMERA_SEES: Final = (
    _STATUS + "{{ 'online' if status.get('status') == 'watching' or "
    "status.get('reason') in ['overloaded', 'unjudged', 'too_small'] else 'offline' }}"
)


def discovery(wire: Wire, camera: str, *, prefix: str, version: str) -> Message:
    """Return the retained message that makes a device of one camera.

    Args:
        wire: of its box.
        camera: its name.
        prefix: Home Assistant's discovery prefix.
        version: of this program.
    """
    names = {"site": wire.site, "box": wire.box}
    node = "__".join(["ropewatch", *(_escaped(name) for name in names.values())])
    content = {
        "device": {
            "identifiers": [f"ropewatch/{wire.site}/{wire.box}/{camera}"],
            "name": f"{camera} ({wire.site}, {wire.box})",
            "manufacturer": "ropewatch",
            "sw_version": version,
        },
        "origin": {"name": "ropewatch", "sw_version": version},
        "availability_mode": "all",
        "availability": [
            {"topic": STATUS.of(**names), "value_template": _BOX_RUNS},
            {"topic": CAMERA_STATUS.of(**names, camera=camera), "value_template": _CAMERA_SEES},
        ],
        "state_topic": CAMERA_STATE.of(**names, camera=camera),
        "qos": CAMERA_STATE.qos,
        "components": _components(wire, camera),
    }
    topic = f"{prefix}/device/{node}/{camera}/config"
    return Message(topic, to_json(content), qos=1, retain=True, expiry_s=None, content_type=JSON)


def _components(wire: Wire, camera: str) -> dict[str, dict[str, Any]]:
    # No name has a slash, so no two of these are the same.
    own = f"ropewatch/{wire.site}/{wire.box}/{camera}"
    unsafe = {
        "platform": "binary_sensor",
        "unique_id": f"{own}/problem",
        "name": "Rope",
        "device_class": "problem",
        "value_template": _UNSAFE,
        "json_attributes_topic": CAMERA_STATE.of(site=wire.site, box=wire.box, camera=camera),
    }
    counts = {
        what: {
            "platform": "sensor",
            "unique_id": f"{own}/{what}",
            "name": f"People {what}",
            "state_class": "measurement",
            "value_template": f"{_STATE}{{{{ counts.get('{what}', 'None') }}}}",
        }
        for what in ("safe", "unsafe", "unknown")
    }
    return {"problem": unsafe, **counts}


def _escaped(name: str) -> str:
    """Return a name that holds no two underscores in a row, different for different names."""
    return name.replace("_", "_u")
