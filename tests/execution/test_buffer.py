"""Who waits for whom in a task's queue; a thread that should wait is given a moment in which it must not go on."""

import threading

import pytest

from headrace.execution.buffer import Buffer

MOMENT = 0.1


class MemoryShare:
    """in_flight: bytes. tight: whether the process is full."""

    def __init__(self, in_flight, tight=False):
        self.in_flight, self.tight = in_flight, tight

    def is_tight(self):
        return self.tight


@pytest.fixture
def begin():
    """Run something on a thread; gives back an event that is set when it is done."""

    def start(do, *arguments):
        done = threading.Event()

        def work():
            do(*arguments)
            done.set()

        threading.Thread(target=work, daemon=True).start()
        return done

    return start


def test_what_the_writing_side_has_taken_counts_until_it_takes_the_next(begin):
    buffer = Buffer(MemoryShare(100))
    buffer.put("a", 60)
    assert buffer.get(1) == "a"
    second = begin(buffer.put, "b", 60)
    assert not second.wait(MOMENT)
    assert buffer.get(0) is None
    assert second.wait(10)


def test_room_is_reserved_before_a_batch_is_made(begin):
    buffer = Buffer(MemoryShare(100))
    assert buffer.reserve(60)
    other = begin(buffer.reserve, 60)
    assert not other.wait(MOMENT)
    buffer.give_back(60)
    assert other.wait(10)


def test_a_reserved_batch_counts_once(begin):
    buffer = Buffer(MemoryShare(100))
    buffer.reserve(50)
    buffer.put("a", 50, 50)
    assert begin(buffer.reserve, 50).wait(10)


def test_one_item_is_let_in_however_big_it_is():
    buffer = Buffer(MemoryShare(10))
    assert buffer.reserve(1000)
    assert buffer.put("huge", 5000, 1000)
    assert buffer.get(1) == "huge"


def test_what_a_transform_made_of_a_batch_counts_too(begin):
    buffer = Buffer(MemoryShare(100))
    buffer.put("a", 20)
    buffer.get(1)
    buffer.add_taken(70)
    second = begin(buffer.put, "b", 20)
    assert not second.wait(MOMENT)
    buffer.get(0)
    assert second.wait(10)


def test_in_a_full_process_only_who_has_nothing_under_way_goes_on(begin):
    buffer = Buffer(MemoryShare(100, tight=True))
    assert buffer.put("a", 1)
    second = begin(buffer.put, "b", 1)
    assert not second.wait(MOMENT)
    assert buffer.get(1) == "a"
    buffer.get(0)
    assert second.wait(10)


def test_control_items_overtake_and_never_wait():
    buffer = Buffer(MemoryShare(1))
    buffer.put("data", 100)
    buffer.put_control("stop")
    assert [buffer.get(1), buffer.get(1)] == ["stop", "data"]


def test_a_closed_buffer_lets_its_readers_go(begin):
    buffer = Buffer(MemoryShare(10))
    buffer.put("a", 10)
    answers = []
    waiting = begin(lambda: answers.append(buffer.reserve(10)))
    assert not waiting.wait(MOMENT)
    buffer.close()
    assert waiting.wait(10)
    assert answers == [False]
