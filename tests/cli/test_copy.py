"""`headrace copy`: what is in the target afterwards, and the job file that it runs."""

import gzip
import http.server
import os
import shutil
import sqlite3
import subprocess
import sys
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from headrace.cli.app import app
from headrace.cli.file_places import place_of

ORDERS = "id,name,price\n1,ann,1.5\n2,bob,\n3,cy,4\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    (tmp_path / "orders.csv").write_text(ORDERS)
    return tmp_path


def copy(*arguments, code=0, env=None):
    result = CliRunner().invoke(app, ["copy", *map(str, arguments), "-q"], env=env)
    assert result.exit_code == code, result.output
    return result.output


def rows(path):
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


def people(path):
    with sqlite3.connect(path) as db:
        db.execute("create table orders (id integer primary key, name text)")
        db.executemany("insert into orders values (?, ?)", [(1, "ann"), (2, "bob")])
        db.execute("create table towns (town text)")
        db.execute("insert into towns values ('Bonn')")


def table(path, name="orders"):
    with sqlite3.connect(path) as db:
        return sorted(db.execute(f"select * from {name}"))


def test_a_csv_file_becomes_one_parquet_file_of_that_name_and_nothing_else(here):
    copy("orders.csv", "out/orders.parquet")
    assert os.listdir("out") == ["orders.parquet"]
    assert rows("out/orders.parquet") == [(1, "ann", 1.5), (2, "bob", None), (3, "cy", 4.0)]


@pytest.mark.parametrize("name", ["o.csv", "o.tsv", "o.json", "o.jsonl", "o.orc", "o.avro", "o.xlsx", "o.xml"])
def test_every_format_is_told_by_its_suffix_and_comes_back(here, name):
    copy("orders.csv", name)
    copy(name, "back.parquet", "--columns", "id,name")
    assert sorted(rows("back.parquet")) == [(1, "ann"), (2, "bob"), (3, "cy")]


def test_packed_files_by_a_pattern_go_into_a_table(here):
    (here / "data").mkdir()
    for month, text in (("2024-01", "id,v\n1,x\n"), ("2024-02", "id,v\n2,y\n"), ("2023-12", "id,v\n9,z\n")):
        (here / "data" / f"{month}.csv.gz").write_bytes(gzip.compress(text.encode()))
    copy("data/2024-*.csv.gz", "sqlite:///shop.db", "--table", "orders")
    assert table("shop.db") == [(1, "x"), (2, "y")]


def test_a_directory_gets_files_with_readable_names(here):
    copy("orders.csv", "out/")
    assert os.listdir("out") == ["orders.parquet"]
    people("shop.db")
    copy("sqlite:///shop.db", "all/", "--to", "csv")
    found = {os.path.relpath(os.path.join(p, f), "all") for p, _, files in os.walk("all") for f in files}
    assert found == {"orders/orders.csv", "towns/towns.csv"}
    assert (here / "all/towns/towns.csv").read_text() == "town\nBonn\n"


def test_a_whole_database_goes_into_another(here):
    people("shop.db")
    copy("sqlite:///shop.db", "sqlite:///copy.db")
    assert (table("copy.db"), table("copy.db", "towns")) == ([(1, "ann"), (2, "bob")], [("Bonn",)])


def test_rows_and_columns_are_chosen_in_files_and_in_databases(here):
    copy("orders.csv", "few.parquet", "--where", "id > 1", "--columns", "name,id")
    assert rows("few.parquet") == [("bob", 2), ("cy", 3)]
    copy("orders.csv", "sum.parquet", "--sql", "select id * 2 as double_id from orders where id < 3")
    assert rows("sum.parquet") == [(2,), (4,)]
    people("shop.db")
    chosen = ("sqlite:///shop.db", "--table", "orders", "--where", "id = 2", "--columns", "name")
    copy(chosen[0], "db.parquet", *chosen[1:])
    assert rows("db.parquet") == [("bob",)]
    copy("sqlite:///shop.db", "sql.parquet", "--sql", "select count(*) as n from orders")
    assert rows("sql.parquet") == [(2,)]


def test_what_is_there_is_only_changed_as_the_mode_says(here):
    copy("orders.csv", "sqlite:///shop.db")
    assert "rows" in copy("orders.csv", "sqlite:///shop.db", code=1)
    copy("orders.csv", "sqlite:///shop.db", "--mode", "append")
    assert len(table("shop.db")) == 6
    copy("orders.csv", "sqlite:///shop.db", "--mode", "replace")
    assert len(table("shop.db")) == 3
    people("keyed.db")
    (here / "new.csv").write_text("id,name\n2,new\n3,cy\n")
    copy("new.csv", "sqlite:///keyed.db", "--table", "orders", "--mode", "upsert", "--key", "id")
    assert table("keyed.db") == [(1, "ann"), (2, "new"), (3, "cy")]


def test_a_file_is_replaced_only_when_asked_and_only_by_a_whole_one(here):
    copy("orders.csv", "o.parquet")
    assert "o.parquet is there already" in copy("orders.csv", "o.parquet", code=2)
    assert "nothing is appended to a file" in copy("orders.csv", "o.parquet", "--mode", "append", code=2)
    (here / "bad.csv").write_text("id,name\n1,ann\n2\n")
    copy("bad.csv", "o.parquet", "--mode", "replace", code=1)
    assert len(rows("o.parquet")) == 3
    (here / "one.csv").write_text("id,name\n7,eve\n")
    copy("one.csv", "o.parquet", "--mode", "replace")
    assert rows("o.parquet") == [(7, "eve")]
    assert not [name for name in os.listdir() if ".before-" in name]


def test_replace_empties_no_directory_that_holds_something_else(here):
    (here / "out").mkdir()
    (here / "out" / "letter.txt").write_text("dear")
    assert "would remove out/letter.txt" in copy("orders.csv", "out/", "--mode", "replace", code=2)
    assert (here / "out" / "letter.txt").read_text() == "dear"


def test_print_shows_a_job_file_that_does_the_same(here):
    text = CliRunner().invoke(app, ["copy", "orders.csv", "out/orders.parquet", "--print"]).output
    assert not (here / "out").exists()
    (here / "job.conf").write_text(text)
    assert CliRunner().invoke(app, ["check", "job.conf"]).exit_code == 0
    assert CliRunner().invoke(app, ["run", "job.conf"]).exit_code == 0
    assert rows("out/orders.parquet") == [(1, "ann", 1.5), (2, "bob", None), (3, "cy", 4.0)]


def test_passwords_are_taken_from_the_environment_and_never_shown(here):
    shown = (
        CliRunner()
        .invoke(
            app,
            ["copy", "postgres://ann@db:5433/shop.public.orders", "o.parquet", "--print"],
            env={"HEADRACE_SOURCE_PASSWORD": "s3cret"},
        )
        .output
    )
    assert "s3cret" not in shown
    assert 'url = "jdbc:postgresql://db:5433/shop"' in shown
    assert 'table_path = "public.orders"' in shown
    assert "${source_password}" in shown
    asked = ["copy", "postgres://ann:${DB_PW}@db/shop.orders", "o.parquet", "--print"]
    assert "${source_password}" in CliRunner().invoke(app, asked, env={"DB_PW": "s3cret"}).output


def test_a_password_on_the_command_line_is_refused(here):
    shown = copy("postgres://ann:s3cret@db/shop.orders", "o.parquet", code=2)
    assert "s3cret" not in shown
    assert "leave it out and set HEADRACE_SOURCE_PASSWORD" in shown


def test_a_jdbc_url_is_an_address_too(here):
    copy("orders.csv", "jdbc:sqlite:s.db", "--table", "orders")
    assert copy("jdbc:sqlite:s.db", "again.csv", "--table", "orders", "--print") == copy(
        "sqlite:///s.db", "again.csv", "--table", "orders", "--print"
    ), "one job"
    shown = copy("jdbc:mysql://db/shop?user=ann&useSSL=false", "o.parquet", "--table", "x", "--print")
    assert 'url = "jdbc:mysql://db/shop?useSSL=false"' in shown
    assert 'user = "ann"' in shown
    shown = copy("jdbc:mysql://db/shop?user=ann&password=s3cret", "o.parquet", "--table", "x", code=2)
    assert "s3cret" not in shown
    assert "leave it out and set HEADRACE_SOURCE_PASSWORD" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.csv", "o.parquet"), "there is no file or directory 'none.csv'"),
        (("orders.csv", "o.unknown"), "does not say its format"),
        (("orders.csv", "kafka2://x/y"), "nothing here reads or writes kafka2://"),
        (("orders.csv", "o.parquet", "--mode", "merge"), "'merge' is not one of append, replace, upsert"),
        (("orders.csv", "o.parquet", "--mode", "upsert"), "files take no upserts"),
        (("orders.csv", "o.parquet", "--sql", "select 1", "--where", "a"), "leave out --where and --columns"),
        (("sqlite:///", "o.parquet"), "names no file"),
        (("*.csv", "sqlite:///s.db"), "add --table NAME"),
        (("x*.csv", "o.parquet"), "no file fits 'x*.csv'\n  . holds orders.csv"),
        (("ordres.csv", "o.parquet"), "there is no file or directory 'ordres.csv'\n  . holds orders.csv"),
        (("orders.csv", "./orders.csv", "--mode", "replace"), "orders.csv is the source, and would be replaced"),
        (
            ("*.csv", "orders.csv", "--mode", "replace"),
            "is one of the files of *.csv, and would be replaced",
        ),
        ((".", "orders.csv", "--from", "csv", "--mode", "replace"), "one of the files of ., and would be replaced"),
        (("http://127.0.0.1:1/x.csv", "o.csv"), "cannot read http://127.0.0.1:1/x.csv: Connection refused\n"),
    ],
)
def test_what_cannot_be_is_refused_with_its_cure(here, arguments, message):
    assert message in copy(*arguments, code=2)


def test_a_file_of_the_web_is_read(here):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        copy(f"http://127.0.0.1:{server.server_port}/orders.csv", "o.parquet")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(rows("o.parquet")) == 3


@pytest.mark.parametrize(
    ("glob", "path", "fits", "not_fits"),
    [
        ("data/*.csv", "data", "data/a.csv", "data/x/a.csv"),
        ("data/**/*.csv", "data", "data/x/y/a.csv", "data/x/a.tsv"),
        ("*/a?.json", ".", "./x/ab.json", "./x/abc.json"),
        ("/d/[ab]*.csv", "/d", "/d/b1.csv", "/d/c1.csv"),
        ("d/[!ab].csv", "d", "d/c.csv", "d/a.csv"),
    ],
)
def test_patterns_of_paths(glob, path, fits, not_fits):
    import re

    place = place_of(glob, "", None)
    assert place.path == path
    assert re.fullmatch(place.pattern, fits)
    assert not re.fullmatch(place.pattern, not_fits)


def test_a_file_that_is_read_is_never_replaced(here):
    copy("orders.csv", "orders.csv", "--mode", "replace", code=2)
    (here / "link.csv").symlink_to("orders.csv")
    copy("link.csv", "orders.csv", "--mode", "replace", code=2)
    copy("file://" + str(here / "orders.csv"), "link.csv", "--mode", "replace", code=2)
    assert (here / "orders.csv").read_text() == ORDERS


@pytest.mark.parametrize("name", ["örtlich 東京.csv", "a b.csv", "semi;colon.csv"])
def test_names_of_files_may_hold_anything(here, name):
    (here / name).write_text(ORDERS)
    copy(name, "o.parquet")
    assert len(rows("o.parquet")) == 3


@pytest.mark.parametrize("text", ["\ufeffid,name\n1,ann\n", "id;name\n1;ann\n", "id\tname\n1\tann\n"])
def test_marks_and_delimiters_are_found(here, text):
    (here / "odd.csv").write_text(text)
    copy("odd.csv", "o.parquet")
    assert pq.read_table("o.parquet").to_pylist() == [{"id": 1, "name": "ann"}]


@pytest.mark.parametrize("name", ["none.csv", "none.csv.gz"])
def test_a_file_without_a_byte_has_no_columns(here, name):
    (here / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
    assert f"there are no columns to be found by looking: '{name}' is empty" in copy(name, "o.parquet", code=1)


def test_an_empty_table_is_a_file_with_its_columns(here):
    (here / "none.csv").write_text("id,name\n")
    copy("none.csv", "o.parquet")
    assert pq.read_table("o.parquet").schema.names == ["id", "name"]
    assert pq.read_table("o.parquet").num_rows == 0


def test_types_arrive(here):
    (here / "t.csv").write_text("zip,day,n\n01234,2024-01-31,12345678901234567890\n")
    copy("t.csv", "t.parquet")
    assert pq.read_table("t.parquet").schema.types == [pa.string(), pa.date32(), pa.decimal128(38, 0)]


WITHOUT_ROOTS_RIGHTS = [shutil.which("setpriv"), "--bounding-set=-dac_override,-dac_read_search,-fowner"]


def test_a_target_that_may_not_be_written_is_named_before_any_row_and_nothing_is_offered_that_fails(here):
    out = here / "out"
    out.mkdir(mode=0o555)
    before = WITHOUT_ROOTS_RIGHTS if os.geteuid() == 0 else []
    if before:
        assert before[0], "setpriv is part of util-linux"
        os.chown(out, 65534, 65534)
    for target, home, text in (
        ("out/o.parquet", "home", "error: cannot write out: Permission denied; check its owner and mode\n"),
        (
            "o.parquet",
            "out/home",
            "Permission denied: out/home; check its owner and mode, or name another one with --home",
        ),
    ):
        command = [*before, sys.executable, "-m", "headrace", "copy", "orders.csv", target]
        env = {**os.environ, "HEADRACE_HOME": home}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
        assert done.returncode == 1
        assert text in done.stderr.replace(str(here) + "/out/home", "out/home")
        assert ".headrace-staging" not in done.stderr
        assert "--restore" not in done.stderr  # a copy has no job file to restore
    assert list(out.iterdir()) == []
