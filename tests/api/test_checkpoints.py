"""Checkpoints of jobs, as REST and the command show them."""

import json
import time

from headrace.cli import main
from tests.api.servers import job, wait_for

COUNTS = {"triggered", "completed", "failed", "inProgress", "restored"}


def streaming(**env):
    return job(rows=10, mode="STREAMING", **{"checkpoint.interval": 100, **env})


def run(capsys, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["headrace", *arguments])
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


def completed(server, job_id, count=2, restored=0):
    """The answer once the job has so many checkpoints; until a restored one begins, its last run is told of."""
    deadline = time.monotonic() + 60
    while True:
        answer = server.get(f"jobs/checkpoints/{job_id}").json
        counts = answer["pipelines"][0]["counts"] if "pipelines" in answer else {"completed": 0, "restored": 0}
        if counts["completed"] >= count and counts["restored"] >= restored:
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)


def test_a_running_jobs_checkpoints_have_the_shape_of_seatunnels(server):
    job_id = server.submit(streaming())
    answer = completed(server, job_id)
    assert answer["jobId"] == str(job_id)
    assert abs(answer["updatedAt"] / 1000 - time.time()) < 60
    (pipeline,) = answer["pipelines"]
    assert pipeline["pipelineId"] == 1
    assert set(pipeline["counts"]) == COUNTS
    assert pipeline["counts"]["failed"] == pipeline["counts"]["restored"] == 0
    latest = pipeline["latestCompleted"]
    assert (latest["checkpointType"], latest["status"]) == ("checkpoint", "COMPLETED")
    assert set(latest) == {
        "checkpointId", "checkpointType", "status", "triggerTimestamp", "completedTimestamp", "durationMillis",
        "stateSize",
    }  # fmt: skip
    assert all(isinstance(latest[key], int) for key in latest if key not in ("checkpointType", "status"))
    assert abs(latest["triggerTimestamp"] / 1000 - time.time()) < 60
    assert latest["stateSize"] > 100
    assert (pipeline["latestFailed"], pipeline["latestSavepoint"]) == ({}, {})
    ids = [entry["checkpoint"]["checkpointId"] for entry in pipeline["history"]]
    assert ids == sorted(ids, reverse=True)
    server.ask("POST", "stop-job", {"jobId": job_id})
    server.wait(job_id)
    wait_for(
        lambda: server.get(f"jobs/checkpoints/{job_id}").json == {"jobId": str(job_id)}
    )  # state goes after the end


def test_the_history_is_chosen_from_by_pipeline_status_and_limit(server):
    job_id = server.submit(streaming())
    completed(server, job_id, 3)
    found = server.get(f"jobs/checkpoints/history/{job_id}?status=COMPLETED&limit=2&pipelineId=1").json
    assert [entry["pipelineId"] for entry in found] == [1, 1]
    assert found[0]["checkpoint"]["checkpointId"] == found[1]["checkpoint"]["checkpointId"] + 1
    assert server.get(f"jobs/checkpoints/history/{job_id}?pipelineId=2").json == []
    assert server.get("jobs/checkpoints/history/123456789").json == []
    server.ask("POST", "stop-job", {"jobId": job_id})


def test_what_cannot_be_asked_is_refused(server):
    assert server.get("jobs/checkpoints/123456789").json == {"jobId": "123456789"}
    for path in ("jobs/checkpoints", "jobs/checkpoints/", "jobs/checkpoints/history"):
        answer = server.get(path)
        assert (answer.status, answer.message) == (400, "The jobId must not be empty.")
    answer = server.get("jobs/checkpoints/abc")
    assert (answer.status, answer.message) == (400, 'For input string: "abc"')
    answer = server.get("jobs/checkpoints/history/1?status=NOPE")
    assert answer.status == 400
    assert answer.message.startswith("No enum constant")


def test_a_savepoint_is_shown_when_the_job_has_ended(server, capsys, monkeypatch):
    job_id = server.submit(streaming())
    completed(server, job_id, 1)
    server.ask("POST", "stop-job", {"jobId": job_id, "isStopWithSavePoint": True})
    server.wait(job_id, "SAVEPOINT_DONE")
    (pipeline,) = server.get(f"jobs/checkpoints/{job_id}").json["pipelines"]
    assert pipeline["latestSavepoint"]["checkpointType"] == "savepoint"
    url = f"http://127.0.0.1:{server.port}"
    for place in (("--server", url), ("--home", str(server.home))):
        code, out, _ = run(capsys, monkeypatch, "checkpoints", str(job_id), *place)
        assert code == 0
        assert " savepoint " in out.splitlines()[1]
        assert out.splitlines()[-1].startswith("pipeline 1: ")
    code, out, _ = run(capsys, monkeypatch, "checkpoints", str(job_id), "--json", "--home", str(server.home))
    assert json.loads(out)["pipelines"][0]["latestSavepoint"] == pipeline["latestSavepoint"]
    server.submit(streaming(), jobId=job_id, isStartWithSavePoint="true")
    answer = completed(server, job_id, 1, restored=1)
    assert answer["pipelines"][0]["counts"]["restored"] == 1
    server.ask("POST", "stop-job", {"jobId": job_id})
    server.wait(job_id)
    wait_for(lambda: server.get(f"jobs/checkpoints/{job_id}").json == {"jobId": str(job_id)})  # as above
    code, _, err = run(capsys, monkeypatch, "checkpoints", str(job_id), "--server", url)
    assert (code, err.strip()) == (1, f"error: the server knows no checkpoint of job {job_id}")


def test_a_job_without_checkpoints_is_an_error_of_the_command(tmp_path, capsys, monkeypatch):
    code, _, err = run(capsys, monkeypatch, "checkpoints", "77", "--home", str(tmp_path))
    assert code == 1
    assert f"no checkpoint of job 77 is stored in {tmp_path}" in err
