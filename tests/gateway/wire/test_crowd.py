"""Who gives way when there are as many connections as may be."""

from dataclasses import dataclass

from gateway.wire.addresses import Address
from gateway.wire.crowd import AT_REST, giving_way

NOW = 1000.0


@dataclass
class Resting:
    address: Address
    since: float = 0.0
    idle: bool = True
    expects_head: bool = True


def address(connections: int) -> Address:
    made = Address(many=False)
    made.connections = connections
    return made


CROWD, FEW = address(90), address(10)


def test_who_works_never_gives_way_and_who_has_just_finished_does_not() -> None:
    working = Resting(CROWD, expects_head=False)
    just = Resting(CROWD, since=NOW - AT_REST / 2)
    assert giving_way([working, just], 100, NOW) == []


def test_the_address_with_most_connections_gives_way_first_its_idle_ones_before_others() -> None:
    modest = Resting(FEW, since=1.0)
    slow_head, idle = Resting(CROWD, since=2.0, idle=False), Resting(CROWD, since=3.0)
    assert giving_way([modest, slow_head, idle], 64 * 3, NOW) == [idle, slow_head, modest]


def test_of_equals_the_longest_idle_goes() -> None:
    young, old = Resting(CROWD, since=20.0), Resting(CROWD, since=10.0)
    assert giving_way([young, old], 1, NOW) == [old]


def test_some_go_at_once_so_that_not_every_newcomer_costs_a_look_at_all() -> None:
    assert len(giving_way([Resting(CROWD) for _ in range(1000)], 1000, NOW)) == 15
    assert len(giving_way([Resting(CROWD) for _ in range(3)], 1, NOW)) == 1
