"""Splits that several tables share are divided exactly once, at the table's last commit."""

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.checkpoint.shares import divide, held, isolate, source_ids, source_split, told_positions
from headrace.connector import Share, Split


def state(*splits, positions=None, finished=()):
    return Checkpoint(1, 1, 1, 1, 5, splits=splits, positions=positions or {}, finished=frozenset(finished))


def test_a_split_of_one_table_is_held_as_it_is():
    base = state(Split("a", table="a"), Split("b", table="b"), positions={"a": 3})
    assert isolate(base, {"a"}) == base
    assert held(base.splits, {"a"}) == {"a"}


def test_a_shared_split_goes_on_without_the_table_which_gets_a_share_from_there():
    base = isolate(state(Split("s", data={"x": 1}), positions={"s": 7}), {"a"})
    rest, own = base.splits
    assert (rest.id, rest.share) == ("s", Share("s", without=("a",)))
    assert (own.id, own.table, own.share) == ("s of a", "a", Share("s", only="a", start=7))
    assert held(base.splits, {"a"}) == {"s of a"}
    assert [rest.share.takes(t) for t in "ab"] == [False, True]
    assert [own.share.takes(t) for t in "ab"] == [True, False]


def test_dividing_again_changes_nothing_and_another_table_gets_its_own_place():
    once = isolate(state(Split("s"), positions={"s": 7}), {"a"})
    assert isolate(once, {"a"}) == once
    later = isolate(state(*once.splits, positions={"s": 9}), {"a", "b"})
    assert {s.id: s.share for s in later.splits} == {
        "s": Share("s", without=("a", "b")),
        "s of a": Share("s", only="a", start=7),
        "s of b": Share("s", only="b", start=9),
    }


def test_a_finished_split_is_not_divided():
    base = state(Split("s"), finished=["s"])
    assert isolate(base, {"a"}) == base


def test_the_source_sees_its_own_splits_only():
    split = Split("s", 10, after=("r",), data={"x": 1})
    parts = divide(split, {"a"}, 3)
    assert [source_split(part) for part in parts] == [split, split]
    assert source_ids([*parts, Split("t")]) == ["s", "t"]


def test_a_source_is_not_told_of_positions_that_a_share_stands_before():
    parts = divide(Split("s"), {"a"}, 3)
    saved = state(*parts, Split("t"), positions={"s": 9, "s of a": 4, "t": 2})
    assert told_positions(saved) == {"t": 2}
    done = state(*parts, Split("t"), positions={"s": 9, "s of a": 9, "t": 2}, finished=["s of a"])
    assert told_positions(done) == {"s": 9, "t": 2}


def test_shares_survive_being_saved():
    base = isolate(state(Split("s"), positions={"s": {"offset": 7}}), {"a"})
    assert Checkpoint.from_json(base.to_json()) == base
