"""The columns of one site, computed and compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from export.chain.answers import Box, Column, Comparison, Person, Tolerance, compare, pairs
from export.chain.causes import Cause, find_cause, persons_apart
from export.chain.contradiction import contradictions, without_manifest
from export.chain.frames import Frame, read_frame
from export.chain.graph import BATCH, run_graph
from export.chain.models import (
    Answer,
    Model,
    find_persons,
    judge_crops,
    read_model,
    require_use,
    weights_for,
)
from export.engine.onnx_runner import OnnxRunner
from export.pictures import picture_files
from export.trust import Trust
from ropewatch.boxes import crop_boxes
from ropewatch.errors import BackendError, ModelError
from ropewatch.manifest import Preprocessing
from ropewatch.settings import SiteSettings

STAGES = 5
# Rounding of float32. A box is that of the network times what the letterbox shrank.
ROUNDING: Final = Tolerance(box_px=0.05, confidence=1e-4, probability=1e-4)
# Other samplers and colour conversions than OpenCV's, and crops that a tenth of a pixel moves.
PIXELS: Final = Tolerance(box_px=3.0, confidence=0.03, probability=0.03)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to compare.

    Attributes:
        site: with both configurations.
        images: folder with frames of any size.
        weights: checkpoints that the site's models were exported from; may be empty.
        trust: which pickles may be read.
        state_dict: see `export.checkpoints.find_model`.
    """

    site: SiteSettings
    images: Path
    weights: Sequence[Path]
    trust: Trust
    state_dict: str | None = None


@dataclass(frozen=True, slots=True)
class Parity:
    """Everything that was found.

    Attributes:
        frames: the pictures, in order of name.
        columns: of all four links, run or not.
        comparisons: each run column with the ONNX.
        causes: of differences between ONNX and graph.
        refused: why `ropewatch run` would not start with the site's configurations.
        label: whose probabilities these are.
    """

    frames: Sequence[Frame]
    columns: Sequence[Column]
    comparisons: Sequence[Comparison]
    causes: Sequence[Cause]
    refused: Sequence[str]
    label: str

    @property
    def agree(self) -> bool:
        """Whether all columns that were run do, under a preprocessing that was exported."""
        return not self.refused and all(comparison.agree for comparison in self.comparisons)


class _Chain:
    """One site's models on one set of frames."""

    def __init__(self, inputs: Inputs) -> None:
        site = self.site = inputs.site
        self.inputs = inputs
        self.detector = read_model(site.detector.config_file, kind="detector")
        self.classifier = read_model(site.classifier.config_file, kind="classifier")
        require_use(inputs.weights, [self.detector, self.classifier])
        self.frame_wh_px = (site.muxer.width_px, site.muxer.height_px)
        self.frames = [
            read_frame(file, frame_wh_px=self.frame_wh_px)
            for file in picture_files(inputs.images, option="--images")
        ]
        self._onnx = {
            id(model): OnnxRunner(model.onnx) for model in (self.detector, self.classifier)
        }

    def by_onnx(self, model: Model, how: Preprocessing) -> Answer:
        """A model in ONNX Runtime."""
        return model.by(self._onnx[id(model)].run, how)

    def persons(self, answer: Answer, how: Preprocessing, frame: Frame) -> list[Person]:
        """A detector's persons in a frame, without verdicts."""
        found = find_persons(
            self.detector, answer, frame, how=how, class_id=self.site.detector.person_class_id
        )
        return [
            Person(_box(box), float(score))
            for box, score in zip(found.boxes_xyxy_px, found.scores, strict=True)
        ]

    def verdicts(
        self, answer: Answer, how: Preprocessing, frame: Frame, crops: Sequence[Box]
    ) -> list[float]:
        """A classifier's probabilities of the site's score_label."""
        return judge_crops(
            self.classifier, answer, frame, crops, how=how, label=self.site.classifier.score_label
        )

    def crops(self, persons: Sequence[Person]) -> list[Box]:
        """What the classifier looks at, by the crop geometry of the graph."""
        boxes = np.array([person.box_xyxy_px for person in persons]).reshape(-1, 4)
        ltwh = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
        crops = crop_boxes(
            ltwh,
            expansion=self.site.classifier.expansion,
            frame_wh_px=self.frame_wh_px,
            network_wh_px=self.classifier.manifest.network_wh_px,
            limit_scale=self.classifier.config.integer("scaling-compute-hw") != 1,
        )
        return [_box(crop) for crop in crops]

    def column(
        self,
        key: str,
        title: str,
        note: str,
        *,
        detect: Answer | None,
        judge: Answer | None,
        onnx: Column | None = None,
    ) -> Column:
        """Run both models; what is absent is the ONNX's, and so are the crops.

        The crops are the ONNX's because a box that rounding moves across a pixel would give
        another crop, and that is no difference of the classifier.
        """
        persons: dict[str, list[Person]] = {}
        for frame in self.frames:
            basis = list(onnx.persons[frame.name]) if onnx and onnx.persons else None
            how = self.detector.manifest.preprocessing
            mine = basis if detect is None else self.persons(detect, how, frame)
            assert mine is not None
            seen = mine if basis is None else basis
            crops = self.crops(seen)
            scores = (
                [person.probability for person in seen]
                if judge is None
                else self.verdicts(judge, self.classifier.manifest.preprocessing, frame, crops)
            )
            same = {each.one: each.other for each in pairs(mine, seen)}
            persons[frame.name] = [
                replace(person, probability=scores[same[i]], crop_ltwh_px=crops[same[i]])
                if i in same
                else person
                for i, person in enumerate(mine)
            ]
        return Column(key, title, note, persons)


def find_parity(inputs: Inputs, *, scratch: Path, on_stage: Callable[[str], object]) -> Parity:
    """Compute every column that can be had here and compare it with the ONNX.

    Args:
        inputs: what to compare.
        scratch: an empty folder.
        on_stage: told of each of STAGES stages.

    Raises:
        RopewatchError: something cannot be read, or the graph does not run.
    """
    on_stage("reading models and pictures")
    chain = _Chain(inputs)
    on_stage("ONNX Runtime")
    onnx = chain.column(
        "onnx",
        "ONNX",
        f"ONNX Runtime: {chain.detector.onnx.name}, {chain.classifier.onnx.name}",
        detect=chain.by_onnx(chain.detector, chain.detector.manifest.preprocessing),
        judge=chain.by_onnx(chain.classifier, chain.classifier.manifest.preprocessing),
    )
    on_stage("PyTorch")
    pytorch = _pytorch(chain, onnx)
    on_stage("the graph")
    graph, refused = _graph(chain, scratch)
    on_stage("engines, and causes of differences")
    engine = _engine(chain, onnx)
    columns = (pytorch, onnx, graph, engine)
    if not any(persons for each in columns for persons in (each.persons or {}).values()):
        raise ModelError(
            f"{inputs.images}: nobody in any column's pictures, want frames with people, without "
            f"which nothing is compared; give other --images"
        )
    with_graph = compare(onnx, graph, PIXELS)
    compared = [with_graph]
    if pytorch.persons is not None:
        compared.insert(0, compare(onnx, pytorch, ROUNDING))
    if engine.persons is not None:
        compared.append(compare(onnx, engine, PIXELS))
    return Parity(
        chain.frames,
        columns,
        compared,
        _causes(chain, graph, with_graph),
        refused,
        inputs.site.classifier.score_label,
    )


def _pytorch(chain: _Chain, onnx: Column) -> Column:
    files = chain.inputs.weights
    found = {
        "detector": weights_for(chain.detector, files),
        "classifier": weights_for(chain.classifier, files),
    }
    if not any(found.values()):
        return Column("pytorch", "PyTorch", "no weights were given (--weights)", None)
    # Torch waits until there is something to load.
    from export.chain.pytorch import classifier_answer, detector_answer  # noqa: PLC0415

    detect = judge = None
    if found["detector"] is not None:
        detect = detector_answer(chain.detector, found["detector"], trust=chain.inputs.trust)
    if found["classifier"] is not None:
        judge = classifier_answer(
            chain.classifier, found["classifier"], state_dict=chain.inputs.state_dict
        )
    said = [
        f"{kind}: {file.name if file else 'no weights given, as the ONNX'}"
        for kind, file in found.items()
    ]
    return chain.column(
        "pytorch", "PyTorch", "; ".join(said), detect=detect, judge=judge, onnx=onnx
    )


def _graph(chain: _Chain, scratch: Path) -> tuple[Column, list[str]]:
    """The site's graph; what `ropewatch run` would refuse runs on the CPU, with its reasons."""
    site, refused = chain.site, []
    for section, model in (("detector", chain.detector), ("classifier", chain.classifier)):
        found = contradictions(model)
        if found:
            copy = without_manifest(model, scratch / section)
            settings = getattr(site, section).model_copy(update={"config_file": copy})
            site = site.model_copy(update={section: settings})
            refused += found
    backend = "cpu" if refused else "auto"
    batch = min(BATCH, chain.detector.fixed_batch or BATCH)
    graph = run_graph(site, chain.frames, scratch, backend=backend, batch=batch)
    if refused:
        graph = replace(graph, note="on a CPU, because `ropewatch run` refuses the site's files")
    return graph, refused


def _engine(chain: _Chain, onnx: Column) -> Column:
    from export.engine.tensorrt_runner import TensorRtRunner  # noqa: PLC0415 (TensorRT, if any)

    engines = [
        model.config.path("model-engine-file") for model in (chain.detector, chain.classifier)
    ]
    absent = [engine.name for engine in engines if engine is not None and not engine.is_file()]
    files = [engine for engine in engines if engine is not None and engine.is_file()]
    try:
        if len(files) < len(engines):
            # Which of the two is missing is the better answer only where TensorRT is not.
            from export.engine.machine import import_tensorrt  # noqa: PLC0415 (as above)

            import_tensorrt()
            note = f"no engine: {', '.join(absent) or 'none is named'}; build it"
            return Column("engine", "engine", note, None)
        with TensorRtRunner(files[0]) as detector, TensorRtRunner(files[1]) as classifier:
            return chain.column(
                "engine",
                "engine",
                f"TensorRT: {files[0].name}, {files[1].name}",
                detect=chain.detector.by(detector.run, chain.detector.manifest.preprocessing),
                judge=chain.classifier.by(classifier.run, chain.classifier.manifest.preprocessing),
                onnx=onnx,
            )
    except BackendError as error:
        return Column("engine", "engine", f"no TensorRT here: {error}", None)


def _causes(chain: _Chain, graph: Column, compared: Comparison) -> list[Cause]:
    """Why the graph differs from the ONNX; nothing where it does not."""
    assert graph.persons is not None
    seen = graph.persons

    def persons_differ(how: Preprocessing) -> float:
        answer = chain.by_onnx(chain.detector, how)
        apart = (
            persons_apart(chain.persons(answer, how, frame), seen[frame.name])
            for frame in chain.frames
        )
        return sum(apart) / len(chain.frames)

    def verdicts_differ(how: Preprocessing) -> float:
        answer = chain.by_onnx(chain.classifier, how)
        largest = 0.0
        for frame in chain.frames:
            # The graph's own crops: a wrong detector must not put the classifier to blame.
            asked = {
                person.crop_ltwh_px: person.probability
                for person in seen[frame.name]
                if person.crop_ltwh_px is not None and person.probability is not None
            }
            found = chain.verdicts(answer, how, frame, list(asked))
            apart = (abs(a - b) for a, b in zip(asked.values(), found, strict=True))
            largest = max(largest, *apart, 0.0)
        return largest

    causes = []
    if not compared.same_persons:
        causes.append(_cause(chain.detector, persons_differ))
    exported = chain.classifier.manifest.preprocessing
    if not compared.same_verdicts and verdicts_differ(exported) > PIXELS.probability:
        causes.append(_cause(chain.classifier, verdicts_differ))
    return causes


def _cause(model: Model, distance: Callable[[Preprocessing], float]) -> Cause:
    return find_cause(model.path.name, model.manifest.preprocessing, distance)


def _box(values: npt.ArrayLike) -> Box:
    left, top, third, fourth = (float(value) for value in np.asarray(values))
    return left, top, third, fourth
