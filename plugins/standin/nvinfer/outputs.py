"""What a network gives back, as nvinfer describes it to parsers and in tensor metadata."""

from dataclasses import dataclass

# NvDsInferDataType by numpy's name of the type.
DATA_TYPES = {"float32": 0, "float16": 1, "int8": 2, "int32": 3, "int64": 4, "uint8": 5}


@dataclass(frozen=True, slots=True)
class OutputLayer:
    """One output without the batch.

    Attributes:
        name: as in the model.
        shape: sizes without the batch.
        dtype: numpy's name.
        binding: position among all inputs and outputs; the input is 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    binding: int

    @property
    def data_type(self) -> int:
        """The number that NvDsInferDataType gives its type."""
        return DATA_TYPES[self.dtype]
