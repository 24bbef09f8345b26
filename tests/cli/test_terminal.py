"""What a person sees: the commands in a terminal of 80 columns, in a pipe, without colours, in a C locale."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

COLUMNS = 80
FAKE = "FakeSource { plugin_output = fake, row.num = 5, schema { fields { id = int, name = string } } }"
SLOW = """env { read_limit.rows_per_second = ROWS }
source { LocalFile { path = "rows.csv", file_format_type = csv, schema { fields { id = bigint, name = string } } } }
sink { LocalFile { path = "out", file_format_type = csv } }"""


class Screen:
    """The lines of a terminal: as much of its control language as a progress line needs."""

    def __init__(self):
        self.lines, self.column, self.moments = [""], 0, []

    def feed(self, text):
        for sign, colour, other in re.findall(r"(\r|\n|\x1b\[K)|(\x1b\[\d*m)|([^\r\n\x1b])", text):
            if sign == "\r":
                self.column = 0
            elif sign == "\n":
                self.lines.append("")
            elif sign:
                self.moments.append(self.lines[-1])
                self.lines[-1] = self.lines[-1][: self.column]
            elif not colour:
                if self.column == COLUMNS:  # wrapped
                    self.lines.append("")
                    self.column = 0
                self.lines[-1] = self.lines[-1][: self.column] + other + self.lines[-1][self.column + 1 :]
                self.column += 1


def in_terminal(folder, *arguments, act=lambda process, text: None, columns=COLUMNS, **environment):
    """(exit code, all that was written to the terminal). act: called with the process and the text so far."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    given = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace", *map(str, arguments)],
        stdin=slave, stdout=slave, stderr=slave, cwd=folder, env={**given, "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(slave)
    written = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not data:
            break
        written += data
        act(process, written.decode(errors="replace"))
    os.close(master)
    return process.wait(60), written.decode()


def in_pipe(folder, *arguments, **environment):
    given = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "headrace", *map(str, arguments)],
        capture_output=True, cwd=folder, timeout=120, env={**given, **environment},
    )  # fmt: skip


@pytest.fixture
def job(tmp_path):
    def write(text=f"source {{ {FAKE} }}\nsink {{ Console {{}} }}", name="job.conf"):
        (tmp_path / name).write_text(text)
        return name

    return write


@pytest.fixture
def slow(tmp_path, job):
    """A job that takes about five seconds to read one file."""
    with open(tmp_path / "rows.csv", "w") as file:
        file.writelines(
            f"{number},a name that is long enough to make bytes of it {number}\n" for number in range(500_000)
        )
    return job(SLOW.replace("ROWS", "100000"))


# ------------------------------------------------------------------------------------------------------- the progress


def test_the_progress_is_one_line_that_is_written_over_and_never_wraps(tmp_path, slow):
    code, written = in_terminal(tmp_path, "run", slow)
    screen = Screen()
    screen.feed(written)
    drawn = [line for line in screen.moments if line.startswith("RUNNING")]
    assert code == 0, written
    assert drawn
    assert max(map(len, drawn)) < COLUMNS
    assert not any("RUNNING" in line for line in screen.lines), "it is gone when the job has ended"
    assert screen.lines[-2].startswith("Job ")


def test_a_single_file_has_its_percent_by_the_bytes_that_were_read(tmp_path, slow):
    _, written = in_terminal(tmp_path, "run", slow)
    shares = [int(share) for share in re.findall(r"RUNNING  (\d+)%", written)]
    assert shares == sorted(shares)
    assert any(0 < share < 100 for share in shares), shares


def test_a_narrow_terminal_gets_less_and_no_second_line(tmp_path, slow):
    code, written = in_terminal(tmp_path, "run", slow, columns=20)
    assert code == 0
    drawn = re.findall(r"\x1b\[K(RUNNING[^\r\x1b]*)", written)
    assert drawn
    assert max(map(len, drawn)) < 20


def test_what_the_job_says_does_not_tear_the_progress_line(tmp_path, job):
    path = job(
        "env { read_limit.rows_per_second = 2 }\nsource { FakeSource { row.num = 6, split.num = 6, split.read-interval "
        "= 0, schema { fields { id = int } } } }\nsink { Console {} }"
    )
    code, written = in_terminal(tmp_path, "run", path)
    screen = Screen()
    screen.feed(written)
    rows = [line for line in screen.lines if "SeaTunnelRow#kind" in line]
    assert (code, len(rows)) == (0, 6), written
    assert all(line.startswith("subtaskIndex=") for line in rows)


def test_a_pipe_gets_no_control_characters_and_no_colours(tmp_path, job):
    done = in_pipe(tmp_path, "run", job())
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stdout + done.stderr


def test_a_pipe_gets_a_line_of_progress_for_ten_of_a_terminal(tmp_path, slow):
    """At the pace of 20 ms instead of a second."""
    code = "from headrace.cli import main, run; run.PROGRESS_SECONDS = 0.02; main()"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(slow)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("RUNNING")]
    assert done.returncode == 0, done.stderr
    assert 1 <= len(lines) <= (time.monotonic() - began) / 0.2


def test_the_start_tells_the_id_and_the_log(tmp_path, job):
    first = in_pipe(tmp_path, "run", job()).stderr.decode().splitlines()[0]
    log = re.fullmatch(r"job \d+ SeaTunnel_Job: its log is (.*)", first)[1]
    assert "starts" in (tmp_path / log).read_text()


# ------------------------------------------------------------------------------------------------------------ colours


def test_colours_are_for_terminals_and_those_who_want_them(tmp_path, job):
    wrong = job("source { FakeSorce {} }\nsink { Console {} }")
    assert "\x1b[31merror:\x1b[0m" in in_terminal(tmp_path, "run", wrong)[1]
    assert "\x1b[" not in in_terminal(tmp_path, "run", wrong, NO_COLOR="1")[1]
    assert "\x1b[" not in in_terminal(tmp_path, "run", wrong, TERM="dumb")[1]


def test_a_name_cannot_take_over_the_terminal(tmp_path, job):
    text = 'env { job.name = "a\\u001b[2Jb" }\n' + f"source {{ {FAKE} }}\nsink {{ Console {{}} }}"
    code, written = in_terminal(tmp_path, "run", job(text))
    assert code == 0
    assert "\x1b[2J" not in written


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_c_locale_shows_what_it_can(tmp_path, job, environment):
    text = 'env { job.name = "größe → 大" }\n' + f"source {{ {FAKE} }}\nsink {{ Console {{}} }}"
    (tmp_path / "job.conf").write_text(text, encoding="utf-8")
    code, written = in_terminal(tmp_path, "run", "job.conf", **environment)
    assert code == 0, written
    assert in_pipe(tmp_path, "run", "job.conf", **environment).returncode == 0
    assert in_pipe(tmp_path, "history", **environment).returncode == 0


# --------------------------------------------------------------------------------------------------------- the ending


def last_line(done):
    return done.stdout.decode().splitlines()[-1]


REJECTS = """env { job.mode = BATCH, error_handler { mode = ROUTE, include_original_data = true,
  sink { plugin_name = LocalFile, path = bad, file_format_type = csv } } }
source { LocalFile { path = "in.csv", file_format_type = csv, schema { fields { id = int } } } }
sink { LocalFile { path = out, file_format_type = csv } }"""


def test_a_run_whose_rows_were_all_rejected_says_so_last_and_exits_with_3(tmp_path, job):
    (tmp_path / "in.csv").write_text("a\nb\n")
    done = in_pipe(tmp_path, "run", job(REJECTS))
    assert done.returncode == 3
    assert "nothing was delivered: all 2 rows rejected" in last_line(done)
    assert b"delivered: 0" not in done.stdout
    assert b"2 rows set aside in bad: `headrace replay job.conf`" in done.stderr


def test_some_rejected_rows_are_a_success_unless_told_otherwise(tmp_path, job):
    (tmp_path / "in.csv").write_text("a\n1\n")
    done = in_pipe(tmp_path, "run", job(REJECTS))
    assert (done.returncode, "1 row rejected" in last_line(done)) == (0, True)
    assert b"Total Failed Count        :                   1" in done.stdout
    assert in_pipe(tmp_path, "run", "--fail-on-rejects", job(REJECTS)).returncode == 3


def test_filtered_rows_are_not_failed_ones(tmp_path, job):
    text = f'source {{ {FAKE} }}\ntransform {{ Sql {{ query = "select id from fake where id is null" }} }}\n'
    done = in_pipe(tmp_path, "run", job(text + "sink { Console {} }"))
    assert b"Total Failed Count        :                   0" in done.stdout
    assert b"Total Filtered Count      :                   5" in done.stdout
    assert done.returncode == 0


def test_a_job_that_failed_never_says_that_it_delivered(tmp_path, job):
    text = """env { job.retry.times = 0 }
    source { LocalFile { path = "in.csv", file_format_type = csv, schema { fields { id = int } } } }
    sink { LocalFile { path = out, file_format_type = csv } }"""
    (tmp_path / "in.csv").write_text("1\n2\nx\n")
    done = in_pipe(tmp_path, "run", job(text))
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 1
    assert "nothing delivered: the job failed" in said
    assert "balanced" not in said
    assert "run it again: `headrace run job.conf`" in said
    assert re.fullmatch(r"Job \d+ FAILED in .*", last_line(done))


def test_a_job_that_failed_after_a_checkpoint_tells_what_is_there_and_how_to_go_on(tmp_path, job):
    text = """env { job.retry.times = 0, checkpoint.interval = 300, read_limit.rows_per_second = 3000 }
    source { LocalFile { path = "in.csv", file_format_type = csv, schema { fields { id = int } } } }
    sink { LocalFile { path = out, file_format_type = csv } }"""
    (tmp_path / "in.csv").write_text("".join(f"{number}\n" for number in range(20_000)) + "x\n")
    done = in_pipe(tmp_path, "run", job(text))
    said = done.stdout.decode() + done.stderr.decode()
    there = sum(len(file.read_text().splitlines()) for file in (tmp_path / "out").rglob("*.csv"))
    assert done.returncode == 1
    if there:
        assert f"in the target: {there:,} rows that were committed before the job failed" in said
    assert re.search(r"go on from the last checkpoint: `headrace run job\.conf --restore --job-id \d+`", said)


def test_a_canceled_job_tells_what_is_there(tmp_path, slow):
    sent = []

    def interrupt(process, text):
        if "RUNNING" in text and not sent:
            process.send_signal(signal.SIGINT)
            sent.append(process)

    code, written = in_terminal(tmp_path, "run", slow, act=interrupt)
    assert code == 130
    assert "nothing delivered: the job was canceled" in written
    assert "balanced" not in written
    assert list((tmp_path / "out").rglob("*.csv")) == []


# ----------------------------------------------------------------------------------------------------- pipes and codes


def test_a_reader_that_goes_ends_the_run_quietly_and_at_once(tmp_path, job):
    text = "source { FakeSource { row.num = 3000000, schema { fields { id = int } } } }\nsink { Console {} }"
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace", "run", job(text)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
    )  # fmt: skip
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 141
    assert [line for line in errors.splitlines() if not line.startswith(("job ", "RUNNING"))] == []


@pytest.mark.parametrize("arguments", [("connectors",), ("connectors", "LocalFile")])
def test_any_command_whose_reader_goes_has_the_pipes_code(tmp_path, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *arguments], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_wrong_usage_and_wrong_job_files_exit_with_2(tmp_path, job):
    assert in_pipe(tmp_path, "run").returncode == 2
    assert in_pipe(tmp_path, "run", "nowhere.conf").returncode == 2
    assert in_pipe(tmp_path, "check", job("source { FakeSorce {} }\nsink { Console {} }")).returncode == 2


# --------------------------------------------------------------------------------------------------------------- json


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "--json", "nowhere.conf"), 2),
        (("run", "--json"), 2),
        (("run", "--json", "--no-such", "job.conf"), 2),
        (("run", "--json", "wrong.conf"), 2),
        (("run", "--json", "--memory", "lots", "job.conf"), 2),
        (("check", "--json", "nowhere.conf"), 2),
        (("check", "--json", "wrong.conf"), 2),
        (("check", "--json", "job.conf"), 0),
        (("run", "--json", "job.conf"), 0),
    ],
)
def test_json_is_one_object_whatever_happens(tmp_path, job, arguments, code):
    job()
    job("source { FakeSorce {} }\nsink { Console {} }", "wrong.conf")
    done = in_pipe(tmp_path, *arguments)
    found = json.loads(done.stdout)
    assert (done.returncode, found["exitCode"]) == (code, code)
    assert bool(found["problems"]) == bool(code)


def test_json_is_one_object_also_when_a_plugin_prints_and_when_the_program_crashes(tmp_path, job):
    (tmp_path / "noisy.py").write_text("import os\nfrom headrace.cli import run, app\n"
        "def fail(*a, **k):\n    os.write(1, b'noise'); print('noise'); raise RuntimeError('boom')\n"
        "run.make_plan = fail\napp.main()\n")  # fmt: skip
    job()
    done = subprocess.run(
        [sys.executable, "noisy.py", "run", "--json", "job.conf"], capture_output=True, cwd=tmp_path, timeout=60
    )
    found = json.loads(done.stdout)
    assert (done.returncode, found["status"], found["error"]) == (1, "FAILED", "boom (RuntimeError)")
    assert "boom" in (tmp_path / ".headrace" / "logs" / f"job-{found['jobId']}.log").read_text()


# ------------------------------------------------------------------------------------------------------------- history


def test_every_run_leaves_a_log_and_a_line_of_the_history(tmp_path, job):
    in_pipe(tmp_path, "run", job())
    in_pipe(tmp_path, "run", job("source { FakeSorce {} }\nsink { Console {} }", "wrong.conf"))
    rules = "rules { row_rules = [{ rule_type = MIN_ROW, rule_value = 9 }] }"
    in_pipe(
        tmp_path,
        "run",
        job(f"env {{ job.retry.times = 0 }}\nsource {{ {FAKE} }}\nsink {{ Assert {{ {rules} }} }}", "failed.conf"),
    )
    found = json.loads(in_pipe(tmp_path, "history", "--json").stdout)
    assert [(r["status"], r["exitCode"]) for r in found] == [("FAILED", 1), ("FAILED", 2), ("FINISHED", 0)]
    assert [r["rowsRead"] for r in found] == [5, 0, 5]
    assert "unknown source 'FakeSorce'" in (tmp_path / found[1]["log"]).read_text()
    assert "row num :5 fail rule" in (tmp_path / found[0]["log"]).read_text()
    assert found[2]["deliveryReport"]["balanced"] is True
    shown = in_pipe(tmp_path, "history").stdout.decode().splitlines()
    assert [line.split()[0] for line in shown[1:]] == [str(r["jobId"]) for r in found]
    assert f"log      {found[0]['log']}" in in_pipe(tmp_path, "history", found[0]["jobId"]).stdout.decode()


def test_a_run_that_was_killed_is_lost_and_one_that_lives_is_running(tmp_path, slow):
    process = subprocess.Popen([sys.executable, "-m", "headrace", "run", "-q", slow], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / ".headrace" / "history").is_dir() or not list(
        (tmp_path / ".headrace/history").glob("*.json")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert json.loads(in_pipe(tmp_path, "history", "--json").stdout)[0]["status"] == "RUNNING"
    process.kill()
    process.wait(60)
    assert json.loads(in_pipe(tmp_path, "history", "--json").stdout)[0]["status"] == "LOST"


def test_a_job_that_no_run_had_is_an_error(tmp_path):
    done = in_pipe(tmp_path, "history", "42")
    assert (done.returncode, done.stderr.decode().startswith("error: no run of job 42")) == (1, True)
