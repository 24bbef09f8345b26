"""The cases of the contract that concern v1 and the page of 2.3.3, each under its number, on a real server."""

import re
import time

import pytest

from tests.api.servers import MAPS, job

FINISHED = "finished-jobs/FINISHED"


def named(server, name, path=FINISHED, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        found = [element for element in server.get(path).json if element["jobName"] == name]
        if found or time.monotonic() > deadline:
            return found[0]
        time.sleep(0.02)


# --------------------------------------------------------------------------------------------------------------- submit


def test_c01_c04_a_name_in_utf8(server):
    answer = server.ask("POST", "submit-job", job(name="test测试"), query={"jobName": "param_test测试"})
    assert (answer.status, answer.json["jobName"]) == (200, "param_test测试")
    ended = named(server, "param_test测试")
    assert (ended["errorMsg"], ended["jobStatus"]) == (None, "FINISHED")
    assert ended["metrics"]["SourceReceivedCount"] == ended["metrics"]["SinkWriteCount"] == "100"


def test_c02_c88_without_a_query(server, later_server):
    answer = server.ask("POST", "submit-job", job(name="plain"))
    assert answer.json["jobName"] == "plain"
    assert isinstance(answer.json["jobId"], int)
    assert answer.json["jobId"] < 2**53
    assert re.fullmatch(r"\d+", later_server.ask("POST", "submit-job", job()).json["jobId"])


def test_c03_the_given_id_is_used(server, later_server):
    query = {"jobId": 862969647010611201, "jobName": "x"}
    assert server.ask("POST", "submit-job", job(), query=query).json == query
    assert later_server.ask("POST", "submit-job", job(), query=query).content == (
        b'{"jobId":"862969647010611201","jobName":"x"}'
    )


def test_c05_a_savepoint_start_needs_an_id(server):
    answer = server.ask("POST", "submit-job?isStartWithSavePoint=true", job())
    assert answer.status == 400
    assert answer.message == "Please provide jobId when start with save point."


def test_c06_only_true_counts(server):
    assert server.ask("POST", "submit-job?isStartWithSavePoint=1", job()).status == 200
    assert server.ask("POST", "submit-job?isStartWithSavePoint=TRUE", job()).status == 400


@pytest.mark.parametrize("text", ["abc", "9223372036854775808", "-9223372036854775809", "1.5", "+", "0x1"])
def test_c07_c08_an_id_that_is_no_number(server, text):
    answer = server.ask("POST", "submit-job", job(), query={"jobId": text})
    assert (answer.status, answer.message) == (400, f'For input string: "{text}"')


def test_the_largest_id_is_an_id(server):
    largest = 2**63 - 1
    if server.get(f"job-info/{largest}").json == {"jobId": str(largest)}:
        assert server.ask("POST", f"submit-job?jobId={largest}", job(1)).json["jobId"] == largest
    assert server.wait(largest)["jobId"] == str(largest)
    assert str(largest) in [one["jobId"] for one in server.get("finished-jobs").json]
    assert server.ask("POST", "stop-job", {"jobId": largest}).json == {"jobId": str(largest)}
    assert server.ask("POST", "stop-jobs", [{"jobId": largest}]).json == [{"jobId": largest}]
    assert b"Init JobMaster" in server.get(f"log/job-{largest}.log").content
    for path in (f"job-info/{largest + 1}", f"jobs/checkpoints/{largest + 1}"):
        assert server.get(path).message == f'For input string: "{largest + 1}"'
    for body in ({"jobId": largest + 1}, {"jobId": str(largest + 1)}, {"jobId": 10**400}):
        answer = server.ask("POST", "stop-job", body)
        assert (answer.status, answer.message) == (400, f'For input string: "{body["jobId"]}"')


@pytest.mark.parametrize("number", [0, -1, -(2**63)])
def test_an_id_that_no_job_can_have(server, number):
    answer = server.ask("POST", "submit-job", job(), query={"jobId": number})
    assert answer.status == 400
    assert answer.json["problems"][0]["message"] == f"{number} is not the id of a job"


def test_c09_an_empty_name(server):
    answer = server.ask("POST", "submit-job?jobName=", job())
    assert (answer.status, answer.message) == (400, "Invalid Params format in Params.")


def test_c10_a_lone_question_mark_is_no_query(server):
    assert server.ask("POST", "submit-job?", job(1)).status == 200


@pytest.mark.parametrize(("query", "name"), [("a%20b", "a b"), ("a+b", "a b"), ("a=b", "a")])
def test_c11_decoding(server, query, name):
    assert server.ask("POST", f"submit-job?jobName={query}", job()).json["jobName"] == name


@pytest.mark.parametrize(("query", "index"), [("a%zz", 0), ("a%1z", 1), ("%", None)])
def test_c11_a_broken_escape(server, query, index):
    answer = server.ask("POST", f"submit-job?jobName={query}", job())
    assert answer.status == 400
    assert answer.message.startswith("URLDecoder: " + ("Incomplete" if index is None else "Illegal hex characters"))


def test_c12_c13_default_names(server, later_server):
    assert server.ask("POST", "submit-job?jobName=SeaTunnel", job(name="NAME")).json["jobName"] == "NAME"
    assert server.ask("POST", "submit-job", job(name=None)).json["jobName"] == "SeaTunnel"
    assert later_server.ask("POST", "submit-job", job(name=None)).json["jobName"] == "SeaTunnel_Job"


def test_c14_the_same_id_while_it_runs(server):
    number = server.submit(job(mode="STREAMING"), jobId=50_001)
    server.wait(number, "RUNNING")
    again = server.ask("POST", "submit-job?jobId=50001&jobName=other", job())
    assert (again.status, again.json["jobName"]) == (200, "other")
    assert [j["jobName"] for j in server.get("running-jobs").json if j["jobId"] == "50001"] == ["NAME"]
    server.ask("POST", "stop-job", {"jobId": number})
    server.wait(number)


def test_c15_the_same_id_after_its_end(server):
    number = server.submit(job(), jobId=50_002)
    server.wait(number)
    answer = server.ask("POST", "submit-job?jobId=50002", job())
    assert answer.status == 400
    assert answer.message == "The job id 50002 has already been submitted and is not starting with a savepoint."
    assert server.ask("POST", "submit-job?jobId=50002&isStartWithSavePoint=true", job()).status == 200
    server.wait(number)


def test_c16_c31_several_jobs_and_again(server):
    bodies = [{**job(1), "params": {"jobId": str(n), "jobName": f"batch_{n}"}} for n in (50_004, 50_003)]
    answer = server.ask("POST", "submit-jobs", bodies)
    assert answer.json == [
        {"jobId": "50004", "jobName": "batch_50004"},
        {"jobId": "50003", "jobName": "batch_50003"},
    ]
    for number in (50_003, 50_004):
        server.wait(number)
    for body in bodies:
        body["params"]["isStartWithSavePoint"] = "true"
    assert [one["jobId"] for one in server.ask("POST", "submit-jobs", bodies).json] == ["50004", "50003"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Request body is empty."),  # C17
        (b"{bad", "Invalid JSON format in request body."),  # C18
        (b"\xff\xfe", "Invalid JSON format in request body."),
        (b"[]", "Cannot deserialize value of type `java.util.LinkedHashMap"),  # C19
        (b"5", "Cannot deserialize value of type `java.util.LinkedHashMap"),
        (b'"x"', "Cannot deserialize value of type `java.util.LinkedHashMap"),
        (b"null", "objectMap is marked non-null but is null"),
        (b"  \n", "objectMap is marked non-null but is null"),
        (b'{"env":{},"source":[],"sink":[]} trailing', "Miss <Source> config! Please check the config file."),  # C20
        (b"[" * 100_000, "Invalid JSON format in request body."),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "Invalid JSON format in request body."),
    ],
)
def test_c17_to_c20_bodies(server, body, message):
    answer = server.ask("POST", "submit-job", body)
    assert answer.status == 400
    assert answer.message.startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": []}, "Miss <Source> config! Please check the config file."),  # C21
        ({"sink": []}, "Miss <Sink> config! Please check the config file."),  # C22
        ({"source": None}, "source: the job has no 'source'"),  # C23
        ({"env": None}, "No configuration setting found for key 'env'"),  # C24
        ({"env": {"job.mode": "nope"}}, "Json parsing exception, value 'nope', and expected type"),  # C25
        ({"source": [{"plugin_name": "Nope"}]}, "Plugin PluginIdentifier{engineType='seatunnel', pluginType='source'"),
        (
            {"source": [{"row.num": 1}]},
            "The 'plugin_name' option is not configured, please configure it. source[0]: add",
        ),  # C28
        ({"source": [{"plugin_name": "FakeSource"}]}, "ErrorCode:[API-06], ErrorDescription:[Factory initialize"),
        ({"source": {"plugin_name": "FakeSource"}}, "source: must be an array of plugins, not dict"),
    ],
)
def test_c21_to_c29_jobs_that_are_wrong(server, change, message):
    body = {key: value for key, value in {**job(), **change}.items() if value is not None}
    answer = server.ask("POST", "submit-job", body)
    assert answer.status == 400
    assert answer.message.startswith(message)
    assert answer.json["problems"]


def test_all_problems_of_a_job_come_at_once(server):
    body = job()
    body["source"][0] |= {"row.num": "many", "split.num": 0}
    body["sink"][0]["plugin_name"] = "Consle"
    problems = server.ask("POST", "submit-job", body).json["problems"]
    places = [problem["place"] for problem in problems]
    assert places == ["source[0].FakeSource.row.num", "source[0].FakeSource.split.num", "sink[0].Consle"]
    assert "did you mean Console?" in problems[-1]["cure"]


@pytest.mark.parametrize("mode", ["batch", "Batch", "BATCH"])
def test_c26_a_mode_in_any_case(server, mode):
    assert server.ask("POST", "submit-job", job(1, mode=mode)).status == 200


def test_c30_the_content_type_does_not_matter(server):
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
        assert server.ask("POST", "submit-job", job(1), {"Content-Type": kind}).status == 200


def test_c32_c33_c34_several_jobs_that_are_wrong(server):
    assert server.ask("POST", "submit-jobs", []).content == b"[]"
    assert server.ask("POST", "submit-jobs", [{**job(), "params": {}}]).message == "Invalid Params format in Params."
    answer = server.ask("POST", "submit-jobs", [{**job(), "params": {"jobName": "half"}}, job()])
    assert (answer.status, answer.message) == (400, "the job has no params")
    assert answer.json["problems"][0]["place"] == "[1].params"
    assert all(element["jobName"] != "half" for element in server.get("finished-jobs").json)


def several(*jobs):
    """Jobs of submit-jobs, each with its params."""
    return [{**job(1), "params": {"jobName": "none", **params}} for params in jobs]


@pytest.mark.parametrize(
    ("wrong", "message", "place"),
    [
        ({"jobId": "abc"}, 'For input string: "abc"', "jobId"),
        ({"jobId": "0"}, 'For input string: "0"', "jobId"),
        ({"jobId": -1}, 'For input string: "-1"', "jobId"),
        ({"jobId": "9223372036854775808"}, 'For input string: "9223372036854775808"', "jobId"),
        ({"jobId": "50010"}, "The job id 50010 has already been submitted and is not starting with", "jobId"),
        ({"jobId": "50011"}, "the jobId 50011 is that of another job in the list", "params.jobId"),
        ({"isStartWithSavePoint": "true"}, "Please provide jobId when start with save point.", "jobId"),
    ],
)
def test_of_several_jobs_all_are_taken_or_none(server, wrong, message, place):
    if server.get("job-info/50010").json == {"jobId": "50010"}:
        server.submit(job(1), jobId=50010)
    server.wait(50010)
    answer = server.ask("POST", "submit-jobs", several({"jobId": "50011"}, wrong, {"jobId": "50012"}))
    assert answer.status == 400
    assert answer.message.startswith(message)
    (problem,) = answer.json["problems"]
    assert problem["place"] == f"[1].{place}"
    assert problem["cure"]
    for number in (50011, 50012):
        assert server.get(f"job-info/{number}").json == {"jobId": str(number)}
    assert "none" not in [one["jobName"] for one in server.get("finished-jobs").json + server.get("running-jobs").json]


def test_the_mistakes_of_all_jobs_are_told_at_once(server):
    bodies = several({"jobId": "x"}, {}, {})
    bodies[1]["source"][0]["row.num"] = "many"
    bodies[2]["sink"] = [{"plugin_name": "Consle"}]
    answer = server.ask("POST", "submit-jobs", bodies)
    assert answer.message == 'For input string: "x"'
    assert [problem["place"] for problem in answer.json["problems"]] == [
        "[0].jobId",
        "[1].source[0].FakeSource.row.num",
        "[2].sink[0].Consle",
    ]


def test_c14_an_id_that_runs_is_no_mistake_among_several_jobs(server):
    number = server.submit(job(mode="STREAMING"), jobId=50_013)
    server.wait(number, "RUNNING")
    answer = server.ask("POST", "submit-jobs", several({"jobId": "50013"}, {"jobName": "new"}))
    assert [one["jobName"] for one in answer.json] == ["none", "new"]
    assert server.get(f"job-info/{number}").json["jobName"] == "NAME"
    server.ask("POST", "stop-job", {"jobId": number})
    server.wait(number)


def test_a_job_in_hocon(server):
    text = """env { job.mode = BATCH, job.name = "hocon" }
    source { FakeSource { row.num = 3, schema { fields { a = int } } } }
    sink { Console {} }"""
    number = server.submit(text, format="HOCON")
    assert server.wait(number)["metrics"]["SinkWriteCount"] == "3"
    answer = server.ask("POST", "submit-job?format=hocon", "env {")
    assert answer.status == 400
    assert "line" in answer.message


# ----------------------------------------------------------------------------------------------------------------- read


def test_c35_c41_c86_c89_a_running_job(server):
    body = job(5, mode="STREAMING", name="running", **{"checkpoint.interval": 5000, "parallelism": 2})
    number = server.submit(body)
    server.wait(number, "RUNNING")
    one = server.get(f"running-job/{number}").json
    assert (one["jobId"], one["jobName"], one["jobStatus"]) == (str(number), "running", "RUNNING")
    assert one["envOptions"] == {
        "job.name": "running",
        "job.mode": "STREAMING",
        "checkpoint.interval": "5000",
        "parallelism": "2",
    }
    assert one["jobDag"]["vertices"] == [
        {"id": 1, "name": "Source[0]-FakeSource-fake(id=1)", "parallelism": 2},
        {"id": 2, "name": "Sink[0]-Console-default.fake(id=2)", "parallelism": 2},
    ]
    assert one["jobDag"]["edges"] == [
        {"inputVertex": "Source[0]-FakeSource-fake", "targetVertex": "Sink[0]-Console-default.fake"}
    ]
    assert one["jobDag"]["pipelineEdges"] == {"1": [{"inputVertexId": "1", "targetVertexId": "2"}]}
    first, second = one["jobDag"]["vertexInfoMap"]
    assert first == {
        "vertexId": 1,
        "type": "source",
        "vertexName": "pipeline-1 [Source[0]-FakeSource]",
        "tablePaths": ["fake"],
    }
    assert second["vertexName"] == "pipeline-1 [Sink[0]-Console-MultiTableSink]"
    assert {"sourceReceivedCount", "sinkWriteCount", "SourceReceivedCount"} <= one["metrics"].keys()
    assert [j["jobId"] for j in server.get("running-jobs").json].count(str(number)) == 1
    server.ask("POST", "stop-job", {"jobId": number})
    server.wait(number)


def test_c36_c87_an_unknown_job(server, later_server):
    assert server.get("running-job/123").content == b"{}"
    assert server.get("job-info/123").json == {"jobId": "123"}
    assert later_server.get("running-job/123").json == {"jobId": "123"}
    assert later_server.get("job-info/007").json == {"jobId": "7"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("running-job/", "/hazelcast/rest/maps/running-job"),  # C37
        ("job-info/abc", "abc"),  # C38
        ("job-info/123?x=1", "123?x=1"),  # C39
        ("job-info/9223372036854775808", "9223372036854775808"),
        ("job-info/1%2F2", "1%2F2"),
    ],
)
def test_c37_c38_c39_an_id_that_is_no_number(server, path, text):
    answer = server.get(path)
    assert answer.status == 400
    assert answer.message == f'For input string: "{text}"'


def test_c40_a_trailing_slash(server):
    assert server.get("job-info/123/").json == {"jobId": "123"}


def test_c42_c48_c50_empty_lists(server):
    assert server.get("finished-jobs/NOPE").content == b"[]"
    assert server.get("finished-jobs/FINISHED?x=1").content == b"[]"
    assert server.get("finished-jobs/RUNNING").content == b"[]"


def test_c43_c44_a_finished_job(server):
    body = job(5, name="five")
    body["sink"][0]["plugin_name"] = "console"
    ended = server.wait(server.submit(body))
    assert list(ended)[:7] == [
        "jobId",
        "jobName",
        "jobStatus",
        "errorMsg",
        "createTime",
        "startTime",
        "finishTime",
    ]
    assert (ended["jobStatus"], ended["errorMsg"], ended["pluginJarsUrls"]) == ("FINISHED", None, [])
    assert "envOptions" not in ended
    assert ended["jobDag"]["vertexInfoMap"][1]["vertexName"] == "pipeline-1 [Sink[0]-console-MultiTableSink]"
    metrics = ended["metrics"]
    assert metrics["TableSourceReceivedCount"] == metrics["TableSinkWriteCount"] == {"fake": "5"}
    assert ended["jobDag"]["envOptions"]["job.mode"] == "BATCH"


def test_c45_c59_a_savepoint(server):
    number = server.submit(job(5, mode="STREAMING", name="saved"))
    server.wait(number, "RUNNING")
    assert server.ask("POST", "stop-job", {"jobId": number, "isStopWithSavePoint": True}).json == {"jobId": str(number)}
    server.wait(number, "SAVEPOINT_DONE")
    assert str(number) in [j["jobId"] for j in server.get("finished-jobs/SAVEPOINT_DONE").json]


def test_c46_c47_c60_a_cancel(server):
    number = server.submit(job(5, mode="STREAMING"))
    assert server.ask("POST", "stop-job", {"jobId": str(number), "isStopWithSavePoint": "false"}).json == {
        "jobId": str(number)
    }
    server.wait(number, "CANCELED")
    assert str(number) in [j["jobId"] for j in server.get("finished-jobs/canceled").json]  # C47: in any case


def test_c49_newest_first(server):
    for name in ("first", "second"):
        server.wait(server.submit(job(1, name=name)))
    times = [element["finishTime"] for element in server.get("finished-jobs").json]
    assert times == sorted(times, reverse=True)


def test_c51_counts_and_bytes_per_table(server, later_server):
    def table(path, rows):
        fields = {"name": "string", "age": "int", "card": "int"}
        return {"schema": {"table": path, "fields": fields}, "row.num": rows}

    body = job(1, name="tables")
    body["source"][0] = {
        "plugin_name": "FakeSource",
        "result_table_name": "fake",
        "tables_configs": [table("fake.table1", 10), table("fake.public.table2", 5)],
    }
    metrics = server.wait(server.submit(body))["metrics"]
    assert metrics["SourceReceivedCount"] == metrics["SinkWriteCount"] == "15"
    assert metrics["TableSinkWriteCount"] == {"fake.table1": "10", "fake.public.table2": "5"}
    assert metrics["SourceReceivedBytes"] == metrics["SinkWriteBytes"] == "195"
    assert metrics["TableSourceReceivedBytes"] == {"fake.table1": "130", "fake.public.table2": "65"}
    rates = [
        metrics[key] for key in metrics if key.endswith(("QPS", "BytesPerSeconds")) and isinstance(metrics[key], str)
    ]
    assert len(rates) == 6
    assert all(float(rate) > 0 for rate in rates)
    later = later_server.wait(later_server.submit(body))["metrics"]
    assert later["TableSinkWriteCount"] == {"Sink[0].fake.table1": "10", "Sink[0].fake.public.table2": "5"}


def test_c52_c53_c54_c68_c69_c70_overview_and_tags(start):
    yaml = """
hazelcast:
  network: {rest-api: {enabled: true, endpoint-groups: {DATA: {enabled: true}}}, port: {port: 5931}}
  member-attributes: {node: {type: string, value: node1}}
"""
    slots = "seatunnel: {engine: {slot-service: {dynamic-slot: false, slot-num: 20}}}\n"
    server = start(files={"hazelcast.yaml": yaml, "seatunnel.yaml": slots})
    one = server.get("overview").json
    assert list(one) == [
        "projectVersion",
        "gitCommitAbbrev",
        "totalSlot",
        "unassignedSlot",
        "runningJobs",
        "finishedJobs",
        "failedJobs",
        "pendingJobs",
        "cancelledJobs",
        "workers",
    ]
    assert (one["totalSlot"], one["unassignedSlot"], one["workers"]) == ("20", "20", "1")

    def slots_of(query):
        answer = server.get(f"overview?{query}").json
        return answer["totalSlot"], answer["workers"]

    assert slots_of("node=node1") == ("20", "1")
    assert slots_of("tag1=dev_1") == ("0", "0")
    for method in ("PUT", "POST"):
        answer = server.ask(method, "update-tags", {"tag1": "dev_1", "tag2": "dev_2"})
        assert answer.json == {"status": "success", "message": "update node tags done."}
    assert slots_of("tag1=dev_1&tag2=dev_2") == ("20", "1")
    assert slots_of("tag1=dev_1&tag2=other") == ("0", "0")
    assert server.ask("PUT", "update-tags", b"").message == "Request body is empty."
    assert server.ask("PUT", "update-tags", {}).status == 200
    assert slots_of("node=node1") == ("0", "0")


def test_c55_c56_c90_monitoring(server):
    (node,) = server.get("system-monitoring-information").json
    assert list(node)[:4] == ["isMaster", "host", "port", "processors"]
    assert (node["host"], node["port"], node["isMaster"]) == ("localhost", str(server.port), "true")
    assert all(isinstance(value, str) for value in node.values())


def test_c57_c58_threads(server):
    dump = server.get("thread-dump").json
    assert {"threadName", "threadState", "stackTrace", "threadId"} == set(dump[0])
    assert all(isinstance(thread["threadId"], int) for thread in dump)
    names = [thread["threadName"] for thread in server.get("running-threads").json]
    assert names == sorted(names)
    assert "store-writer" in names


# ----------------------------------------------------------------------------------------------------------------- stop


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "jobId cannot be empty."),  # C61
        ({"jobId": None}, "jobId cannot be empty."),
        ({"jobId": "abc"}, 'For input string: "abc"'),  # C62
        ({"jobId": 1.5}, 'For input string: "1.5"'),
        (b"", "Request body is empty."),  # C64
        (b"x", "Invalid JSON format in request body."),
    ],
)
def test_c61_c62_c64_a_stop_that_is_wrong(server, body, message):
    answer = server.ask("POST", "stop-job", body)
    assert (answer.status, answer.message) == (400, message)


def test_c63_an_unknown_job_is_stopped_in_peace(server):
    assert server.ask("POST", "stop-job", {"jobId": "123"}).json == {"jobId": "123"}


def test_c65_c66_c67_several_stops(server):
    numbers = [server.submit(job(5, mode="STREAMING")) for _ in range(2)]
    answer = server.ask("POST", "stop-jobs", [{"jobId": n, "isStopWithSavePoint": False} for n in numbers])
    assert answer.json == [{"jobId": n} for n in numbers]
    for number in numbers:
        server.wait(number, "CANCELED")
    assert server.ask("POST", "stop-jobs", {"jobId": 1}).message == "Json parse list exception!"
    assert server.ask("POST", "stop-jobs", []).content == b"[]"


def test_one_wrong_id_stops_none(server):
    number = server.submit(job(5, mode="STREAMING"))
    server.wait(number, "RUNNING")
    assert server.ask("POST", "stop-jobs", [{"jobId": number}, {}]).message == "jobId cannot be empty."
    assert server.get(f"job-info/{number}").json["jobStatus"] == "RUNNING"
    server.ask("POST", "stop-job", {"jobId": number})
    server.wait(number)


def test_c72_c73_encrypt_config(server):
    body = job()
    body["env"]["shade.identifier"] = "base64"
    body["source"][0] |= {"username": "seatunnel", "password": "seatunnel_password"}
    answer = server.ask("POST", "encrypt-config", body).json
    assert answer["source"][0]["result_table_name"] == "fake"
    assert answer["source"][0]["username"] == "c2VhdHVubmVs"
    assert answer["source"][0]["password"] == "c2VhdHVubmVsX3Bhc3N3b3Jk"
    del body["env"]["shade.identifier"]
    assert server.ask("POST", "encrypt-config", body).json == body
    assert server.ask("POST", "encrypt-config", {}).status == 400


# ----------------------------------------------------------------------------------------------------------------- logs


def test_c74_to_c79_logs(server):
    number = server.submit(job(1, name="logged"))
    server.wait(number)
    links = re.findall(r'href="http://[^/]*(/[^"]*)"', server.get(f"logs/{number}").content.decode())
    assert links == [f"/hazelcast/rest/maps/logs/job-{number}.log"]
    assert b"Init JobMaster for Job logged" in server.get(links[0]).content
    listing = server.get("logs?format=JSON").json
    assert {"node", "logLink", "logName"} == set(listing[0])
    assert f"job-{number}.log" in [entry["logName"] for entry in listing]
    text = server.get(f"log/job-{number}.log")
    assert (text.status, text.headers["content-type"]) == (200, "text/plain")
    missing = server.get("log/none.log")
    assert (missing.status, missing.content) == (400, b"")
    names = server.get("get-all-log-name")
    assert names.headers["content-type"] == "text/plain"
    assert f"job-{number}.log" in names.json


@pytest.mark.parametrize(
    "name",
    [
        "../store.key",
        "..%2Fstore.key",
        "%2e%2e%2fstore.key",
        "....//store.key",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "link.log",
        "..%2F..%2F..%2Fetc%2Fpasswd%00.log",
        "job-*.log",
    ],
)
def test_no_name_leads_out_of_the_logs(server, name):
    link = server.home / "logs" / "link.log"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    for path in (f"log/{name}", f"logs/{name}"):
        answer = server.get(path)
        assert b"root:" not in answer.content
        assert answer.status in (200, 400, 404)
    assert "link.log" not in server.get("get-all-log-name").json


def test_c80_c81_metrics(start):
    server = start(env={"HEADRACE_TELEMETRY": "true"})
    text = server.get("/hazelcast/rest/instance/metrics")
    assert (text.status, text.headers["content-type"]) == (200, "text/plain")
    for name in (
        "cluster_info",
        "cluster_time",
        "node_count",
        "node_state",
        'job_count{cluster="seatunnel",type="running",} 0.0',
        'job_count{cluster="seatunnel",type="pending",} 0.0',
        'jvm_memory_bytes_used{area="heap",}',
        "hazelcast_executor_queueSize",
        "hazelcast_partition_isClusterSafe",
        "job_thread_pool_completedTask_total",
        "process_resident_memory_bytes",
    ):
        assert name in text.content.decode()
    assert server.get("/hazelcast/rest/instance/openmetrics").content.endswith(b"# EOF\n")


def test_c81_metrics_are_empty_unless_they_are_wanted(server):
    answer = server.get("/hazelcast/rest/instance/metrics")
    assert (answer.status, answer.content) == (200, b"")


def test_c82_c83_c84_other_paths_and_methods(server):
    missing = server.get("running-job-infos/x/y")
    assert missing.status in (200, 400)  # SeaTunnel finds endpoints by how a path begins
    unknown = server.get("rnning-jobs")
    assert unknown.status == 404
    assert "did you mean /hazelcast/rest/maps/running-jobs?" in unknown.message
    for path, near in (
        ("/docs/", "/docs"),
        ("/openapi.jsn", "/openapi.json"),
        ("/running-jobs", f"{MAPS}/running-jobs"),
        ("/api/overview", f"{MAPS}/overview"),
        ("/hazelcast/helth", "/hazelcast/health"),
        (f"{MAPS}/job-inf/7/", f"{MAPS}/job-info"),
        ("/hazelcast/rest/instance/metric", "/hazelcast/rest/instance/metrics"),
    ):
        assert server.get(path).message == f"there is no {path}; did you mean {near}?"
    for path in ("/", "/favicon.ico", "/wp-login.php", f"{MAPS}/zzz", "/" + "x" * 20_000):
        assert server.get(path).message == f"there is no {path}; all paths are listed at /docs"
    wrong = server.get("submit-job")
    assert (wrong.status, wrong.content) == (400, b"")
    for method in ("DELETE", "OPTIONS", "PATCH"):
        assert server.ask(method, "running-jobs").status == 405
    head = server.ask("HEAD", "running-jobs")
    assert (head.status, head.content) == (200, b"")


def test_c85_hazelcasts_own(server):
    cluster = server.get("/hazelcast/rest/cluster").json
    assert cluster["members"][0]["localMember"] is True
    assert server.get("/hazelcast/health").json["clusterSize"] == 1
    assert server.get("/hazelcast/health/ready").status == 200
    assert server.get("/hazelcast/health/node-state").content == b'"ACTIVE"'
    assert server.get("/hazelcast/health/cluster-size").content == b"1"
    assert server.get("/hazelcast/health/nope").status == 404


V2_ONLY = {71}


def test_every_case_of_the_contract_has_a_test_of_its_number():
    tested = set()
    for name in filter(re.compile(r"test_c\d\d").match, globals()):
        first, to, last = re.match(r"test_c(\d\d)(_to_c(\d\d))?", name).groups()
        tested |= set(range(int(first), int(last) + 1)) if to else {int(n) for n in re.findall(r"_c(\d\d)", name)}
    assert sorted(set(range(1, 91)) - tested - V2_ONLY) == []
