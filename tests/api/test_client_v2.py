"""headrace.Client over v2, and headrace diagnose."""

import pytest

import headrace
from headrace.cli.diagnose import diagnose_job
from headrace.errors import ConfigError, HeadraceError, JobNotFound, Unavailable
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


def test_the_client_is_told_of_jobs_as_they_change(second):
    with headrace.Client(f"http://localhost:{second.port}{second.base}", api="v2") as client:
        running = client.submit(job(1, "STREAMING", name="told"))
        second.wait(running, "RUNNING")
        watched = client.watch()
        first = next(found for found in watched if found.id == running)
        assert (first.name, first.status, first.raw["jobMode"]) == ("told", "RUNNING", "STREAMING")
        short = client.submit(job(5, name="short"))
        ended = next(found for found in watched if found.id == short and found.is_ended)
        assert (ended.status, ended.rows_read, ended.rows_written) == ("FINISHED", 5, 5)
        client.stop(running)
        ended = next(found for found in watched if found.id == running and found.is_ended)
        watched.close()
    listed = {found["jobId"]: found for found in second.get("jobs?limit=1000").json["jobs"]}
    assert ended.raw == listed[str(running)]


def test_a_client_that_watches_misses_nothing_while_the_server_is_started_anew(start):
    server = start()
    number = server.submit(job(1, "STREAMING"))
    server.wait(number, "RUNNING")
    second = server.second()
    port = second.port
    with headrace.Client(f"http://localhost:{port}{second.base}", api="v2") as client:
        watched = client.watch()
        assert next(watched).id == number
        server.stop()
        server.env["HEADRACE_HTTP_PORT"] = str(port)
        server.start()
        client.wait(client.submit(job(2, name="after")), 120)
        client.stop(number)
        assert client.wait(number, 120).status == "CANCELED"
        assert any((found.id, found.status) == (number, "CANCELED") for found in watched)


def test_a_server_that_stays_away_is_told_to_who_watches(start):
    server = start()
    second = server.second()
    number = server.submit(job(1, "STREAMING"))
    server.wait(number, "RUNNING")
    with headrace.Client(f"http://localhost:{second.port}{second.base}", api="v2") as client:
        watched = client.watch(patience=1.0)
        next(watched)
        server.stop()
        with pytest.raises(Unavailable, match=r"cannot reach http://localhost:\d+"):
            for _ in watched:
                pass


def test_v1_beside_v2_does_not_tell_of_changes(later_server):
    refused = pytest.raises(HeadraceError, match="REST v2 of a Headrace has them")
    with headrace.Client(f"http://localhost:{later_server.port}") as client, refused:
        next(client.watch())


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
