"""RW317..: the classifier's mode: its model, the shape of its frames, how often it looks."""

from collections.abc import Iterator

from ropewatch.errors import ModelError
from ropewatch.lint.config import Config
from ropewatch.lint.findings import Hit, Severity, rule

# A site's mode, and what the manifest of its model says.
_MODELS = {"crop": "crop", "frame": "backbone"}
# Wider or narrower by more than this, and people do not look as in training.
_SHAPE_TOLERANCE = 0.01


@rule(
    "RW317",
    Severity.ERROR,
    "model of another classifier mode",
    "crops and frames show a person in other surroundings: the model, and the threshold that was "
    "chosen with it, belong to one mode",
    "correct classifier.mode, or export the model for it: --mode crop, or --mode frame "
    "--parts two",
)
def mode(config: Config) -> Iterator[Hit]:
    """Yield a site's classifier whose manifest says another mode."""
    use, model = config.use, config.manifest()
    if use is None or use.classifies is None or model is None or model.kind != "classifier":
        return
    if model.mode != _MODELS[use.classifies]:
        wanted = _MODELS[use.classifies]
        what = f"classifier.mode: {use.classifies} needs a model of mode {wanted}, the manifest "
        yield Hit(f"{what}says {model.mode}", line=use.line("classifier.mode"), file=use.path)


@rule(
    "RW318",
    Severity.ERROR,
    "frames that do not fill the backbone's input",
    "the head looks for people where the frame stretched to the network's input has them, and "
    "people who are squeezed look otherwise than in training",
    "set maintain-aspect-ratio=0, and muxer.width_px and height_px to the width and height of "
    "infer-dims",
)
def shape(config: Config) -> Iterator[Hit]:
    """Yield a letterbox, and frames of another shape than the network's input."""
    use = config.use
    if use is None or use.classifies != "frame":
        return
    if config.flag("maintain-aspect-ratio"):
        yield Hit("maintain-aspect-ratio=1", key="maintain-aspect-ratio")
    try:
        width, height = config.network_wh_px
    except ModelError as error:
        yield Hit(str(error).partition(": ")[2].partition(";")[0], key="infer-dims")
        return
    muxer = use.site.muxer
    if abs(muxer.width_px * height / (muxer.height_px * width) - 1) > _SHAPE_TOLERANCE:
        what = f"frames of {muxer.width_px} x {muxer.height_px} for {width} x {height}"
        yield Hit(what, key="infer-dims")


@rule(
    "RW319",
    Severity.ERROR,
    "frame classifier that looks too seldom",
    "between two looks every verdict gets older than decision.max_evidence_age_s: everybody is "
    "unknown again and again, and incidents do not end",
    "lower interval, or raise decision.max_evidence_age_s",
)
def seldom(config: Config) -> Iterator[Hit]:
    """Yield an interval that lets evidence grow old, at the rate of the fastest camera."""
    use = config.use
    if use is None or use.classifies != "frame":
        return
    between_s = (config.integer("interval") + 1) / use.site.muxer.fps
    oldest_s = min(
        use.site.judging(source.id).decision.max_evidence_age_s for source in use.site.sources
    )
    if between_s > oldest_s:
        what = f"interval={config.integer('interval')} looks every {between_s:.3g} s, verdicts "
        yield Hit(f"{what}count for {oldest_s:g} s", key="interval")
