from headrace.checkpoint.splits import SplitAssigner
from headrace.connector import Split


def test_gives_the_biggest_split_first():
    assigner = SplitAssigner([Split("a", 1), Split("b", 9), Split("c", 5)], {}, ())
    assert [assigner.next_split(0).id for _ in range(3)] == ["b", "c", "a"]
    assert assigner.next_split(0) is None


def test_never_gives_a_finished_split_again():
    assigner = SplitAssigner([Split("a"), Split("b")], {}, {"a"})
    assert assigner.next_split(0).id == "b"
    assigner.finish("b")
    assert assigner.all_read()


def test_holds_a_split_back_until_those_before_it_are_finished():
    assigner = SplitAssigner([Split("stream", 9, after=("a", "b")), Split("a"), Split("b")], {}, ())
    assert {assigner.next_split(0).id, assigner.next_split(1).id} == {"a", "b"}
    assert assigner.next_split(0) is None
    assigner.finish("a")
    assigner.finish("b")
    assert assigner.next_split(0).id == "stream"


def test_deals_unbounded_splits_out_evenly_and_new_ones_to_whom_has_fewest():
    assigner = SplitAssigner([Split(str(i)) for i in range(5)], {}, (), bounded=False)
    assert assigner.next_split(0) is None
    assert sorted(len(splits) for splits in assigner.deal(2).values()) == [2, 3]
    assigner.add([Split("5"), Split("0")])
    [(_, [fresh])] = assigner.deal(2).items()
    assert fresh.id == "5"


def test_gives_those_that_end_of_an_unbounded_source_one_at_a_time_and_deals_out_the_others():
    assigner = SplitAssigner([Split("a"), Split("b", ends=True), Split("c", ends=True)], {}, {"c"}, bounded=False)
    assert [split.id for splits in assigner.deal(1).values() for split in splits] == ["a"]
    assert (assigner.next_split(0).id, assigner.next_split(0)) == ("b", None)
    assert [assigner.ends(name) for name in "abc"] == [False, True, True]


def test_tells_sizes_only_when_all_are_known():
    assigner = SplitAssigner([Split("a", 10), Split("b", 20)], {}, ())
    assigner.finish("a")
    assert assigner.size() == (10, 30)
    assert SplitAssigner([Split("a", 10), Split("b")], {}, ()).size() == (0, 0)


def test_sizes_count_what_was_finished_before_and_what_appears_later():
    assigner = SplitAssigner([Split("a", 10), Split("b", 20)], {}, ("b",))
    assigner.add([Split("c", 5), Split("a", 10)])
    assigner.finish("a")
    assigner.finish("a")
    assert assigner.size() == (30, 35)
    assigner.add([Split("d")])
    assert assigner.size() == (0, 0)
