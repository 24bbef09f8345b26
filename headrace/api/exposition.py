"""Metrics as text, with labels in their order and numbers as the Java client of Prometheus writes them."""

import math
from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.samples import Sample

from headrace.javatext import java_double

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def plain_text(metrics: Iterable[Metric]) -> bytes:
    """Prometheus' text format 0.0.4; a comma ends every list of labels."""
    return _text(line for metric in metrics for line in _plain(metric))


def open_metrics_text(metrics: Iterable[Metric]) -> bytes:
    """OpenMetrics."""
    return _text(line for part in (map(_open, metrics), [["# EOF"]]) for lines in part for line in lines)


def _plain(metric: Metric) -> Iterator[str]:
    name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
    yield f"# HELP {name} {_help(metric)}"
    yield f"# TYPE {name} {'gauge' if metric.type == 'info' else metric.type}"
    yield from (_sample(sample, end=",") for sample in metric.samples)


def _open(metric: Metric) -> Iterator[str]:
    yield f"# TYPE {metric.name} {metric.type}"
    yield f"# HELP {metric.name} {_help(metric)}"
    yield from (_sample(sample, end="") for sample in metric.samples)


def _sample(sample: Sample, end: str) -> str:
    labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels.items())
    return f"{sample.name}{f'{{{labels}{end}}}' if labels else ''} {_number(float(sample.value))}"


def _number(value: float) -> str:
    """As the Java client does, which has words of its own for what is not finite."""
    return f"{'+' if value > 0 else '-'}Inf" if math.isinf(value) else java_double(value)


def _help(metric: Metric) -> str:
    return metric.documentation.replace("\\", r"\\").replace("\n", r"\n")


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
