"""Worked numbers; five samples with scores 0.1, 0.4, 0.5, 0.6, 0.9."""

import numpy as np
import pytest

from calibration.metrics import Metrics, measure
from ropewatch.settings import AlertWhen

SCORES = [0.1, 0.4, 0.5, 0.6, 0.9]
ABOVE, BELOW = AlertWhen.AT_OR_ABOVE, AlertWhen.BELOW


def test_measure_counts_with_high_scores_alerting() -> None:
    # Alerts are 0.5, 0.6, 0.9; unsafe are 0.4, 0.6, 0.9.
    # From the top the precisions at each unsafe sample are 1/1, 2/2 and 3/4.
    measured = measure(SCORES, [0, 1, 0, 1, 1], threshold=0.5, alert_when=ABOVE)

    assert (measured.tp, measured.fp, measured.fn, measured.tn) == (2, 1, 1, 1)
    assert measured.precision == pytest.approx(2 / 3)
    assert measured.recall == pytest.approx(2 / 3)
    assert measured.f1 == pytest.approx(2 / 3)
    assert measured.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert measured.samples == 5


def test_measure_counts_with_low_scores_alerting() -> None:
    # Alerts are 0.1 and 0.4 (0.5 is not below 0.5); unsafe are 0.1 and 0.5.
    # From the bottom the precisions at each unsafe sample are 1/1 and 2/3.
    measured = measure(SCORES, [1, 0, 1, 0, 0], threshold=0.5, alert_when=BELOW)

    assert (measured.tp, measured.fp, measured.fn, measured.tn) == (1, 1, 1, 2)
    assert measured.average_precision == pytest.approx((1 + 2 / 3) / 2)


def test_measure_of_a_mirrored_problem_is_the_same() -> None:
    random = np.random.default_rng(0)
    scores, unsafe = random.random(200), random.random(200) < 0.3

    above = measure(scores, unsafe, threshold=0.35, alert_when=ABOVE)
    below = measure(1 - scores, unsafe, threshold=np.nextafter(1 - 0.35, 1), alert_when=BELOW)

    assert below == above


def test_measure_of_nothing_is_nothing() -> None:
    assert measure([], [], threshold=0.5, alert_when=ABOVE) == Metrics(
        0, 0, 0, 0, None, None, None, None
    )


def test_measure_without_unsafe_samples_has_no_recall_and_no_average_precision() -> None:
    measured = measure([0.1, 0.9], [0, 0], threshold=0.5, alert_when=ABOVE)

    assert (measured.precision, measured.recall, measured.average_precision) == (0.0, None, None)


def test_measure_without_alerts_has_no_precision() -> None:
    measured = measure([0.1, 0.2], [0, 1], threshold=0.5, alert_when=ABOVE)

    assert (measured.precision, measured.recall) == (None, 0.0)


@pytest.mark.parametrize(
    ("scores", "unsafe", "message"),
    [([0.1], [1, 0], r"want \(N,\) twice"), ([float("nan")], [1], "not all finite")],
)
def test_measure_refuses_what_it_cannot_count(
    scores: list[float], unsafe: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure(scores, unsafe, threshold=0.5, alert_when=ABOVE)
