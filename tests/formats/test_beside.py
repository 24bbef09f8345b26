"""Work beside the reader's thread: the order, the errors and the end are those of one thread."""

import threading
import time

import pyarrow as pa
import pytest

from headrace.connector import JobContext, TaskContext
from headrace.formats import beside
from tests.formats.reading import read, schema_of, written

TASK = TaskContext(JobContext(0))


@pytest.fixture(params=[1, 2, 4])
def cores(request, monkeypatch):
    monkeypatch.setattr(beside, "cores", lambda: request.param)
    return request.param


def test_items_come_in_their_order_however_long_each_takes(cores):
    def work(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(beside.ahead(range(20), work, TASK)) == [(n, n * n) for n in range(20)]


def taken(items, work):
    """The items that came before the error, and the error."""
    found = []
    try:
        for item, _ in beside.ahead(items, work, TASK):
            found.append(item)
    except Exception as error:
        return found, type(error)
    return found, None


def test_an_error_of_the_work_comes_behind_what_was_before_it(cores):
    assert taken([1, 2, 0, 3], lambda n: 1 // n) == ([1, 2], ZeroDivisionError)


def test_an_error_of_the_source_comes_behind_what_was_before_it(cores):
    def items():
        yield from range(3)
        raise KeyError("the source")

    assert taken(items(), str) == ([0, 1, 2], KeyError)


def test_nothing_is_under_way_when_the_reader_has_stopped(cores):
    running, most = [], []

    def work(number: int) -> int:
        running.append(number)
        most.append(len(running))
        time.sleep(0.01)
        running.remove(number)
        return number

    reader = beside.ahead(range(1000), work, TASK)
    next(reader)
    reader.close()
    assert not running
    assert len(most) <= beside.AHEAD + 1
    assert max(most) <= beside.AHEAD


def test_scarce_memory_holds_one_item_at_a_time(monkeypatch):
    monkeypatch.setattr(beside, "cores", lambda: 4)
    scarce, threads = TaskContext(JobContext(0), batch_bytes=1 << 20), set()
    list(beside.ahead(range(8), lambda _: threads.add(threading.get_ident()), scarce))
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("form", ["csv", "text", "json"])
def test_files_of_many_blocks_are_written_and_read_alike_on_any_number_of_cores(form, cores, monkeypatch):
    monkeypatch.setattr("headrace.formats.lines.BLOCK_BYTES", 50_000)
    rows = pa.record_batch(
        {
            "id": pa.array(range(20_000), pa.int64()),
            "name": pa.array([None if n % 7 == 0 else f'a "{n}"' for n in range(20_000)]),
            "at": pa.array([n * 1_000_003 for n in range(20_000)], pa.timestamp("us")),
            "price": pa.array([n / 8 for n in range(20_000)]),
        }
    )
    data = written(form, rows)
    found = read(form, data, schema_of(id="bigint", name="string", at="timestamp", price="double"))
    assert found == [list(row.values()) for row in rows.to_pylist()]


def test_a_bad_row_is_told_with_its_line_on_any_number_of_cores(cores, monkeypatch):
    monkeypatch.setattr("headrace.formats.lines.BLOCK_BYTES", 4_000)
    data = b"".join(b"%d\n" % n if n != 2500 else b"x\n" for n in range(5000))
    with pytest.raises(Exception, match="in row 2501, column id"):
        read("csv", data, schema_of(id="int"))
