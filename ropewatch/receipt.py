"""The receipt beside an engine: that it gave the golden outputs, or why it was refused.

`<engine>.receipt.json` is written by `ropewatch engine build|verify`. An engine without one that
passed watches nobody: TensorRT releases are known that compute networks of this family wrongly
without a message, and nothing in nvinfer would notice.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from ropewatch.errors import ModelError
from ropewatch.files import sha256_of
from ropewatch.golden import golden_of
from ropewatch.manifest import FileFact, ParityFact, manifest_of, onnx_of_engine

SUFFIX: Final = ".receipt.json"


class _Part(BaseModel):
    """Base of the receipt and its parts: read-only, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DecisionFact(_Part):
    """What was decided at one threshold, by the golden outputs and by the engine."""

    what: str = Field(min_length=1, description="Persons, or rows at or above for one label.")
    threshold: float = Field(ge=0, le=1)
    compared: int = Field(ge=0, description="Persons or rows.")
    positive: int = Field(ge=0, description="Of the golden outputs at or above the threshold.")
    changed: int = Field(ge=0, description="Decided otherwise by the engine.")
    in_band: int = Field(
        ge=0, description="Decided otherwise, but so near to the threshold that either will do."
    )


class Receipt(_Part):
    """The parity gate's verdict about one engine."""

    format: Literal["ropewatch-receipt-1"]
    verdict: Literal["passed", "refused"]
    reasons: tuple[str, ...] = Field(description="Why refused; none where it passed.")
    notes: tuple[str, ...] = Field(description="What the comparison could not tell.")
    engine: FileFact
    onnx: FileFact
    manifest: FileFact = Field(description="The ONNX's: preprocessing and labels were its.")
    golden: FileFact
    reference: str = Field(min_length=1, description="Who computed the golden outputs.")
    precision: str = Field(min_length=1)
    tensorrt: str = Field(min_length=1, description="Release of the engine.")
    gpu: str = Field(min_length=1)
    batches: tuple[int, ...] = Field(description="Sizes that the engine was run at.")
    numbers: tuple[ParityFact, ...] = Field(description="Against the golden outputs.")
    decisions: tuple[DecisionFact, ...]
    thresholds_from: str = Field(min_length=1)
    onnxruntime: str | None = Field(
        None, description="Version that gave the golden outputs again; null where there is none."
    )
    made_at: str = Field(min_length=1, description="RFC 3339, UTC.")
    ropewatch: str = Field(min_length=1, description="Version of the gate.")

    @model_validator(mode="after")
    def _verdict_follows(self) -> Self:
        """A verdict that its own figures contradict was not written by the gate."""
        within = all(one.max_abs_difference <= one.tolerance for one in self.numbers)
        kept = not any(one.changed for one in self.decisions)
        passed = bool(self.numbers and self.decisions) and within and kept and not self.reasons
        if passed != (self.verdict == "passed") or (not passed and not self.reasons):
            raise ValueError(f"verdict: {self.verdict}, which its own figures contradict")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a receipt.

        Raises:
            ModelError: it is missing, unreadable, or says something that it must not.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ModelError(
                f"{path}: no such file, want the receipt of an engine that passed the parity "
                f"gate; {_verify(path)}"
            ) from None
        except OSError as error:
            raise ModelError(
                f"{path}: {error.strerror}, want a readable receipt; {_verify(path)}"
            ) from error
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(map(str, fault["loc"])) or "receipt"
            raise ModelError(
                f"{path}: {key}: {fault['msg'].removeprefix('Value error, ')}, want a receipt as "
                f"the parity gate writes it; {_verify(path)}"
            ) from error


def receipt_of(engine: Path) -> Path:
    """Where the receipt of an engine is."""
    return engine.with_name(engine.name + SUFFIX)


def require_passing(engine: Path) -> Receipt:
    """The receipt of an engine that may watch people.

    Raises:
        ModelError: there is none, it was refused, or the engine, its ONNX, their manifest or
            the golden outputs are not the files that were compared.
    """
    path = receipt_of(engine)
    if not engine.is_file():
        raise ModelError(
            f"{engine}: no such file, want an engine; build it with `ropewatch engine build`"
        )
    receipt = Receipt.load(path)
    if receipt.verdict != "passed":
        raise ModelError(
            f"{engine}: refused by the parity gate: {receipt.reasons[0]}; want an engine that "
            f"passed; build it again with `ropewatch engine build`, which tries other recipes"
        )
    onnx = onnx_of_engine(engine)
    for file, fact in (
        (engine, receipt.engine),
        (onnx, receipt.onnx),
        (manifest_of(onnx), receipt.manifest),
        (golden_of(onnx), receipt.golden),
    ):
        digest = sha256_of(file) if file.is_file() else "no such file"
        if digest != fact.sha256:
            raise ModelError(
                f"{file}: {digest[:12]}, want sha256 {fact.sha256[:12]}... as in {path.name}: it "
                f"is not the file that the parity gate compared; {_verify(path)}"
            )
    return receipt


def _verify(receipt: Path) -> str:
    return f"run `ropewatch engine verify {receipt.with_name(receipt.name.removesuffix(SUFFIX))}`"
