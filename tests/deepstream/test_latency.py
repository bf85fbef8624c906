import pytest

from deepstream.latency import Latencies, Percentiles


def test_percentiles_are_values_that_were_measured() -> None:
    latencies = Latencies()
    for milliseconds in range(100, 0, -1):
        latencies.add(milliseconds / 1000)

    assert latencies.percentiles() == Percentiles(0.050, 0.095, 0.099)
    assert latencies.count == 100


def test_only_the_newest_thousand_count() -> None:
    latencies = Latencies()
    for seconds in [100.0] * 5000 + [1.0] * 1000:
        latencies.add(seconds)

    assert latencies.percentiles() == Percentiles(1.0, 1.0, 1.0)
    assert latencies.count == 6000


@pytest.mark.parametrize("values", [[], [-0.5]])
def test_there_are_none_before_the_first(values: list[float]) -> None:
    latencies = Latencies()
    for seconds in values:
        latencies.add(seconds)

    assert latencies.percentiles() is None
    assert latencies.count == 0


def test_one_is_all_of_them() -> None:
    latencies = Latencies()
    latencies.add(0.2)

    assert latencies.percentiles() == Percentiles(0.2, 0.2, 0.2)
