"""RW22.: an engine and the receipt of the parity gate beside it.

An engine is looked at where it lies and its ONNX is one of ropewatch's, with a manifest; whether
it is there at all, and of which name and age, is RW207's to RW210's.
"""

from collections.abc import Iterator
from pathlib import Path

from ropewatch.errors import ModelError
from ropewatch.lint.config import Config
from ropewatch.lint.findings import Hit, Severity, rule
from ropewatch.receipt import Receipt, receipt_of, require_passing

_KEY = "model-engine-file"
_WHY = "TensorRT computes some networks wrongly without a message; `ropewatch run` does not start"


def _engine(config: Config) -> Path | None:
    engine = config.path(_KEY)
    present = engine is not None and engine.is_file() and config.manifest() is not None
    return engine if present else None


def _receipt(config: Config) -> Receipt | None:
    """The receipt, where there is a readable one."""
    engine = _engine(config)
    try:
        return None if engine is None else Receipt.load(receipt_of(engine))
    except ModelError:
        return None


@rule(
    "RW221",
    Severity.ERROR,
    "engine without a receipt",
    f"nobody has compared it with the golden outputs; {_WHY} with it",
    "run `ropewatch engine verify ENGINE` on the box",
)
def no_receipt(config: Config) -> Iterator[Hit]:
    """Yield engines that the parity gate has not seen."""
    engine = _engine(config)
    if engine is not None and not receipt_of(engine).is_file():
        yield Hit(f"{engine.name} has no {receipt_of(engine).name}", key=_KEY)


@rule(
    "RW222",
    Severity.ERROR,
    "engine that the parity gate refused",
    f"it does not give the golden outputs; {_WHY} with it",
    "run `ropewatch engine build MODEL.onnx` on the box, which tries other recipes",
)
def refused(config: Config) -> Iterator[Hit]:
    """Yield engines whose receipt says so."""
    receipt = _receipt(config)
    if receipt is not None and receipt.verdict == "refused":
        yield Hit(f"refused: {receipt.reasons[0]}", key=_KEY)


@rule(
    "RW223",
    Severity.ERROR,
    "receipt of other files, or none at all",
    f"the engine, its ONNX, their manifest or the golden outputs were changed after they were "
    f"compared, or the receipt was; {_WHY} with it",
    "run `ropewatch engine verify ENGINE` on the box",
)
def stale(config: Config) -> Iterator[Hit]:
    """Yield engines whose receipt is not about them."""
    engine, receipt = _engine(config), _receipt(config)
    if engine is None or not receipt_of(engine).is_file():
        return
    if receipt is not None and receipt.verdict == "refused":
        return
    try:
        require_passing(engine)
    except ModelError as error:
        yield Hit(" ".join(str(error).split()), key=_KEY)
