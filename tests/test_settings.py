import re
from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.server_settings import load_server_settings
from headrace.settings import Settings, load_settings

DOCS = Path(__file__).parent.parent / "docs"


def test_the_command_line_wins_over_the_environment():
    environment = {"HEADRACE_HOME": "/a", "HEADRACE_WORKERS": "3"}
    found = load_settings({"home": Path("/b"), "runner": None}, environment)
    assert (found.home, found.workers, found.runner) == (Path("/b"), 3, "embedded")


def test_wrong_values_are_named_all_at_once():
    with pytest.raises(ConfigError) as error:
        load_settings({}, {"HEADRACE_WORKERS": "0", "HEADRACE_RUNNER": "spark"})
    assert [p.place for p in error.value.problems] == ["HEADRACE_RUNNER", "HEADRACE_WORKERS"]


def test_reads_checkpoint_keys_of_seatunnel_yaml(tmp_path):
    (tmp_path / "seatunnel.yaml").write_text(
        """
seatunnel:
  engine:
    checkpoint:
      interval: 6000
      timeout: 7000
      storage:
        max-retained: 5
"""
    )
    for environment in ({"HEADRACE_CONFIG": str(tmp_path)}, {"SEATUNNEL_CONFIG": str(tmp_path / "seatunnel.yaml")}):
        found = load_settings({}, environment)
        assert (found.checkpoint_interval, found.checkpoint_timeout, found.checkpoint_retain) == (6.0, 7.0, 5)
    assert load_settings({"config": tmp_path}, {"HEADRACE_CHECKPOINT_TIMEOUT": "9"}).checkpoint_timeout == 9


S3_STORAGE = """
type: hdfs
max-retained: 5
plugin-config:
  namespace: /seatunnel/checkpoint
  storage.type: s3
  s3.bucket: s3a://my-bucket
  fs.s3a.endpoint: http://minio:9000
  fs.s3a.access.key: AK
  fs.s3a.secret.key: SK
  fs.s3a.path.style.access: false
  fs.s3a.aws.credentials.provider: org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider
"""


def storage_file(folder, storage):
    indented = "".join(f"        {line}\n" for line in storage.strip().splitlines())
    (folder / "seatunnel.yaml").write_text(f"seatunnel:\n  engine:\n    checkpoint:\n      storage:\n{indented}")
    return folder


def both(folder):
    """The settings and warnings of a command and of a server."""
    notes = []
    yield load_settings({"config": folder}, {}, notes.append), notes
    yield load_server_settings({"config": folder}, {})


def test_checkpoints_on_s3_as_seatunnel_yaml_says(tmp_path):
    for found, warnings in both(storage_file(tmp_path, S3_STORAGE)):
        assert found.checkpoint_store == "s3://my-bucket/seatunnel/checkpoint"
        assert found.store_options() == {
            "endpoint": "http://minio:9000",
            "region": None,
            "access_key": "AK",
            "secret_key": "SK",
            "path_style": "false",
        }
        assert [w.place for w in warnings] == ["checkpoint.storage.plugin-config.fs.s3a.aws.credentials.provider"]
        assert "SK" not in repr(found)


@pytest.mark.parametrize(
    ("storage", "store"),
    [
        ("type: localfile\nplugin-config: {namespace: /data/checkpoints}", "/data/checkpoints"),
        ("type: localfile", None),
        ("plugin-config: {namespace: /data/checkpoints}", "/data/checkpoints"),
        ("type: hdfs\nplugin-config: {namespace: /tmp/x, storage.type: hdfs, fs.defaultFS: file:///tmp/}", "/tmp/x"),
    ],
)
def test_checkpoints_in_a_directory_as_seatunnel_yaml_says(tmp_path, storage, store):
    for found, warnings in both(storage_file(tmp_path, storage)):
        assert (found.checkpoint_store, warnings) == (store, [])


@pytest.mark.parametrize(
    ("storage", "reason"),
    [
        ("type: hdfs\nplugin-config: {namespace: /x, fs.defaultFS: 'hdfs://name:9000'}", "hdfs://name:9000"),
        ("type: hdfs\nplugin-config: {storage.type: oss, oss.bucket: 'oss://b'}", "oss"),
    ],
)
def test_a_file_system_that_is_not_reached_is_said(tmp_path, storage, reason):
    for found, warnings in both(storage_file(tmp_path, storage)):
        assert found.checkpoint_store is None
        assert warnings[0].cure.startswith(f"{reason} is not reached; checkpoints are kept in the home")


def test_the_environment_wins_over_seatunnel_yaml(tmp_path):
    storage_file(tmp_path, S3_STORAGE)
    found = load_settings({"config": tmp_path}, {"HEADRACE_CHECKPOINT_STORE": "/elsewhere"})
    assert found.checkpoint_store == "/elsewhere"


def test_a_configuration_that_is_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no"):
        load_settings({"config": tmp_path / "nope"}, {})


def test_every_setting_is_documented():
    text = (DOCS / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `HEADRACE_{name.upper()}` |" in text
        assert field.description in text
    documented = set(re.findall(r"`HEADRACE_(\w+)`", text))
    assert documented == {name.upper() for name in Settings.model_fields}


def test_an_error_shows_no_secret(tmp_path):
    (tmp_path / "headrace.yaml").write_text("password: [hunter2]\nport: many\n")
    with pytest.raises(ConfigError) as error:
        load_server_settings({"config": tmp_path}, {})
    assert "hunter2" not in str(error.value)
    assert "not 'many'" in str(error.value)


@pytest.mark.parametrize("name", ["hazelcast.yaml", "hazelcast-client.yaml", "headrace.yaml"])
def test_a_configuration_directory_may_lack_seatunnel_yaml(tmp_path, name):
    (tmp_path / name).touch()
    assert load_settings({"config": tmp_path}, {}).checkpoint_retain == 3


def test_a_directory_without_any_configuration_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no seatunnel\.yaml, .* or headrace\.yaml"):
        load_settings({"config": tmp_path}, {})
