"""headrace.Client over v2, and headrace diagnose."""

import pytest

import headrace
from headrace.cli.diagnose import diagnose_job
from headrace.errors import ConfigError, JobNotFound
from tests.api.servers import job


def test_the_client_speaks_v2(second):
    with headrace.Client(f"http://localhost:{second.port}{second.base}", api="v2") as client:
        number = client.submit(job(5, name="by v2"), job_id=None)
        ended = client.wait(number, timeout=120)
        assert (ended.status, ended.rows_read, ended.rows_written, ended.name) == ("FINISHED", 5, 5, "by v2")
        assert number in [one.id for one in client.finished()]
        assert "Init JobMaster" in client.log(number)
        assert client.members()[0]["address"]
        with pytest.raises(JobNotFound):
            client.job(123)
        with pytest.raises(ConfigError, match="FakeSource"):
            client.submit({**job(1), "source": [{"plugin_name": "FakeSorce"}]})


def test_diagnose_tells_the_likely_cause_first(server, tmp_path, capsys):
    failing = job(1, **{"job.retry.times": 0})
    failing["source"] = [{"plugin_name": "LocalFile", "path": str(tmp_path / "none"), "file_format_type": "text"}]
    number = server.submit(failing)
    server.wait(number)
    assert diagnose_job(f"http://localhost:{server.port}", number) == 1
    first, cause, *others = capsys.readouterr().out.splitlines()
    assert first == f"Job {number} NAME: FAILED"
    assert cause.startswith("  likely cause: ")
    assert "none" in cause
    assert any("--restore" in line for line in others)


def test_diagnose_of_a_job_that_is_fine_ends_0(server, capsys):
    number = server.submit(job(1))
    server.wait(number)
    assert diagnose_job(f"http://localhost:{server.port}", number) == 0
    assert "likely cause: none: it did not fail" in capsys.readouterr().out
