"""What a member needs, and where the store of jobs and a job come to lie."""

import pytest

from headrace.cluster.membership import membership_of
from headrace.cluster.secret import member_token, seal_of
from headrace.errors import ConfigError, NotEnoughSlots
from headrace.jobs.placement import Placement
from headrace.jobs.record import Node
from headrace.server_settings import load_server_settings

SECRET = "0123456789abcdef"
PLACE = {"checkpoint_store": "/shared/checkpoints"}


def settings(**given):
    return load_server_settings({"port": 5801, **given}, {})[0]


def problems(**given):
    with pytest.raises(ConfigError) as error:
        membership_of(settings(**given), 5801)
    return [problem.place for problem in error.value.problems]


def test_one_member_as_seatunnel_ships_it_makes_no_cluster():
    assert membership_of(settings(members=["localhost"]), 5801) is None


def test_all_that_is_missing_is_told_at_once():
    assert problems(members=["127.0.0.1:5801", "127.0.0.1:5802"]) == ["cluster_secret", "checkpoint_store"]
    assert problems(members=["10.0.0.1", "10.0.0.2"], cluster_secret="short", **PLACE) == ["cluster_secret", "host"]
    assert problems(cluster_secret=SECRET) == ["checkpoint_store", "members"]
    assert problems(members=["127.0.0.1:1", "127.0.0.1:2"], cluster_secret=SECRET, database="sqlite:///a", **PLACE) == [
        "database"
    ]
    assert problems(members=["127.0.0.1", "127.0.0.1:2"], cluster_secret=SECRET, role="worker", **PLACE) == ["role"]


@pytest.mark.parametrize(
    ("members", "head", "is_head"),
    [
        (["localhost", "localhost:5802"], "localhost:5801", True),
        (["127.0.0.1:5801", "127.0.0.1:5802"], "127.0.0.1:5801", True),
        (["127.0.0.1:5802", "127.0.0.1:5801"], "127.0.0.1:5802", False),
        (["203.0.113.1", "127.0.0.1"], "203.0.113.1:5801", False),
        (["[::1]:5802", "127.0.0.1"], "[::1]:5802", False),
    ],
)
def test_the_first_of_the_list_serves_its_store_and_never_another(members, head, is_head):
    found = membership_of(settings(members=members, cluster_secret=SECRET, host="0.0.0.0", **PLACE), 5801)
    assert (found.head, found.is_head) == (head, is_head)


def test_with_postgresql_no_member_serves_a_store():
    given = {"members": ["localhost", "localhost:5802"], "database": "postgresql+psycopg://h/d"}
    found = membership_of(settings(cluster_secret=SECRET, **given, **PLACE), 5801)
    assert (found.head, found.is_head) == ("", False)


def test_members_are_read_from_hazelcasts_own_file(tmp_path):
    text = "hazelcast: {network: {join: {tcp-ip: {enabled: %s, member-list: [a, 'b:5802']}}}}"
    for enabled, expected in (("true", ["a", "b:5802"]), ("false", [])):
        (tmp_path / "hazelcast.yaml").write_text(text % enabled)
        found, warnings = load_server_settings({"config": tmp_path}, {})
        assert (found.members, warnings) == (expected, [])


def test_a_secret_gives_each_purpose_a_key_of_its_own():
    sealed = seal_of(SECRET).close("text")
    assert seal_of(SECRET).open(sealed) == "text"
    assert member_token(SECRET) != member_token(SECRET + "0")
    assert SECRET not in member_token(SECRET)


# ------------------------------------------------------------------------------------------------------------ placement


def node(name, used=0, slots=None, role="", drained=False, **tags):
    return Node(name, f"{name}:5801", 0.0, 1.0, slots, used, tags, role, drained)


def test_a_job_goes_where_the_fewest_slots_are_in_use_and_here_among_equals():
    assert Placement("b").choose([node("a", 3), node("b", 2), node("c", 1)], 1, {}) == "c"
    assert Placement("b").choose([node("a"), node("b"), node("c")], 1, {}) == "b"


def test_jobs_that_come_together_are_spread_before_the_nodes_tell_of_them():
    placement = Placement("a")
    given = [placement.choose([node("a"), node("b"), node("c")], 2, {}) for _ in range(9)]
    assert [given.count(name) for name in "abc"] == [3, 3, 3]


def test_a_node_with_room_comes_before_an_idler_one_without():
    assert Placement("a").choose([node("a", 1, slots=2), node("b", 5, slots=9)], 2, {}) == "b"


@pytest.mark.parametrize(
    ("nodes", "tags", "reason"),
    [
        ([node("a", role="master"), node("b", drained=True)], {}, "a:5801 is only a master; b:5801 is drained"),
        ([node("a", zone="x")], {"zone": "y"}, "has the tags zone=y of env.tag_filter: a:5801 has zone=x"),
        ([node("a", slots=2), node("b", slots=3)], {}, "the job needs 4 slots, and no node has more than 3"),
        ([node("a", role="joining")], {}, "no node runs jobs"),
    ],
)
def test_a_job_that_no_node_may_run_is_refused_with_the_reason(nodes, tags, reason):
    with pytest.raises(NotEnoughSlots, match=reason):
        Placement("a").choose(nodes, 4, tags)
