"""What a job that comes over REST may not do: run code, read the server's files and environment, write among keys."""

import contextlib
import os
import re
import site
import time

import pytest
from pydantic import BaseModel

from headrace.connector import sinks, sources, transforms
from headrace.jobs.permissions import Permissions
from tests.api.servers import job

CODE = {"plugin_name": "Python", "columns": [{"dest_field": "stolen", "dest_type": "string"}]}
READ_KEY = "def process(row, context):\n    return open({path!r}, 'rb').read().hex()\n"


def with_transform(*found):
    return {**job(1), "transform": list(found)}


def refusal(server, body, path="submit-job"):
    """The answer of a server that refuses a job and does not know it afterwards."""
    before = {one["jobId"] for one in server.get("running-jobs").json + server.get("finished-jobs").json}
    answer = server.ask("POST", path, body)
    assert answer.status == 400, answer.content
    after = {one["jobId"] for one in server.get("running-jobs").json + server.get("finished-jobs").json}
    assert after <= before
    return answer


# ----------------------------------------------------------------------------------------------------------------- code


@pytest.mark.parametrize("name", ["Python", "python", "PYTHON"])
def test_a_job_may_not_bring_code(server, name):
    code = {**CODE, "plugin_name": name, "source_code": READ_KEY.format(path=str(server.home / "store.key"))}
    answer = refusal(server, with_transform(code))
    assert answer.message.startswith(f"transform[0].{name}: this server does not allow {name}")
    assert "allowed_plugins must name it" in answer.json["problems"][0]["cure"]


def test_code_runs_where_the_operator_allows_it_by_name(start, tmp_path):
    (tmp_path / "code.py").write_text("def process(row, context):\n    return 'ours'\n")
    server = start(env={"HEADRACE_ALLOWED_PLUGINS": "*:Python"})
    for code in (
        {**CODE, "source_code": "def process(row, context):\n    return 'ours'\n"},
        {**CODE, "source_code_path": f"file://{tmp_path}/code.py"},
    ):
        done = server.wait(server.submit(with_transform(code)))
        assert (done["jobStatus"], done["metrics"]["SinkWriteCount"]) == ("FINISHED", "1")


def test_no_file_of_code_is_read_by_the_server_itself(start, tmp_path):
    """A pipe that nobody writes would hold up whoever reads it."""
    os.mkfifo(tmp_path / "code.py")
    server = start(env={"HEADRACE_ALLOWED_PLUGINS": "*:Python"})
    number = server.submit(with_transform({**CODE, "source_code_path": str(tmp_path / "code.py")}))
    server.ask("POST", "stop-job", {"jobId": number})
    while server.get(f"job-info/{number}").json["jobStatus"] != "CANCELED":
        with contextlib.suppress(OSError):  # whoever reads it by now, a worker, is let go
            os.close(os.open(tmp_path / "code.py", os.O_WRONLY | os.O_NONBLOCK))
        time.sleep(0.05)


def test_a_rule_may_not_name_a_function_of_ones_own(server):
    rule = {"field_name": "name", "rule_type": "UDF", "function_name": "os:system"}
    for rules in ([rule], [{"field_name": "name", "rules": [rule]}]):
        problem = refusal(server, with_transform({"plugin_name": "DataValidator", "field_rules": rules})).json[
            "problems"
        ]
        assert problem[0]["message"] == "this server does not let jobs run code of their own"
    single = {"table_path": "fake", "field_rules": [rule]}
    refusal(server, with_transform({"plugin_name": "DataValidator", "table_transform": [single]}))
    email = {**rule, "function_name": "EMAIL"}
    body = with_transform({"plugin_name": "DataValidator", "field_rules": [email], "row_error_handle_way": "SKIP"})
    assert server.wait(server.submit(body))["jobStatus"] == "FINISHED"


def test_an_expression_that_never_ends_holds_up_its_job_only(start):
    server = start()
    slow = "SELECT REGEXP_REPLACE('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab', '(a+)+$', 'x') AS y FROM fake"
    number = server.submit(with_transform({"plugin_name": "Sql", "query": slow}))
    other = server.submit(job(1))
    assert server.wait(other)["jobStatus"] == "FINISHED"
    server.ask("POST", "stop-job", {"jobId": number})
    assert server.wait(number)["jobStatus"] == "CANCELED"


# -------------------------------------------------------------------------------------------- the server's own machine


def test_a_job_in_hocon_includes_no_file_of_the_server(server, tmp_path):
    (tmp_path / "secret.conf").write_text('env { "hidden": "treasure77" }')
    for include in (f'include file("{tmp_path}/secret.conf")', f'include "{tmp_path}/secret"'):
        text = include + "\nsource { FakeSource { schema { fields { a = int } } } }\nsink { Console {} }"
        answer = refusal(server, text, "submit-job?format=hocon")
        assert "cannot be included" in answer.message
        assert b"treasure77" not in answer.content


@pytest.mark.parametrize("value", ["${PATH}", '"${PATH}"', "${?PATH}"])
@pytest.mark.parametrize("form", ["hocon", "sql"])
def test_a_job_reads_nothing_of_the_servers_environment(server, value, form):
    env = f"env {{\n job.mode = BATCH\n note = {value}\n}}\n"
    if form == "hocon":
        fake = "source { FakeSource { plugin_output = f, row.num = 1, schema { fields { a = int } } } }"
        text = f"{env}{fake}\nsink {{ Console {{}} }}"
    else:
        text = f"""/* config\n{env}*/
            CREATE TABLE f WITH (
                'connector' = 'FakeSource', 'type' = 'source', 'schema' = '{{ fields {{ a = int }} }}');
            CREATE TABLE s WITH ('connector' = 'Console', 'type' = 'sink');
            INSERT INTO s SELECT * FROM f;"""
    answer = server.ask("POST", f"submit-job?format={form}", text)
    assert answer.status == 200
    number = answer.json["jobId"]
    assert server.wait(number)["jobStatus"] == "FINISHED"
    shown = server.get(f"job-info/{number}").content + server.get(f"log/job-{number}.log").content
    assert os.environ["PATH"].encode() not in shown


SINK = {"plugin_name": "LocalFile", "file_format_type": "json", "plugin_input": "fake"}


@pytest.mark.parametrize(
    "path",
    [
        "/home/somebody/.ssh/x",
        "/srv/data/.aws",
        "/data/.config/gcloud/x",
        "/data/.kube/../.docker/config.json",
        "/home/somebody/.config/autostart",
        "/home/somebody/.netrc",
        "~/.profile.d",
        "{site}",
        "{stdlib}/x",
        "/proc/self/cwd/x",
        "/proc/self/root/tmp/x",
        "file:///etc/x",
        "file:/etc/x",
        "FILE://localhost/etc/x",
        "/",
        "/${table_name}",
        "/e${table_name}/x",
        "/etc/${table_name}",
        "{above}",
        "//etc/x",
        "/tmp/./../etc/x",
    ],
)
def test_paths_that_lead_to_what_is_not_the_jobs(server, path):
    path = path.replace("{above}", str(server.home.parent)).replace("~", os.path.expanduser("~"))
    path = path.replace("{site}", site.getsitepackages()[0]).replace("{stdlib}", os.path.dirname(os.__file__))
    (problem,) = refusal(server, {**job(), "sink": [{**SINK, "path": path}]}).json["problems"]
    assert problem["place"] == "sink[0].LocalFile.path"
    assert "which jobs may not touch" in problem["message"]
    source = {"plugin_name": "LocalFile", "path": path, "file_format_type": "text", "result_table_name": "fake"}
    (problem,) = refusal(server, {**job(), "source": [source]}).json["problems"]
    assert "which jobs may not touch" in problem["message"]


@pytest.mark.parametrize("path", ["hdfs://namenode/x", "s3a://bucket/x", "file://other-host/x", "/a\0b"])
def test_paths_that_are_none_of_this_machine(server, path):
    (problem,) = refusal(server, {**job(), "sink": [{**SINK, "path": path}]}).json["problems"]
    assert problem["message"].startswith(repr(path))


def test_a_file_url_names_the_same_file_as_its_path(server, tmp_path):
    for number, url in enumerate((f"file://{tmp_path}", f"file:{tmp_path}", str(tmp_path))):
        done = server.wait(server.submit({**job(3), "sink": [{**SINK, "path": f"{url}/{number}"}]}))
        assert done["jobStatus"] == "FINISHED", done
        assert list((tmp_path / str(number)).glob("*.json"))
        source = {"plugin_name": "LocalFile", "path": f"{url}/{number}", "file_format_type": "text"}
        done = server.wait(server.submit({**job(), "source": [{**source, "result_table_name": "fake"}]}))
        assert done["metrics"]["SourceReceivedCount"] == "3"


@pytest.mark.parametrize("table", [".ssh", "..", "../../etc", "a/../../b"])
@pytest.mark.parametrize("name", ["${table_name}", "${table_full_name}", "x${table_full_name}"])
def test_no_name_of_a_table_leads_out_of_its_directory(server, tmp_path, table, name):
    body = job(1, **{"job.retry.times": 0})
    body["source"][0]["schema"]["table"] = table
    body["sink"] = [{**SINK, "path": f"{tmp_path}/out/{name}"}]
    server.wait(server.submit(body))
    written = {file.parent.relative_to(tmp_path) for file in tmp_path.rglob("*.json")}
    assert all(folder.parts[0] == "out" and ".ssh" not in folder.parts for folder in written), written


@pytest.mark.parametrize(
    ("partition", "value"), [("${v0}/", ".."), ("${v0}", ".ssh"), ("${v0}${v0}", "."), ("${k0}=${v0}/...", "../x")]
)
def test_no_value_leads_out_of_its_directory(server, tmp_path, partition, value):
    body = job()
    fields = {"name": "string", "../../k": "string"}
    body["source"][0] |= {"schema": {"fields": fields}, "rows": [{"kind": "INSERT", "fields": [value, value]}]}
    keys = ["../../k"] if "k0" in partition else ["name"]
    folder = {"have_partition": True, "partition_by": keys, "partition_dir_expression": partition}
    body["sink"] = [{**SINK, "path": f"{tmp_path}/a/b", **folder}]
    assert server.wait(server.submit(body))["jobStatus"] == "FINISHED"
    (file,) = tmp_path.rglob("*.json")
    assert file.parent.parent == tmp_path / "a" / "b"
    assert not file.parent.name.startswith(".")


@pytest.mark.parametrize(
    "options",
    [
        {"have_partition": True, "partition_by": ["name"], "partition_dir_expression": "../../x/${v0}"},
        {"filename_extension": "/../../x"},
        {"path": "/srv/${schema_name:../../etc}/x"},
        {"path": "/srv/${schema_name:.ssh}/x"},
        {"tmp_path": "/srv/${table_name}/../../etc"},
    ],
)
def test_no_option_leads_out_of_its_directory(server, tmp_path, options):
    refusal(server, {**job(), "sink": [{**SINK, "path": f"{tmp_path}/x", **options}]})


def test_places_that_the_servers_settings_name_are_its_own(start, tmp_path):
    (tmp_path / "shade.key").write_text("00" * 32)
    (tmp_path / "jobs").mkdir()
    server = start(
        env={
            "HEADRACE_CHECKPOINT_STORE": str(tmp_path / "checkpoints"),
            "HEADRACE_DATABASE": f"sqlite:///{tmp_path}/jobs/own.db",
            "HEADRACE_SHADE_KEY_FILE": str(tmp_path / "shade.key"),
        }
    )
    for path in ("checkpoints/1", "jobs", "shade.key", ""):
        (problem,) = refusal(server, {**job(), "sink": [{**SINK, "path": f"{tmp_path}/{path}"}]}).json["problems"]
        assert "which jobs may not touch" in problem["message"]
    assert server.ask("POST", "submit-job", {**job(), "sink": [{**SINK, "path": f"{tmp_path}/out"}]}).status == 200


def test_the_file_of_a_database_must_be_one_that_is_told(server):
    for url in ("jdbc:sqlite:/tmp/${table_name}.db", "jdbc:sqlite:/etc/x.db", "jdbc:sqlite:file:///etc/x.db"):
        sink = {"plugin_name": "Jdbc", "url": url, "generate_sink_sql": True, "plugin_input": "fake"}
        assert "sink[0].Jdbc" in refusal(server, {**job(), "sink": [sink]}).json["problems"][0]["place"]


# ---------------------------------------------------------------------------------------------------------------- hosts

MODEL = {"model": "m", "api_key": "k"}
LLM = {"plugin_name": "LLM", **MODEL, "prompt": "p"}
EMBEDDING = {"plugin_name": "Embedding", **MODEL, "vectorization_fields": {"v": "name"}}


@pytest.fixture(scope="module")
def near_server(tmp_path_factory):
    from tests.api.servers import Server

    folder = tmp_path_factory.mktemp("near")
    running = Server(folder / "home", env={"HEADRACE_ALLOWED_HOSTS": "models.example:aip.baidubce.com"}).start()
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("transform", "host"),
    [
        ({**LLM, "model_provider": "OPENAI"}, "api.openai.com"),
        ({**LLM, "model_provider": "CUSTOM", "api_path": "http://elsewhere/"}, "elsewhere"),
        ({**LLM, "model_provider": "OPENAI", "openai.api_path": "http://elsewhere/"}, "elsewhere"),
        ({**LLM, "model_provider": "OPENAI", "api_path": "http://models.example@elsewhere/"}, "elsewhere"),
        ({**LLM, "model": "elsewhere", "model_provider": "OPENAI", "api_path": "http://${model}/"}, "elsewhere"),
        ({**EMBEDDING, "model_provider": "ZHIPU"}, "open.bigmodel.cn"),
        (
            {**EMBEDDING, "model_provider": "QIANFAN", "secret_key": "k", "oauth_path": "http://elsewhere/"},
            "elsewhere",
        ),
        (
            {"plugin_name": "LLM", "table_transform": [{**LLM, "table_path": "x", "model_provider": "KIMIAI"}]},
            "moonshot",
        ),
    ],
)
def test_models_are_asked_only_at_hosts_that_are_allowed(near_server, transform, host):
    custom = {"custom_response_parse": "$", "custom_request_body": {}}
    if transform.get("model_provider") == "CUSTOM":
        transform = {**transform, "custom_config": custom}
    for single in transform.get("table_transform", ()):
        single.pop("plugin_name", None)
    answer = refusal(near_server, with_transform(transform))
    assert "this server does not let jobs connect to" in answer.message
    assert host in answer.message


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"])
def test_no_job_names_a_link_local_or_metadata_address(server, host):
    transform = {**LLM, "model_provider": "OPENAI", "api_path": f"http://{host}/latest"}
    answer = refusal(server, with_transform(transform))
    assert "is a link-local or metadata address, which jobs may not reach" in answer.message


@pytest.mark.parametrize("kind", ["source", "sink"])
@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://inside.example:9000", "this server does not let jobs connect to 'inside.example'"),
        ("inside.example", "this server does not let jobs connect to 'inside.example'"),
    ],
)
def test_stores_are_reached_only_at_hosts_that_are_allowed(near_server, kind, endpoint, told):
    body = job()
    store = {"plugin_name": "S3File", "bucket": "s3a://rows", "fs.s3a.endpoint": endpoint, "path": "/x",
             "file_format_type": "csv", "access_key": "k", "secret_key": "s"}  # fmt: skip
    if kind == "source":
        store["schema"] = {"fields": {"id": "int"}}
    wiring = {key: body[kind][0][key] for key in ("plugin_output", "plugin_input") if key in body[kind][0]}
    body[kind] = [{**store, **wiring}]
    assert told in refusal(near_server, body).message


def test_hosts_that_are_allowed_are(near_server):
    for transform in (
        {**LLM, "model_provider": "OPENAI", "api_path": "http://MODELS.example:8000/v1"},
        {**EMBEDDING, "model_provider": "QIANFAN", "secret_key": "k"},
    ):
        body = with_transform(transform)
        number = near_server.submit(
            {**body, "env": {"job.retry.times": 0}, "source": [{**body["source"][0], "row.num": 0}]}
        )
        near_server.wait(number)


# --------------------------------------------------------------------------------------------- the marks of the options

NO_PATHS = ("table_path", "columns.path")
"""How options end that look like a path and name a table, or a place in a JSON document."""


def options_of(model, above=""):
    """(path, field) of every option of a model, of those within it, too."""
    for name, field in model.model_fields.items():
        yield f"{above}{name}", field
        for part in parts_of(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from options_of(part, f"{above}{name}.")


def parts_of(annotation):
    yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from parts_of(inner)


def test_every_option_that_looks_like_a_path_or_an_address_is_marked_as_one():
    looks = re.compile(
        r"(^|_)(path|file|files|dir|directory|folder|keytab|keystore|truststore|location)$"
        r"|(^|_)(url|urls|uri|host|hosts|hostname|endpoint|endpoints|address|server|servers|brokers)$"
    )
    seen, wrong = set(), []
    for registry in (sources, transforms, sinks):
        for plugin in registry.names():
            for path, field in options_of(registry.find(plugin).Options):
                name = path.rpartition(".")[2]
                extra = field.json_schema_extra or {}
                takes_text = {str, os.PathLike} & {getattr(p, "__origin__", p) for p in parts_of(field.annotation)}
                if not takes_text or not looks.search(name) or path.endswith(NO_PATHS) or "idle" in extra:
                    continue
                seen.add(name)
                if extra.get("format") not in ("path", "host", "jdbc-url", "store-path"):
                    wrong.append(f"{plugin}.{path}")
    assert {"path", "tmp_path", "url", "api_path", "oauth_path", "source_code_path"} <= seen
    assert wrong == []


def test_links_are_followed_on_both_sides(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    for denied, path in (("home", "link/x"), ("link", "home/x"), ("link", "link/x")):
        allowed = Permissions(denied=(tmp_path / denied,))
        assert allowed._of_path(str(tmp_path / path)) is not None
    assert Permissions(denied=(tmp_path / "home",))._of_path(str(tmp_path / "other")) is None


# ------------------------------------------------------------------------------------------------------ relative paths


def reading(path):
    source = {"plugin_name": "LocalFile", "path": path, "file_format_type": "text"}
    return {**job(1), "source": [source]}


def test_a_relative_path_is_refused_with_the_absolute_form(server):
    [problem] = refusal(server, reading("in/people.csv")).json["problems"]
    assert problem["message"] == "'in/people.csv' is a relative path, and a server takes jobs from everywhere"
    assert problem["cure"] == "write it from the root, such as '/data/in/people.csv'"
    database = {"plugin_name": "Jdbc", "url": "jdbc:sqlite:shop.db", "table": "t", "generate_sink_sql": True}
    [problem] = refusal(server, {**job(1), "sink": [database]}).json["problems"]
    assert "'shop.db' is a relative path" in problem["message"]


def test_the_absolute_form_is_one_that_jobs_may_use(tmp_path):
    allowed = Permissions(paths=(tmp_path,), relative=False)
    assert allowed._of_path("a.csv")[1] == f"write it from the root, such as '{tmp_path}/a.csv'"
    assert allowed._of_path("${name}/a.csv") is not None
    assert allowed._of_path(f"file://{tmp_path}/a.csv") is None


def test_relative_paths_begin_where_the_server_was_started_where_it_takes_them(start, tmp_path):
    (tmp_path / "people.csv").write_text("ann\n")
    server = start(env={"HEADRACE_RELATIVE_PATHS": "true", "HEADRACE_ALLOWED_PATHS": os.getcwd()})
    shown = os.path.relpath(tmp_path / "people.csv")
    assert "is not in a directory that jobs may use" in refusal(server, reading(shown)).message
    assert server.wait(server.submit(reading("README.md")))["jobStatus"] == "FINISHED"


def test_a_missing_file_is_told_by_its_name_alone(server, tmp_path):
    (tmp_path / "salaries.csv").write_text("ann\n")
    path = str(tmp_path / "people.csv")
    number = server.submit(reading(path))
    ended = server.wait(number)
    assert f"there is no file or directory '{path}'" in ended["errorMsg"]
    told = [ended["errorMsg"], server.get(f"logs/{number}").content, server.ask("POST", "check", reading(path)).content]
    assert not [text for text in told if "salaries" in str(text)]
