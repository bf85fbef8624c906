"""An incident's start and JPEGs of it, for tests of snapshots."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from ropewatch.decision import RopeState
from ropewatch.evidence import Evidence
from ropewatch.incidents import IncidentEvent, Phase
from ropewatch.settings import AlertWhen

START = IncidentEvent(
    phase=Phase.START,
    incident_id="01INCIDENT",
    revision=1,
    source_id="cam",
    person=3,
    object_ids=(7,),
    pts_ns=5_000_000_000,
    ntp_ns=None,
    box_ltwh_px=(300.0, 120.0, 40.0, 80.0),
    frame_wh_px=(640, 360),
    score=0.9,
    smoothed=0.8,
    threshold=0.5,
    alert_when=AlertWhen.AT_OR_ABOVE,
    score_label="unroped",
    state=RopeState.UNSAFE,
    samples=6,
    evidence_age_s=0.0,
    started_pts_ns=5_000_000_000,
    evidence=Evidence(trail=(), crop_ltwh_px=(260.0, 104.0, 120.0, 216.0), tracks=(), crossed=()),
)


def jpeg_of(rgb: npt.NDArray[np.uint8]) -> bytes:
    """Encode (H, W, 3) finely."""
    memory = io.BytesIO()
    Image.fromarray(rgb).save(memory, "JPEG", quality=98, subsampling=0)
    return memory.getvalue()
