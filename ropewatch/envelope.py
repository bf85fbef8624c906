"""What a CloudEvents envelope says of the data in it: made by a box, compared by a consumer."""

from ropewatch.payloads import ClockCorrection, IncidentData


def envelope_of(data: IncidentData | ClockCorrection) -> dict[str, str]:
    """Return the fields of the envelope that follow from its data; `id` is the dedupe key."""
    run, where = f"{data.box}:{data.boot_id}", f"/{data.site}/{data.box}"
    if isinstance(data, ClockCorrection):
        return {
            "id": f"{run}:clock:{data.number}",
            "source": where,
            "type": "io.ropewatch.clock.correction.v1",
            "subject": data.boot_id,
        }
    return {
        "id": f"{run}:{data.sequence}",
        "source": f"{where}/{data.camera}",
        "type": f"io.ropewatch.incident.{data.phase.value}.v1",
        "subject": data.incident_id,
    }
