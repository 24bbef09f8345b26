from headrace.jobs.leases import LONGEST, Leases
from headrace.jobs.record import Node

HOURS = 10_000.0


def node(expires):
    return Node("a", "localhost:1", 0.0, expires, None, 0, {})


def is_alive(leases, expires, wall, clock):
    return leases.living([node(expires)], wall, clock) != []


def test_a_service_is_dead_when_its_lease_is_over():
    leases = Leases(5)
    assert is_alive(leases, 105, wall=101, clock=1)
    assert is_alive(leases, 105, wall=104, clock=4)
    assert not is_alive(leases, 105, wall=106, clock=6)


def test_one_that_died_long_ago_is_dead_at_the_first_look():
    assert not is_alive(Leases(5), 105, wall=106, clock=0)


def test_a_clock_that_is_put_forward_kills_nobody():
    leases = Leases(5)
    assert is_alive(leases, 105, wall=101, clock=1)
    assert is_alive(leases, 105, wall=101 + HOURS, clock=2)
    assert is_alive(leases, 107 + HOURS, wall=103 + HOURS, clock=3)


def test_a_clock_that_was_put_back_makes_no_dead_service_immortal():
    leases = Leases(5)
    assert is_alive(leases, 105 + HOURS, wall=100, clock=0)
    assert not is_alive(leases, 105 + HOURS, wall=100 + LONGEST + 1, clock=LONGEST + 1)


def test_a_service_whose_clock_is_behind_lives_while_it_gives_signs():
    leases = Leases(5)
    is_alive(leases, 105, wall=HOURS, clock=0)
    assert is_alive(leases, 106, wall=HOURS + 1, clock=1)
    assert is_alive(leases, 106, wall=HOURS + 5, clock=5)
    assert not is_alive(leases, 106, wall=HOURS + 7, clock=7)
