"""The classifier's side of the graph: what stands around its nvinfer, and who reads its scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from deepstream.meta import MetaDoor
from deepstream.models import read_backbone
from deepstream.probes.crops import FramesInFlight
from deepstream.probes.expand import ExpandStage
from deepstream.probes.guard import Stage
from deepstream.probes.restore import RestoreStage
from deepstream.probes.scores import CropScores, FrameScores, ScoreLabel, Scores
from ropewatch.labels import check_score_label, read_classifier_labels
from ropewatch.lint.config import Config
from ropewatch.settings import SiteSettings
from ropewatch.spread import Spread

# scaling-compute-hw: 1 scales on the GPU, which has no limit on the scale factor.
GPU_SCALING: Final = 1


@dataclass(frozen=True, slots=True)
class Classifying:
    """The classifier's side of the graph.

    Attributes:
        stages: those around it, by their names in the plan.
        scores: what it made of a frame.
        versions: of what the host adds to the network, by name.
    """

    stages: Mapping[str, Stage]
    scores: Scores
    versions: Mapping[str, str] = field(default_factory=dict)


def make_classifying(
    site: SiteSettings,
    classifier: Config,
    door: MetaDoor,
    spreads: tuple[Spread, ...],
) -> Classifying:
    """Make what the site's mode needs: crops before and tensors behind, or a head behind alone.

    Raises:
        ModelError: labels, head or backbone are missing, or do not belong together.
        SettingsError: score_label is no label of the classifier.
    """
    if site.classifier.mode == "frame":
        return _of_frames(site, classifier, door)
    labels_file = classifier.file("labelfile-path")
    labels = read_classifier_labels(labels_file)
    index = check_score_label(labels_file, labels, site.classifier.score_label)
    in_flight = FramesInFlight()
    stages: dict[str, Stage] = {
        "expand": ExpandStage(
            door=door,
            in_flight=in_flight,
            expansion=site.classifier.expansion,
            frame_wh_px=(site.muxer.width_px, site.muxer.height_px),
            network_wh_px=classifier.network_wh_px,
            limit_scale=classifier.integer("scaling-compute-hw") != GPU_SCALING,
            spreads=spreads,
        ),
        "restore": RestoreStage(door, in_flight),
    }
    return Classifying(stages, CropScores(door, in_flight, ScoreLabel(labels_file, labels, index)))


def _of_frames(site: SiteSettings, classifier: Config, door: MetaDoor) -> Classifying:
    backbone = read_backbone(classifier)
    labels = backbone.head.labels
    index = check_score_label(backbone.head_file, labels, site.classifier.score_label)
    scores = FrameScores(
        door=door,
        head=backbone.head,
        label=ScoreLabel(backbone.head_file, labels, index),
        expansion=site.classifier.expansion,
        frame_wh_px=(site.muxer.width_px, site.muxer.height_px),
        network_wh_px=classifier.network_wh_px,
    )
    return Classifying({}, scores, {"head": backbone.head_version})
