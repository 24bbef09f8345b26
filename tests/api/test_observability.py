"""What /metrics tells, and that the dashboard and the alerts in deploy/ ask for nothing else."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.api.servers import Server

DEPLOY = Path(__file__).parents[2] / "deploy"
TELEMETRY = {
    "seatunnel.yaml": "seatunnel: {engine: {telemetry: {metric: {enabled: true}}, "
    'event-report-http: {url: "http://127.0.0.1:9/"}}}'
}
MADE_BY_PROMETHEUS = {"up": {"instance", "job"}}
ADDED_BY_PROMETHEUS = {"instance", "job"}
FOLLOWS = """
env {{ job.mode = STREAMING, job.name = "follows", checkpoint.interval = 1000 }}
source {{ LocalFile {{
  path = "{0}/in", file_format_type = csv, schema {{ fields {{ a = int }} }}
  discovery_mode = continuous, scan_interval = 1S
}} }}
sink {{ LocalFile {{ path = "{0}/out", file_format_type = csv }} }}
"""
SLOW = """
env {{ job.mode = BATCH, job.name = "slow" }}
source {{ FakeSource {{
  row.num = 100, split.num = 100, split.read-interval = 1000
  schema {{ fields {{ a = int }} }}
}} }}
sink {{ Console {{ log.print.data = false }} }}
"""
ENDS = """
env {{ job.mode = BATCH, job.name = "ends" }}
source {{ LocalFile {{ path = "{0}/in", file_format_type = csv, schema {{ fields {{ a = int }} }} }} }}
sink {{ Console {{ log.print.data = false }} }}
"""


def families(server):
    answer = server.ask("GET", "/hazelcast/rest/instance/metrics")
    return {
        sample.name: family
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(server, name, **labels):
    found = families(server).get(name)
    for sample in found.samples if found else []:
        if sample.name == name and labels.items() <= sample.labels.items():
            return sample.value
    return None


def until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A server with a job that has ended and one that runs and has saved its state."""
    tmp_path = tmp_path_factory.mktemp("busy")
    server = Server(tmp_path / "home", files=TELEMETRY).start()
    try:
        _give_work(server, tmp_path)
        yield server
    finally:
        server.stop()


def _give_work(server, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("1\n2\n3\n")
    for job in (ENDS, FOLLOWS, SLOW):
        answer = server.ask("POST", "submit-job", job.format(tmp_path), query={"format": "hocon"})
        assert answer.status == 200, answer.content
    until(lambda: value(server, "headrace_jobs_ended_total", status="FINISHED") == 1)
    until(lambda: value(server, "headrace_job_checkpoint_duration_seconds", job_name="follows") is not None)
    until(lambda: value(server, "headrace_job_lag", job_name="slow"))


def expressions():
    """Every expression of the dashboard and the rules, as a server of Prometheus gets it."""
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$job_name", ".*")
    for variable in board["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", "")):
            yield f"count by ({found[2]}) ({found[1]})"
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])


def asked(expression):
    """Metric → names of the labels that an expression asks it for."""
    without_texts = re.sub(r'"[^"]*"', '""', expression)
    found = {}
    for name, labels in re.findall(
        r"\b((?:headrace|job|jvm|hazelcast|process|node|cluster)_\w+|up)\b(?:\{([^}]*)\})?", without_texts
    ):
        if name not in ("job_id", "job_name"):
            found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels))
    groups = re.findall(r"(?:by|on) \(([^)]*)\)", without_texts)
    names = {name.strip() for group in groups for name in group.split(",")}
    return {name: labels | names for name, labels in found.items()}


def test_dashboard_and_alerts_ask_for_what_a_server_tells(busy):
    told = {
        name: {key for sample in family.samples for key in sample.labels} for name, family in families(busy).items()
    }
    told |= MADE_BY_PROMETHEUS
    wanted = [(expression, asked(expression)) for expression in expressions()]
    assert len(wanted) > 40
    for expression, metrics in wanted:
        assert metrics, expression
        for name, labels in metrics.items():
            assert name in told, expression
            assert labels <= told[name] | ADDED_BY_PROMETHEUS, expression


def test_a_metric_that_nobody_tells_is_noticed():
    assert asked('sum by (x) (rate(headrace_nothing_total{a="up",b=~"c"}[5m]))') == {
        "headrace_nothing_total": {"a", "b", "x"}
    }


def promtool(*arguments):
    if shutil.which("promtool") is None:
        pytest.skip("promtool of Debian's package prometheus is not installed")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)


def test_prometheus_takes_rules_and_configuration():
    done = promtool("check", "config", str(DEPLOY / "prometheus.yml"))
    assert done.returncode == 0, done.stderr
    assert "12 rules found" in done.stdout


def test_prometheus_parses_every_expression(tmp_path):
    rules = [{"record": f"e:{number}", "expr": expression} for number, expression in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert done.returncode == 0, done.stderr


def test_prometheus_takes_what_is_told(busy):
    if shutil.which("promtool") is None:
        pytest.skip("promtool of Debian's package prometheus is not installed")
    text = busy.ask("GET", "/hazelcast/rest/instance/metrics").content
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)
    complaints = [line for line in done.stderr.decode().splitlines() if "headrace_" in line]
    assert not complaints
    assert b"parse" not in done.stderr


def test_counts_of_a_job_stay_when_it_has_ended(busy):
    assert value(busy, "headrace_jobs", status="RUNNING") == 2
    of_slow = value(busy, "headrace_job_rows_read_total", job_name="slow")
    assert value(busy, "headrace_rows_read_total") >= 6 + of_slow
    assert value(busy, "headrace_rows_written_total") >= 6
    assert value(busy, "headrace_job_rows_read_total", job_name="follows") == 3
    assert value(busy, "headrace_job_rows_read_total", job_name="ends") is None
    assert value(busy, "headrace_job_checkpoint_age_seconds", job_name="follows") < 60
    assert 0 < value(busy, "headrace_job_lag", job_name="slow") <= 100
    assert 0 < value(busy, "headrace_memory_used_bytes") < value(busy, "headrace_memory_budget_bytes") * 10
    assert value(busy, "headrace_workers") > 0
