"""A server as its operator meets it: configuration, ports, who may ask, what survives, what a busy one answers."""

import contextlib
import json
import os
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

import headrace
from headrace.api.ports import told_address
from headrace.errors import ConfigError, HeadraceError, JobNotFound, Unavailable
from headrace.server_settings import ServerSettings, load_server_settings
from tests.api.servers import MAPS, Server, job, wait_for

HAZELCAST = """
hazelcast:
  cluster-name: orders
  network:
    rest-api:
      enabled: true
      endpoint-groups:
        CLUSTER_WRITE: {enabled: true}
        DATA: {enabled: true}
    join:
      tcp-ip:
        enabled: true
        member-list: [localhost]
    port:
      auto-increment: true
      port-count: 100
      port: %d
  properties:
    hazelcast.invocation.max.retry.count: 20
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def headrace_server(tmp_path, *arguments, env=None):
    """Start a server that cannot start: exit code and what it said."""
    command = [sys.executable, "-m", "headrace", "server", "--home", str(tmp_path / "home"), *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
        cwd=tmp_path,
        check=False,
    )
    return done.returncode, done.stderr


# -------------------------------------------------------------------------------------------------------- configuration


def test_seatunnels_own_files_work_unchanged(start):
    port = free_port()
    seatunnel = """
seatunnel:
  engine:
    history-job-expire-minutes: 60
    backup-count: 1
    queue-type: blockingqueue
    print-execution-info-interval: 60
    print-job-metrics-info-interval: 60
    slot-service: {dynamic-slot: true}
    checkpoint: {interval: 10000, timeout: 60000, storage: {type: hdfs, max-retained: 3}}
    http: {enable-http: true, port: %d}
"""
    second = free_port()
    server = start(files={"hazelcast.yaml": HAZELCAST % port, "seatunnel.yaml": seatunnel % second})
    assert (server.port, server.second().port) == (port, second)
    log = (server.home / "logs" / "headrace-server.log").read_text()
    assert "print-job-metrics-info-interval" not in log  # seatunnel.sh reads it
    assert "network.join" not in log  # one member, as SeaTunnel ships it, is a server of its own
    for key in ("queue-type", "backup-count"):
        assert log.count(f": {key}: this key does nothing here") == 1
    assert "history-job-expire-minutes" not in log


OTHER_KEYS = """
seatunnel:
  engine:
    classloader-cache-mode: true
    job-metrics-backup-interval: 10
    job-metrics-partition-count: 16
    task_execution_thread_share_mode: PART
    enable-http: true
    port: 8080
    context-path: /seatunnel
    slot-service: {dynamic-slot: false, slot-num: 20, slot-allocate-strategy: SLOT_RATIO}
    coordinator-service: {core-thread-num: 30, max-thread-num: 1000}
    checkpoint: {interval: 1, timeout: 1, min-pause: 1, max-concurrent: 1, tolerable-failure: 2,
      schema-change-timeout: 1}
    telemetry: {metric: {enabled: true}, logs: {scheduled-deletion-enable: true}}
    http: {enable-http: true, port: 8080, enable-dynamic-port: true, port-range: 100, enable-https: true,
      https-port: 8443, key-store-path: a, key-store-password: b, trust-store-path: c}
    event-report-http: {url: "http://example.com:1024/event/report", headers: {Content-Type: application/json}}
    jar-storage: {enable: false, connector-jar-storage-mode: SHARED, connector-jar-storage-path: "",
      connector-jar-cleanup-task-interval: 3600, connector-jar-expiry-time: 600}
"""
OTHER_HAZELCAST_KEYS = """
hazelcast:
  network:
    join: {kubernetes: {enabled: true, service-dns: a, service-port: 5801}, multicast: {enabled: false}}
    port: {outbound-ports: ["0"]}
  map: {"engine*": {map-store: {enabled: true, initial-mode: EAGER, properties: {type: hdfs}}}}
  ringbuffer: {zeta-job-event: {capacity: 2000}}
  executor-service: {io: {pool-size: 4}}
  partition-group: {enabled: true, group-type: SPI}
  member-attributes: {group: {type: string, value: platform}}
"""


def test_every_key_of_seatunnels_pages_works_or_is_named_with_its_reason(tmp_path):
    (tmp_path / "seatunnel.yaml").write_text(OTHER_KEYS)
    (tmp_path / "hazelcast.yaml").write_text(OTHER_HAZELCAST_KEYS)
    settings, warnings = load_server_settings({"config": tmp_path}, {})
    assert (settings.slots, settings.telemetry, settings.delete_logs) == (20, True, True)
    assert settings.tags == {"group": "platform"}
    assert [str(w) for w in warnings if w.message != "this key does nothing here" or not w.cure] == []


def test_a_key_that_is_nobodys_is_told(tmp_path):
    (tmp_path / "seatunnel.yaml").write_text("seatunnel: {engin: {backup-count: 1}, engine: {zebra: 1}}")
    _, warnings = load_server_settings({"config": tmp_path}, {})
    assert [(w.place, w.message) for w in warnings] == [
        ("engin.backup-count", "unknown key"),
        ("zebra", "unknown key"),
    ]


def test_a_busy_port_moves_on_to_the_next(start):
    port = free_port()
    first = start(name="one", files={"hazelcast.yaml": HAZELCAST % port})
    second = start(name="two", files={"hazelcast.yaml": HAZELCAST % port})
    assert (first.port, second.port > port) == (port, True)


def test_without_auto_increment_a_busy_port_is_an_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = headrace_server(tmp_path, "--port", port, env={"HEADRACE_AUTO_INCREMENT": "false"})
    assert code == 2
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in said
    assert "set auto-increment: true" in said


def test_a_named_port_that_is_busy_is_an_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = headrace_server(tmp_path, "--port", port)
    assert code == 2
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in said
    assert "choose another with port, or set auto-increment: true and leave --port out" in said


def test_more_clients_may_be_connected_than_a_shell_lets_files_be_open(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        server = start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as clients:
        for _ in range(400):
            clients.enter_context(socket.create_connection(("127.0.0.1", server.port), 60))
        assert server.get("running-jobs").status == 200


def test_links_of_a_server_that_listens_everywhere_lead_to_it(start):
    server = start(env={"HEADRACE_HOST": "0.0.0.0", "HEADRACE_ALLOW_REMOTE": "true"})
    (log,) = server.get("logs?format=json").json
    with urllib.request.urlopen(log["logLink"], timeout=60) as answer:
        assert b"Started server process" in answer.read()
    told = {log["node"], ":".join(server.get("system-monitoring-information").json[0][key] for key in ("host", "port"))}
    (member,) = server.get("/hazelcast/rest/cluster").json["members"]
    assert told == {member["address"].replace("[", "").replace("]", "")}
    assert "0.0.0.0" not in log["node"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "localhost:5801"),
        ({"host": "10.1.2.3"}, "10.1.2.3:5801"),
        ({"host": "::1"}, "[::1]:5801"),
        ({"host": "0.0.0.0", "public_address": "etl.example"}, "etl.example:5801"),
        ({"public_address": "etl.example:80"}, "etl.example:80"),
        ({"public_address": "[2001:db8::1]:80"}, "[2001:db8::1]:80"),
        ({"public_address": "2001:db8::1"}, "[2001:db8::1]:5801"),
    ],
)
def test_the_address_that_others_are_told(settings, told):
    assert told_address(ServerSettings(**settings), 5801) == told


def test_a_store_that_cannot_be_opened_is_told(tmp_path):
    code, said = headrace_server(tmp_path, "--port", "0", env={"HEADRACE_DATABASE": f"sqlite:///{tmp_path}/none/x.db"})
    assert code == 2
    assert f"cannot open the store of jobs sqlite:///{tmp_path}/none/x.db: unable to open database file" in said
    assert "Traceback" not in said


HOMES = {
    "the home is a file": (lambda home: home.write_text(""), "cannot use the home"),
    "the logs are a file": (lambda home: (home.mkdir(), (home / "logs").write_text("")), "cannot use the home"),
    "the key is broken": (lambda home: (home.mkdir(), (home / "store.key").write_text("x")), "cannot use the key in"),
    "the store is not a database": (
        lambda home: (home.mkdir(), (home / "jobs.db").write_bytes(b"x" * 4096)),
        "cannot open the store of jobs",
    ),
    "the store is somebody else's": (
        lambda home: (
            home.mkdir(),
            sqlite3.connect(home / "jobs.db").execute("CREATE TABLE jobs (x)").connection.close(),
        ),
        "cannot open the store of jobs",
    ),
}


@pytest.mark.parametrize("name", HOMES)
def test_a_home_that_cannot_be_used_is_told(tmp_path, name):
    make, said = HOMES[name]
    make(tmp_path / "home")
    code, errors = headrace_server(tmp_path, "--port", "0", "--workers", "1")
    is_setting = said != "cannot use the home"
    assert (code, "Traceback" in errors) == (2 if is_setting else 1, False), errors
    assert said in errors
    assert str(tmp_path / "home") in errors


def test_settings_come_in_their_order(tmp_path):
    (tmp_path / "seatunnel.yaml").write_text("seatunnel: {engine: {history-job-expire-minutes: 5}}")
    (tmp_path / "headrace.yaml").write_text("history-minutes: 6\nv1-wire: 2.3.13\n")
    environment = {"HEADRACE_HISTORY_MINUTES": "7"}
    assert load_server_settings({"config": tmp_path}, {})[0].history_minutes == 6
    settings, warnings = load_server_settings({"config": tmp_path}, environment)
    assert (settings.history_minutes, settings.v1_wire, warnings) == (7, "2.3.13", [])
    assert load_server_settings({"config": tmp_path, "history_minutes": 8}, environment)[0].history_minutes == 8
    assert load_server_settings({}, {"SEATUNNEL_CONFIG": str(tmp_path / "seatunnel.yaml")})[0].history_minutes == 6


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("seatunnel.yaml", "seatunnel: [", "cannot read"),
        ("seatunnel.yaml", "seatunnel: {engine: {history-job-expire-minutes: soon}}", "history_minutes"),
        ("headrace.yaml", "histry-minutes: 5", "did you mean history_minutes"),
        ("headrace.yaml", "- 5", "must hold keys and values"),
        ("hazelcast.yaml", "hazelcast: {network: {port: {port: 99999}}}", "port"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_server_settings({"config": tmp_path}, {})
    with pytest.raises(ConfigError, match="there is no"):
        load_server_settings({"config": tmp_path / "nowhere"}, {})


def test_a_misspelt_key_names_the_right_one(tmp_path):
    (tmp_path / "seatunnel.yaml").write_text("seatunnel: {engine: {history-job-expire-minute: 5}}")
    _, (warning,) = load_server_settings({"config": tmp_path}, {})
    assert warning.cure == "did you mean history-job-expire-minutes?"


def test_what_is_switched_off_closes_the_connection(start):
    yaml = f"hazelcast: {{network: {{port: {free_port()}, rest-api: {{enabled: true}}}}}}"  # DATA is off by default
    server = start(files={"hazelcast.yaml": yaml})
    assert server.get("/hazelcast/health").status == 200
    with pytest.raises((ConnectionError, OSError)):
        server.get("running-jobs")
    assert server.get("/hazelcast/health").status == 200


# ---------------------------------------------------------------------------------------------------------- who may ask


def test_another_address_needs_authentication(tmp_path):
    code, said = headrace_server(tmp_path, "--host", "0.0.0.0", "--port", "0")
    assert code == 2
    assert "listening on 0.0.0.0 without authentication is refused" in said
    assert "allow_remote" in said


def test_basic_and_bearer_authentication(start):
    env = {"HEADRACE_USER": "ada", "HEADRACE_PASSWORD": "päss", "HEADRACE_TOKEN": "t0ken"}
    server = start("--host", "0.0.0.0", env=env)
    refused = server.get("running-jobs")
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic realm=")
    for path in ("/docs", "/openapi.json", "/hazelcast/health", "submit-job", "nope"):
        assert server.get(path).status == 401
    url = f"http://127.0.0.1:{server.port}"
    for wrong in ({"user": "ada", "password": "no"}, {"token": "no"}, {"user": "", "password": ""}):
        with headrace.Client(url, **wrong) as client, pytest.raises(HeadraceError, match="authentication is needed"):
            client.jobs()
    for right in ({"user": "ada", "password": "päss"}, {"token": "t0ken"}):
        with headrace.Client(url, **right) as client:
            assert client.jobs() == []
    for own in ("ada:p%C3%A4ss", "http://ada:p%C3%A4ss"):
        with headrace.Client(f"{own}@127.0.0.1:{server.port}", token="no") as client:
            assert client.jobs() == []
    for own in ("ada:wrong77", "http://ada:wrong77"):
        with headrace.Client(f"{own}@127.0.0.1:{server.port}") as client, pytest.raises(HeadraceError) as error:
            client.jobs()
        assert "wrong77" not in str(error.value)
    assert server.ask("GET", "running-jobs", headers={"Authorization": "Basic not-base64!"}).status == 401


def test_a_password_in_the_address_of_a_server_is_never_printed():
    for url in (
        f"http://ada:hidden77@127.0.0.1:{free_port()}",
        "ada:hidden77@[::1",
        "ftp://ada:hidden77@x",
        "a:hidden77@x:y",
    ):
        command = [sys.executable, "-m", "headrace", "jobs", "--server", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == (1 if "127.0.0.1" in url else 2)
        assert done.stderr
        assert "hidden77" not in done.stdout + done.stderr


def test_addresses_of_ipv6_stand_in_brackets(start):
    server = start("--host", "::1")
    assert f"answers on http://[::1]:{server.port}/" in server.said
    with headrace.Client(f"http://[::1]:{server.port}") as client:
        number = client.submit(job(1))
        assert client.wait(number, 30).status == "FINISHED"
        assert client.monitoring()[0]["host"] == "[::1]"
    with pytest.raises(Unavailable, match=rf"cannot reach http://\[::1\]:{(port := free_port())}"):
        headrace.Client(f"[::1]:{port}").jobs()


def test_tls(start, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = start(env={"HEADRACE_TLS_KEY": str(key), "HEADRACE_TLS_CERTIFICATE": str(certificate)})
    trusted = ssl.create_default_context(cafile=certificate)
    address = f"https://localhost:{server.port}/hazelcast/rest/maps/running-jobs"
    with urllib.request.urlopen(address, context=trusted) as answer:
        assert answer.read() == b"[]"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


def test_a_body_that_is_too_large(start):
    server = start(env={"HEADRACE_MAX_BODY": "10000"})
    answer = server.ask("POST", "submit-job", b"x" * 10_001)
    assert (answer.status, answer.message) == (413, "Request body is too large.")
    chunks = (b"y" * 1000 for _ in range(20))
    answer = server.ask("POST", "submit-job", chunks, {"Transfer-Encoding": "chunked"})
    assert answer.status == 413
    assert server.ask("POST", "submit-job", job(1)).status == 200


def test_a_hundred_megabytes_are_refused_at_once(server):
    answer = server.ask("POST", "submit-job", b"", {"Content-Length": str(100 * 1024 * 1024)})
    assert answer.status == 413


@pytest.mark.parametrize("chunked", [False, True])
def test_a_hundred_megabytes_that_are_really_sent_are_refused_and_not_kept(server, chunked):
    """Whoever sends on without listening may be cut off; whoever listens gets the answer."""
    before = psutil.Process(server.process.pid).memory_info().rss
    piece = b"x" * 1_000_000
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100000000"
        connection.sendall(f"POST {MAPS}/submit-job HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                sent += len(piece)
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100_000).startswith(b"HTTP/1.1 413 ")
    assert sent >= (10_000_000 if chunked else 0)
    assert psutil.Process(server.process.pid).memory_info().rss - before < 60_000_000
    assert server.submit(job(1))


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/proc/self/environ", "/root/.ssh/x", "{home}/jobs.db", "{home}-config/x"]
)
def test_jobs_may_not_touch_what_is_the_servers_own(server, path):
    body = job()
    body["sink"] = [{"plugin_name": "LocalFile", "path": path.format(home=server.home), "file_format_type": "json"}]
    answer = server.ask("POST", "submit-job", body)
    assert answer.status == 400
    assert "which jobs may not touch" in answer.message


def test_secrets_appear_nowhere(start, tmp_path):
    server = start(env={"HEADRACE_TOKEN": "servertoken99", "HEADRACE_TELEMETRY": "true"})
    bearer = {"Authorization": "Bearer servertoken99"}
    (tmp_path / "file").touch()
    body = job(3, name="secret", **{"job.retry.times": 0, "db.password": "envsecret77"})
    path = str(tmp_path / "file" / "pathsecret77")
    body["sink"] = [
        {"plugin_name": "LocalFile", "path": path, "file_format_type": "json", "password": "pathsecret77"},
        {
            "plugin_name": "Console",
            "token": "optsecret77",
            "url": "jdbc:x://u:urlsecret77@host/db?password=querysecret77",
        },
    ]
    for sink in body["sink"]:
        sink["source_table_name"] = "fake"
    answer = server.ask("POST", "submit-job", body, bearer)
    assert answer.status == 200, answer.content
    number = answer.json["jobId"]
    deadline = time.monotonic() + 30
    while server.ask("GET", f"job-info/{number}", headers=bearer).json["jobStatus"] != "FAILED":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    paths = ["finished-jobs", "running-jobs", f"job-info/{number}", f"log/job-{number}.log", "log/headrace-server.log"]
    paths += ["thread-dump", "system-monitoring-information", "/hazelcast/rest/instance/metrics", "/openapi.json"]
    said = b"".join(server.ask("GET", path, headers=bearer).content for path in paths)
    said += b"".join(file.read_bytes() for file in server.home.rglob("*") if file.is_file())
    said += server._read().encode()
    for secret in (b"envsecret77", b"pathsecret77", b"optsecret77", b"urlsecret77", b"querysecret77", b"servertoken99"):
        assert secret not in said
    assert b"******" in said


# -------------------------------------------------------------------------------------------------------- what survives


def endless(**env):
    return job(1_000_000, **{"read_limit.rows_per_second": 500, **env})


def test_history_and_running_jobs_survive_a_restart(start, tmp_path):
    first = start()
    done, runs = first.submit(job(1, name="done")), first.submit(endless(name="runs"))
    first.wait(done)
    first.wait(runs, "RUNNING")
    first.stop()
    assert first.process.returncode == 0
    second = Server(first.home).start()
    with contextlib.ExitStack() as stack:
        stack.callback(second.stop)
        assert second.get(f"job-info/{done}").json["jobStatus"] == "FINISHED"
        second.wait(runs, "RUNNING")
        assert second.ask("POST", f"submit-job?jobId={done}", job()).status == 400
        second.ask("POST", "stop-job", {"jobId": runs})
        second.wait(runs, "CANCELED")


@pytest.mark.parametrize("delete_logs", [True, False])
def test_what_is_too_old_leaves_nothing_behind_but_the_logs_that_shall_stay(start, delete_logs):
    first = start()
    old, new = first.submit(job(1)), first.submit(job(1))
    for number in (old, new):
        first.wait(number)
    again = first.submit(job(1), jobId=old, isStartWithSavePoint="true")
    first.wait(again)
    first.stop()

    def kept(number):
        files = [*(first.home / "logs").glob(f"job-{number}.log*"), *(first.home / "reports").glob(f"{number}.*")]
        return sorted(file.name for file in files)

    assert kept(old) == sorted([f"{old}.1.json", f"{old}.2.json", f"job-{old}.log"])
    with contextlib.closing(sqlite3.connect(first.home / "jobs.db")) as database, database:
        database.execute("UPDATE jobs SET ended = ended - 86400.0 WHERE job_id = ?", (old,))
    deletes = (
        f"seatunnel: {{engine: {{telemetry: {{logs: {{scheduled-deletion-enable: {str(delete_logs).lower()}}}}}}}}}"
    )
    second = Server(first.home, files={"seatunnel.yaml": deletes}).start()
    with contextlib.ExitStack() as stack:
        stack.callback(second.stop)
        wait_for(lambda: kept(old) == ([] if delete_logs else [f"job-{old}.log"]))
        assert [one["jobId"] for one in second.get("finished-jobs").json] == [str(new)]
        assert second.get(f"job-info/{old}").json == {"jobId": str(old)}
        assert kept(new) == sorted([f"{new}.1.json", f"job-{new}.log"])


def test_after_a_kill_no_worker_lives_and_no_row_is_added(start, tmp_path):
    server = start()
    body = endless(**{"checkpoint.interval": 200})
    body["sink"] = [
        {
            "plugin_name": "LocalFile",
            "path": str(tmp_path / "out"),
            "tmp_path": str(tmp_path / "tmp"),
            "file_format_type": "json",
        }
    ]
    number = server.submit(body)
    server.wait(number, "RUNNING")
    wait_for(lambda: server.get(f"jobs/checkpoints/{number}").json["pipelines"][0]["counts"]["completed"] > 0)
    workers = children(server.process.pid)
    assert workers
    server.stop(signal.SIGKILL)
    deadline = time.monotonic() + 2
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before = count_rows(tmp_path)
    time.sleep(0.5)
    assert count_rows(tmp_path) == before
    again = Server(server.home).start()
    with contextlib.ExitStack() as stack:
        stack.callback(again.stop)
        again.wait(number, "RUNNING")
        for log in (f"log/job-{number}.log", "log/headrace-server.log"):
            wait_for(lambda log=log: f"job {number} goes on from checkpoint " in again.get(log).content.decode())
        again.ask("POST", "stop-job", {"jobId": number, "isStopWithSavePoint": True})
        saved = again.wait(number, "SAVEPOINT_DONE")
        assert int(saved["metrics"]["SinkCommittedCount"]) == count_rows(tmp_path)


def count_rows(tmp_path):
    return sum(len(file.read_text().splitlines()) for file in (tmp_path / "out").rglob("*.json"))


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(text) for text in found.stdout.split()]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_worker_is_not_the_servers_end(start):
    server = start()
    number = server.submit(endless(**{"job.retry.interval.seconds": 0}))
    server.wait(number, "RUNNING")
    for pid in children(server.process.pid):
        os.kill(pid, signal.SIGKILL)
    assert server.get("overview").status == 200
    other = server.submit(job(3))
    assert server.wait(other)["jobStatus"] == "FINISHED"
    assert server.get(f"job-info/{number}").json["jobStatus"] == "RUNNING"


def test_two_servers_over_one_home_answer_for_each_other(start):
    one = start()
    two = Server(one.home).start()
    with contextlib.ExitStack() as stack:
        stack.callback(two.stop)
        number = one.submit(endless())
        two.wait(number, "RUNNING")
        assert two.get("overview").json["workers"] == "2"
        masters = [s.get("system-monitoring-information").json[0]["isMaster"] for s in (one, two)]
        assert sorted(masters) == ["false", "true"]
        two.ask("POST", "stop-job", {"jobId": number})
        one.wait(number, "CANCELED")


FIXED = {"isMaster", "host", "port", "processors", "physical.memory.total", "swap.space.total", "swap.space.free"}
FIXED |= {"heap.memory.max", "load.systemAverage", "cluster.timeDiff", "event.q.size"}
FIXED |= {
    f"executor.q.{name}.size" for name in ("async", "client.query", "client.blocking", "query", "system", "cluster")
}
FIXED |= {f"executor.q.{name}.size" for name in ("priorityOperation", "mapLoad", "mapLoadAllKeys", "response")}
FIXED |= {"operations.pending.invocations.percentage", "operations.pending.invocations.count"}
"""Keys that docs/monitoring.md names as the machine's own, or as always the same."""


def test_the_figures_move_under_load(start, tmp_path):
    seatunnel = "seatunnel: {engine: {slot-service: {dynamic-slot: false, slot-num: 20}, job-schedule-strategy: WAIT}}"
    server = start(files={"seatunnel.yaml": seatunnel})
    seen = {}

    def look(times=1):
        for _ in range(times):
            (node,) = server.get("system-monitoring-information").json
            for key, value in node.items():
                seen.setdefault(key, set()).add(value)

    look(2)
    ballast = bytearray(os.urandom(1)) * 600_000_000
    others = [socket.create_connection(("127.0.0.1", server.port), source_address=("127.0.0.2", 0)) for _ in range(3)]
    look(2)
    stop = threading.Event()
    big = json.dumps({"x": [{"y": [n]} for n in range(300_000)]})

    def load(number):
        while not stop.is_set():
            server.ask("POST", "submit-jobs" if number == 0 else "submit-job", big if number == 0 else endless())

    threads = [threading.Thread(target=load, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 150
    while {key for key, values in seen.items() if len(values) == 1} - FIXED and time.monotonic() < deadline:
        for pending in [j for j in server.get("running-jobs").json if j["jobStatus"] == "PENDING"][:1]:
            server.ask("POST", "stop-job", {"jobId": pending["jobId"]})
        look(3)
        for pid in children(server.process.pid)[:1]:
            os.kill(pid, signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert len(ballast) > 0
    assert {key for key, values in seen.items() if len(values) == 1} - FIXED == set()


WAITS = "seatunnel: {engine: {slot-service: {dynamic-slot: false, slot-num: 2}, job-schedule-strategy: WAIT}}"


def test_a_job_that_waits_for_slots_is_seen_stopped_and_run(start):
    server = start(files={"seatunnel.yaml": WAITS})
    running = server.submit(endless())
    server.wait(running, "RUNNING")
    waiting, stopped = server.submit(job(3, name="waits")), server.submit(job(3, name="stopped"))
    for number, name in ((waiting, "waits"), (stopped, "stopped")):
        one = server.wait(number, "PENDING")
        assert (one["jobName"], one["metrics"]["SourceReceivedCount"]) == (name, "0")
        assert one["jobDag"]["vertices"][0]["name"] == "Source[0]-FakeSource-fake(id=1)"
    listed = {one["jobId"]: one["jobStatus"] for one in server.get("running-jobs").json}
    assert listed == {str(running): "RUNNING", str(waiting): "PENDING", str(stopped): "PENDING"}
    overview = server.get("overview").json
    assert (overview["runningJobs"], overview["pendingJobs"], overview["unassignedSlot"]) == ("3", "2", "0")
    assert server.ask("POST", f"submit-job?jobId={waiting}", job()).status == 200  # one job still
    for number in (stopped, running):
        assert server.ask("POST", "stop-job", {"jobId": number}).json == {"jobId": str(number)}
        server.wait(number, "CANCELED")
    assert server.wait(waiting)["jobStatus"] == "FINISHED"


def test_a_savepoint_of_a_job_that_waits_ends_it_where_it_can_go_on(start):
    server = start(files={"seatunnel.yaml": WAITS})
    running = server.submit(endless())
    server.wait(running, "RUNNING")
    waiting = server.submit(job(3))
    server.wait(waiting, "PENDING")
    server.ask("POST", "stop-job", {"jobId": waiting, "isStopWithSavePoint": True})
    server.ask("POST", "stop-job", {"jobId": running})
    server.wait(running, "CANCELED")
    assert server.wait(waiting)["jobStatus"] in ("SAVEPOINT_DONE", "FINISHED")


def test_a_job_larger_than_all_slots_is_told_so(start):
    server = start(files={"seatunnel.yaml": WAITS})
    for path, body in (
        ("submit-job", job(parallelism=5)),
        ("submit-jobs", [{**job(parallelism=5), "params": {"jobName": "x"}}]),
    ):
        answer = server.ask("POST", path, body)
        assert answer.status == 400
        assert answer.message.startswith("the job needs 6 slots, and there are 2; raise slot-service.slot-num")
        assert answer.json["problems"][0]["place"].endswith("env.parallelism")
    assert server.get("running-jobs").json == []


# --------------------------------------------------------------------------------------------------------------- client


def test_the_client_does_it_all(server):
    with headrace.Client(f"localhost:{server.port}") as client:
        number = client.submit(job(7, name="by client"), name="client-job")
        done = client.wait(number, 30)
        assert (done.name, done.status, done.rows_read, done.rows_written, done.error) == (
            "client-job",
            "FINISHED",
            7,
            7,
            None,
        )
        runs = client.submit(endless(), job_id=4_000_001)
        assert runs in [one.id for one in client.jobs()]
        client.stop(runs)
        assert client.wait(runs, 30).status == "CANCELED"
        assert runs in [one.id for one in client.finished("CANCELED")]
        assert "Init JobMaster for Job client-job" in client.log(number)
        assert client.overview()["workers"] == "1"
        assert client.monitoring()[0]["port"] == str(server.port)
        with pytest.raises(JobNotFound, match="knows no job 404"):
            client.job(404)
        with pytest.raises(ConfigError) as error:
            client.submit({"env": {}, "source": [{"plugin_name": "FakeSorce"}], "sink": [{"plugin_name": "Console"}]})
        assert [problem.place for problem in error.value.problems] == ["source[0].FakeSorce"]


def test_threads_share_a_client(server):
    with headrace.Client(f"localhost:{server.port}") as client, ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: client.submit(job(number)), range(1, 25)))
        ended = list(pool.map(lambda number: client.wait(number, 60), numbers))
        assert [(one.id, one.rows_written) for one in ended] == list(zip(numbers, range(1, 25), strict=True))


def test_the_client_says_when_there_is_no_server():
    with headrace.Client(f"http://localhost:{free_port()}") as client, pytest.raises(Unavailable, match="cannot reach"):
        client.jobs()
    with pytest.raises(ConfigError, match="'ftp://x' is not an address"):
        headrace.Client("ftp://x")


def test_the_client_finds_its_way_back_after_a_restart(start):
    port = free_port()
    one = start("--port", str(port))
    with headrace.Client(f"localhost:{port}") as client:
        assert client.jobs() == []
        one.stop()
        two = Server(one.home, ("--port", str(port))).start()
        with contextlib.ExitStack() as stack:
            stack.callback(two.stop)
            assert client.jobs() == []
