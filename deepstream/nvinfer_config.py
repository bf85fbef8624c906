"""The refusal of what `ropewatch check` finds in a site's nvinfer configs.

nvinfer reads the files itself; the graph reads the few keys that its own stages depend on through
the linter's `Config`, so that both say the same of a file.
"""

import logging
from collections.abc import Iterable
from typing import Final

from ropewatch.errors import ModelError
from ropewatch.lint.check import check_configs
from ropewatch.lint.config import Config
from ropewatch.lint.findings import Severity

log = logging.getLogger("ropewatch.nvinfer_config")

# Receipts of engines: `models.py` refuses these, and digests besides.
RECEIPT_CODES: Final = frozenset(("RW221", "RW222", "RW223"))
# What is wrong with an engine is nothing to the stand-ins, which run the ONNX.
ENGINE_CODES: Final = RECEIPT_CODES | {"RW207", "RW208", "RW209", "RW210", "RW308"}
# `check` warns of these, as another machine may be meant. Here it is the one that runs: NVIDIA's
# elements say of an absent file only that they failed, and build from an ONNX unasked.
DEVICE_CODES: Final = frozenset(("RW011", "RW307"))


def refuse_faults(configs: Iterable[Config], *, on_device: bool) -> None:
    """Refuse configs that `ropewatch check` calls wrong; log what it warns of.

    Raises:
        ModelError: every error that was found, one a line.
    """
    skipped = RECEIPT_CODES if on_device else ENGINE_CODES
    fatal = DEVICE_CODES if on_device else frozenset[str]()
    found = [one for one in check_configs(configs) if one.code not in skipped]
    errors = [one for one in found if one.severity is Severity.ERROR or one.code in fatal]
    if errors:
        raise ModelError(
            "\n".join(
                f"{one.file}:{one.line}: {one.code}: {one.what}: {one.reason}; {one.fix}"
                for one in errors
            )
        )
    for one in found:
        if one.severity is Severity.WARNING:
            log.warning(
                "config file=%s line=%d code=%s what=%s", one.file, one.line, one.code, one.what
            )
