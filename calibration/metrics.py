"""How well scores tell unsafe from safe: the usual numbers, with the polarity taken in once.

Positive is unsafe, whatever side of the threshold alerts. A number that the samples cannot give
(precision without an alert, AP without an unsafe person) is None, never 0.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

from ropewatch.settings import AlertWhen


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of one set of samples at one threshold.

    Attributes:
        tp, fp, fn, tn: alerts rightly given and wrongly given, withheld wrongly and rightly.
        precision: share of the alerts that are right.
        recall: share of the unsafe samples that alert.
        f1: harmonic mean of the two; None without unsafe samples and alerts.
        average_precision: over all thresholds; None unless there are unsafe samples.
    """

    tp: int
    fp: int
    fn: int
    tn: int
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self.tp + self.fp + self.fn + self.tn


def measure(
    scores: npt.ArrayLike, unsafe: npt.ArrayLike, *, threshold: float, alert_when: AlertWhen
) -> Metrics:
    """Judge scores against the truth.

    Args:
        scores: (N,) probabilities of the site's score_label, finite. N may be 0.
        unsafe: (N,) the truth.
        threshold: of the decision.
        alert_when: which side of it alerts; at the threshold itself only at_or_above does.

    Raises:
        ValueError: the arrays differ in length, or a score is not finite.
    """
    values = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(unsafe, dtype=bool)
    if values.ndim != 1 or values.shape != positive.shape:
        raise ValueError(f"scores {values.shape}, unsafe {positive.shape}, want (N,) twice")
    if not np.isfinite(values).all():
        raise ValueError(
            "scores: not all finite, want numbers; leave the others out and count them"
        )
    above = alert_when is AlertWhen.AT_OR_ABOVE
    alerts = values >= threshold if above else values < threshold
    if values.size == 0:
        return Metrics(0, 0, 0, 0, None, None, None, None)
    (tn, fp), (fn, tp) = confusion_matrix(positive, alerts, labels=[False, True]).tolist()
    # NaN stands for "cannot be given", and becomes None.
    precision, recall, f1, _ = precision_recall_fscore_support(
        positive, alerts, average="binary", pos_label=True, zero_division=np.nan
    )
    average = (
        average_precision_score(positive, values if above else -values)
        if positive.any()
        else np.nan
    )
    numbers = (precision, recall, f1, average)
    return Metrics(tp, fp, fn, tn, *(None if np.isnan(n) else float(n) for n in numbers))
