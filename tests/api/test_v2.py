"""REST v2: its port and path, its pages and lists, and what it answers beyond what was recorded."""

import datetime
import json
import socket
import ssl
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from headrace.api.ports import second_ports
from headrace.errors import ConfigError
from headrace.server_settings import load_server_settings
from tests.api.servers import job, wait_for


def settings_of(**values):
    return load_server_settings(values, {})[0]


# ----------------------------------------------------------------------------------------------------------------- port


def test_a_taken_port_that_nobody_asked_for_is_said_and_v1_goes_on():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_of().model_copy(update={"http_port": taken.getsockname()[1]})
        settings.model_fields_set.discard("http_port")
        ports, problems = second_ports(settings)
    assert ports == []
    assert "REST v2 does not answer, v1 does" in problems[0].message


def test_a_taken_port_that_was_asked_for_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="cannot listen"):
        second_ports(settings_of(http_port=taken.getsockname()[1]))


def test_a_dynamic_port_moves_on_to_the_next_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (port,), _ = second_ports(settings_of(http_port=taken.getsockname()[1], http_dynamic_port=True))
    with port.socket:
        assert taken is not None
        assert port.number > 0


def test_it_is_off_when_the_settings_say_so():
    assert second_ports(settings_of(http_enabled=False)) == ([], [])


@pytest.mark.parametrize("path", ["seatunnel", "/seatunnel", "/seatunnel/", "/a/b"])
def test_a_context_path_needs_no_slash(path):
    assert settings_of(http_context_path=path).base_path == "/" + path.strip("/")


# ---------------------------------------------------------------------------------------------------------------- https


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key store with a certificate for localhost, and the certificate as PEM."""
    folder = tmp_path_factory.mktemp("keys")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "h")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = made.add_extension(names, False).sign(key, hashes.SHA256())
    store = serialize_key_and_certificates(b"h", key, certificate, None, BestAvailableEncryption(b"secret"))
    (folder / "keys.p12").write_bytes(store)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return folder


def test_https_takes_its_key_from_a_pkcs12_store(start, keys):
    env = {"HEADRACE_KEY_STORE": str(keys / "keys.p12"), "HEADRACE_KEY_STORE_PASSWORD": "secret"}
    server = start(env={**env, "HEADRACE_HTTPS_ENABLED": "true", "HEADRACE_HTTPS_PORT": "0"})
    port = server.said.split("https://127.0.0.1:")[1].split("/")[0]
    context = ssl.create_default_context(cafile=str(keys / "certificate.pem"))
    with urllib.request.urlopen(f"https://localhost:{port}/overview", context=context, timeout=60) as answer:
        assert json.load(answer)["workers"] == "1"
    assert server.second().get("overview").status == 200


@pytest.mark.parametrize(
    ("content", "text"),
    [(bytes.fromhex("feedfeed00000002"), "keytool -importkeystore"), (b"what", "neither PEM nor PKCS12")],
)
def test_a_key_store_that_cannot_be_read_is_told_with_the_cure(tmp_path, content, text):
    (tmp_path / "keys.jks").write_bytes(content)
    with pytest.raises(ConfigError, match=text):
        second_ports(settings_of(http_enabled=False, https_enabled=True, key_store=tmp_path / "keys.jks"))


# ---------------------------------------------------------------------------------------------------------------- lists


def test_pages_cut_a_list_into_parts(second):
    numbers = [second.submit(job(1)) for _ in range(3)]
    for number in numbers:
        second.wait(number)
    total = second.get("finished-jobs?page=1&rows=2").json["total"]
    pages = [second.get(f"finished-jobs?page={page}&rows=2").json["data"] for page in range(1, -(-total // 2) + 1)]
    ids = [one["jobId"] for page in pages for one in page]
    assert len(ids) == len(set(ids)) == total
    assert {str(number) for number in numbers} <= set(ids)


@pytest.mark.parametrize("query", ["page=1&rows=0", "page=-1", "page=1&rows=x", "page=", "page=99999999999999999999"])
def test_a_page_that_cannot_be_is_refused(second, query):
    answer = second.get(f"finished-jobs?{query}")
    assert (answer.status, answer.json["status"]) == (400, "fail")


def test_jobs_are_listed_without_plans_from_cursor_to_cursor(second):
    for _ in range(3):
        second.wait(second.submit(job(7, name="listed")))
    found, cursor = [], ""
    while cursor is not None:
        answer = second.get(f"jobs?limit=2&status=finished&cursor={cursor}").json
        found += answer["jobs"]
        cursor = answer["nextCursor"]
    listed = [one for one in found if one["jobName"] == "listed"]
    assert len(listed) == 3
    assert {one["sinkWriteCount"] for one in listed} == {"7"}
    assert len({one["jobId"] for one in found}) == len(found) == answer["total"]


# ---------------------------------------------------------------------------------------------- what a job waits for


def test_a_job_that_waits_for_slots_is_told_with_what_it_lacks(start):
    yaml = "seatunnel: {engine: {job-schedule-strategy: WAIT, slot-service: {dynamic-slot: false, slot-num: 3}}}"
    second = start(files={"seatunnel.yaml": yaml}).second()
    running = second.submit(job(100, "STREAMING"))
    second.wait(running, "RUNNING")
    waiting = second.submit(job(1))
    second.wait(waiting, "PENDING")
    answer = second.get("pending-jobs").json
    (one,) = answer["pendingJobs"]
    assert (one["jobId"], one["jobStatus"], one["blockingJobIds"]) == (waiting, "PENDING", [running])
    assert one["lackingTaskGroups"] == one["totalTaskGroups"] - answer["clusterSnapshot"]["freeSlots"]
    assert (answer["queueSummary"]["size"], answer["queueSummary"]["scheduleStrategy"]) == (1, "WAIT")
    assert second.get("resource/workers").json["workers"][0]["usedSlots"] == 2


# ------------------------------------------------------------------------------------------------- stop, check, options


def test_force_ends_a_job_where_a_savepoint_was_asked_for(second):
    number = second.submit(job(100, "STREAMING"))
    second.wait(number, "RUNNING")
    second.ask("POST", "stop-job", {"jobId": number, "isStopWithSavePoint": True, "force": True})
    assert second.wait(number)["jobStatus"] == "CANCELED"


def test_restore_goes_on_under_the_id_of_the_saved_job(second):
    number = second.submit(job(100, "STREAMING"))
    second.wait(number, "RUNNING")
    second.ask("POST", "stop-job", {"jobId": number, "isStopWithSavePoint": True})
    second.wait(number)
    path = f"submit-job?restoreMode=savepoint&restoreSourceJobId={number}"
    assert second.ask("POST", f"{path}&jobId=77", job(100, "STREAMING")).status == 400
    assert second.ask("POST", path, job(100, "STREAMING")).json["jobId"] == str(number)
    second.wait(number, "RUNNING")
    second.ask("POST", "stop-job", {"jobId": number})


def test_check_tells_all_problems_with_their_lines_and_takes_nothing(second):
    text = "source { FakeSorce {} }\nsink { Console { log.print.dat = true } }"
    answer = second.ask("POST", "check?format=hocon", text).json
    assert (answer["valid"], answer["plan"]) == (False, None)
    assert [(p["line"], p["cure"][:11]) for p in answer["problems"]] == [(1, "did you mea"), (2, "did you mea")]


def test_check_shows_the_plan_and_the_columns_of_a_job_that_is_right(second):
    answer = second.ask("POST", "check", job(1)).json
    assert (answer["valid"], answer["problems"]) == (True, [])
    assert answer["plan"]["tables"]["1"][0]["columns"][1] == {"name": "age", "type": "INT"}
    assert "FakeSource" in answer["plan"]["text"]
    assert len(answer["plan"]["jobDag"]["vertexInfoMap"]) == 2


def test_every_plugin_has_its_options_as_a_schema_and_as_rules(second):
    for one in second.get("plugins").json:
        for kind in one["kinds"]:
            assert second.get(f"plugins/{kind}/{one['name']}").json["options"]["type"] == "object"
            rules = second.get(f"option-rules?type={kind}&plugin={one['name']}").json
            assert set(rules["optionRule"]) == {
                "optionalOptions",
                "requiredOptions",
                "conditionRules",
                "valueConstraints",
            }
    assert (
        second.get("option-rules?type=source&plugin=FakeSorce").json["problems"][0]["cure"]
        == "did you mean FakeSource?"
    )
    assert second.get("plugins/source/Nope").status == 404


# ---------------------------------------------------------------------------------------------------------------- rates


def test_what_a_running_job_did_is_sampled_and_survives_a_restart(start):
    server = start()
    second = server.second()
    slow = job(100, "STREAMING")
    slow["source"][0] |= {"split.num": 20, "split.read-interval": 500}
    number = second.submit(slow)
    wait_for(lambda: len(second.get(f"rates/{number}").json["points"]) >= 2)
    (live,) = second.get("metrics/realtime/jobs").json["jobs"]
    assert live["jobId"] == number
    for kind, ratio in (("vertices", "sourceReadRatio"), ("edges", "bpRatio")):
        series = second.get(f"metrics/realtime/jobs/{number}/{kind}").json[kind]
        assert all(0 <= point[ratio] <= 1 for one in series for point in one["points"])
        assert series[0]["points"]
    second.ask("POST", "stop-job", {"jobId": number})
    second.wait(number)
    for kind in ("vertices", "edges"):  # who still looks at a job that has just ended is told its last samples
        assert second.get(f"metrics/realtime/jobs/{number}/{kind}").json[kind][0]["points"]
        assert second.get(f"metrics/realtime/jobs/123/{kind}").status == 404
    before = second.get(f"rates/{number}").json["points"]
    server.stop()
    again = start().second().get(f"rates/{number}").json["points"]
    assert again == before
    assert again[-1]["read"] >= again[0]["read"]


def test_a_job_too_short_to_be_sampled_has_its_beginning_and_end(second):
    number = second.submit(job(50))
    second.wait(number)
    first, last = second.get(f"rates/{number}").json["points"]
    assert (first["read"], last["read"], last["written"]) == (0, 50, 50)
    assert second.get("rates/123").status == 404
