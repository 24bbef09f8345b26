import re
from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.settings import Settings, load_settings

DOCS = Path(__file__).parent.parent / "docs"


def test_the_command_line_wins_over_the_environment():
    environment = {"HEADRACE_HOME": "/a", "HEADRACE_WORKERS": "3"}
    found = load_settings({"home": Path("/b"), "runner": None}, environment)
    assert (found.home, found.workers, found.runner) == (Path("/b"), 3, "embedded")


def test_wrong_values_are_named_all_at_once():
    with pytest.raises(ConfigError) as error:
        load_settings({}, {"HEADRACE_WORKERS": "0", "HEADRACE_RUNNER": "ray"})
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
