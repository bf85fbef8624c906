"""The classifier's side of the graph: what stands around its nvinfer, and who reads its scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from deepstream.meta import MetaDoor
from deepstream.models import read_backbone
from deepstream.plan import has_own_budget, is_live
from deepstream.probes.crops import ExpandedFrame, FramesInFlight
from deepstream.probes.expand import ExpandStage
from deepstream.probes.guard import BatchStage, Stage
from deepstream.probes.restore import RestoreStage
from deepstream.probes.scores import CropScores, FrameScores, ScoreLabel, Scores
from deepstream.probes.spread import ArriveStage, SpreadStage
from ropewatch.budget import Budget
from ropewatch.decision import to_ns
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
        spreads: who needs it most, one for each source; empty where all are judged.
        budget: how many it can judge; None where sources wait for it.
        versions: of what the host adds to the network, by name.
    """

    stages: Mapping[str, Stage | BatchStage]
    scores: Scores
    spreads: tuple[Spread, ...] = ()
    budget: Budget | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


def make_classifying(site: SiteSettings, classifier: Config, door: MetaDoor) -> Classifying:
    """Make what the site's mode needs: crops before and tensors behind, or a head behind alone.

    Raises:
        ModelError: labels, head or backbone are missing, or do not belong together.
        SettingsError: score_label is no label of the classifier.
    """
    spread = _make_spread(site, classifier, door)
    if site.classifier.mode == "frame":
        return _of_frames(site, classifier, door, spread)
    labels_file = classifier.file("labelfile-path")
    labels = read_classifier_labels(labels_file)
    index = check_score_label(labels_file, labels, site.classifier.score_label)
    in_flight: FramesInFlight[ExpandedFrame] = FramesInFlight()
    stages: dict[str, Stage | BatchStage] = {
        **_spread_stages(spread),
        "expand": ExpandStage(
            door=door,
            in_flight=in_flight,
            expansion=site.classifier.expansion,
            frame_wh_px=(site.muxer.width_px, site.muxer.height_px),
            network_wh_px=classifier.network_wh_px,
            limit_scale=classifier.integer("scaling-compute-hw") != GPU_SCALING,
            chosen=spread.chosen,
        ),
        "restore": RestoreStage(door, in_flight),
    }
    scores = CropScores(door, in_flight, ScoreLabel(labels_file, labels, index))
    return Classifying(stages, scores, spread.spreads, spread.budget)


def _make_spread(site: SiteSettings, classifier: Config, door: MetaDoor) -> SpreadStage:
    """Make the stage that spreads the classifier's work; the plan says whether it is needed."""
    live = tuple(is_live(source.uri) for source in site.sources)
    most = site.classifier.max_crops_per_frame
    spreads: tuple[Spread, ...] = ()
    if has_own_budget(site) or (most == "auto" and site.classifier.mode == "crop" and any(live)):
        decisions = [site.judging(source.id).decision for source in site.sources]
        spreads = tuple(
            Spread(
                threshold=decision.threshold,
                max_evidence_age_ns=to_ns(decision.max_evidence_age_s),
            )
            for decision in decisions
        )
    budget = Budget(
        cameras=sum(live), frames_per_s=site.muxer.fps, step=classifier.integer("batch-size")
    )
    return SpreadStage(
        door=door,
        most=most,
        spreads=spreads,
        live=live,
        budget=budget if any(live) else None,
        arrived=FramesInFlight(),
        chosen=FramesInFlight(),
    )


def _spread_stages(spread: SpreadStage) -> dict[str, Stage | BatchStage]:
    return {"arrive": ArriveStage(spread.arrived), "spread": spread}


def _of_frames(
    site: SiteSettings, classifier: Config, door: MetaDoor, spread: SpreadStage
) -> Classifying:
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
    versions = {"head": backbone.head_version}
    return Classifying(_spread_stages(spread), scores, budget=spread.budget, versions=versions)
