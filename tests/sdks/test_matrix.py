"""Every client, directly and through the gateway: what differs is explained in docs/reference/clients.md.

The page's tables are compared with what is measured here. `tools/clients` writes them anew.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdks import table
from tests.sdks.clients import CLIENTS
from tests.sdks.measured import measure
from tests.support.house import House

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "clients.md").read_text()
QUICK = ("boto3", "AWS JS v3", "minio-py", "obstore (Rust)")  # beside SeaweedFS: enough to see another store's ways
MATRIX = [("seaweedfs", client) for client in CLIENTS]
MATRIX += [(store, client) for store in ("rclone", "moto") for client in QUICK]


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("store", "client"),
    [
        pytest.param(store, client, marks=[pytest.mark.server, pytest.mark.xdist_group(f"matrix-{store}-{number % 2}")])
        for number, (store, client) in enumerate(MATRIX)
    ],
)
def test_a_client_can_do_through_the_gateway_what_it_can_directly(
    house: House, tmp_path: Path, store: str, client: str
) -> None:
    measured = measure(house, store, client, tmp_path)
    row = {name: table.cell([outcome.cell for outcome in outcomes]) for name, outcomes in measured.items()}
    whys = {name: [outcome.why for outcome in outcomes] for name, outcomes in measured.items()}
    for name, outcomes in measured.items():
        differs = table.differs([outcome.cell for outcome in outcomes])
        assert differs == table.explained(PAGE, store, client, name), f"{name}: {row[name]} {whys[name]}"
    assert row == table.read(PAGE, store)[client], whys


def test_the_page_shows_every_client_and_explains_nothing_else() -> None:
    for store in ("seaweedfs", "rclone", "moto"):
        assert list(table.read(PAGE, store)) == [client for name, client in MATRIX if name == store]
    assert {(store, client) for store, client, _ in table.explanations(PAGE)} <= set(MATRIX)
