"""Which scene seeds serve what: the one place where the split is written down.

A scene's seed fixes everything in it (site, people, weather), so two ranges that do not meet
share no scene.
"""

TRAIN = range(1_000, 4_000)
"""The models learn from these."""
VALIDATION = range(10_000, 10_200)
"""Watched while training."""
THRESHOLD = range(20_000, 20_200)
"""The demo threshold is chosen on these."""
HELD_OUT = range(30_000, 30_200)
"""The accuracy in the model card is measured on these, once."""
CLIPS = range(40_000, 40_100)
"""The two demo clips."""

SPLITS: dict[str, range] = {
    "train": TRAIN,
    "validation": VALIDATION,
    "threshold": THRESHOLD,
    "held-out": HELD_OUT,
    "clips": CLIPS,
}
