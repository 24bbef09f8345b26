"""Metrics as text."""

import pytest
from prometheus_client.core import GaugeMetricFamily

from headrace.api.exposition import open_metrics_text, plain_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"), (3, "3.0"), (1e9, "1.0E9")],
)
@pytest.mark.parametrize("write", [plain_text, open_metrics_text])
def test_numbers_are_written_as_prometheus_reads_them(value, text, write):
    assert f"\nslots {text}\n" in write([GaugeMetricFamily("slots", "Their number", value)]).decode()
