"""What `deploy/` holds is understood by who reads it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "headrace.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize("slip", ["", "KilMode=mixed"])
def test_systemd_understands_the_unit(tmp_path, slip):
    text = UNIT.read_text()
    (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    program = start.removeprefix("ExecStart=").split()[0]
    unit = tmp_path / "headrace.service"
    unit.write_text(text.replace(program, sys.executable).replace("KillMode=mixed", slip or "KillMode=mixed"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=120, check=False)
    said = [line for line in done.stderr.splitlines() if str(unit) in line]
    assert bool(said) == bool(slip), done.stderr


def test_the_unit_starts_a_command_that_there_is():
    from typer.main import get_command

    from headrace.cli.app import app

    (start,) = [line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart=")]
    _, name, *options = start.split()
    known = {option for parameter in get_command(app).commands[name].params for option in parameter.opts}
    assert [option for option in options if option.startswith("-") and option not in known] == []
