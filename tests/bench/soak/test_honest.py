"""An honest client sees when it is given what nobody wrote."""

from typing import Any

from bench.soak.honest import ACTS, Honest
from bench.soak.ledger import Version
from bench.soak.run import Run

HELLO = Version(5, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")


class Client:
    """Of boto3, as far as lists are asked for."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self._sizes = sizes

    def list_objects_v2(self, **_: Any) -> dict[str, Any]:
        return {"Contents": [{"Key": name, "Size": size} for name, size in self._sizes.items()]}


def honest(client: Any = None) -> tuple[Run, Any]:
    nobody: Any = None
    run = Run(nobody, nobody)
    run.ledger.confirmed("honest-0/1", HELLO)
    return run, Honest(run, 0, client, seed=1)


def test_everything_that_may_be_drawn_can_be_done() -> None:
    assert all(callable(getattr(Honest, f"_{name}")) for name in ACTS)


def test_a_body_that_nobody_wrote_is_a_fault() -> None:
    run, client = honest()
    client._compare("GET", "honest-0/1", b"hello")
    assert run.ledger.fault_count == 0
    client._compare("GET", "honest-0/1", b"hell")
    client._compare("GET", "honest-0/1", b"HELLO")
    assert run.ledger.fault_count == 2


def test_a_list_that_misses_one_or_tells_another_size_is_a_fault() -> None:
    for sizes, faults in (
        ({"honest-0/1": 5}, 0),
        ({}, 1),
        ({"honest-0/1": 4}, 1),
        ({"honest-0/1": 5, "honest-0/2": 1}, 1),
    ):
        run, client = honest(Client(sizes))
        client._list("")
        assert run.ledger.fault_count == faults, sizes
