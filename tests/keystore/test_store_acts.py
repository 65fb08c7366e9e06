"""The acts are one for all databases; what they do is asked of each of them in test_store*.py."""

import asyncio
import inspect

import pytest

from keystore.errors import InvalidInput
from keystore.postgres import PostgresStore
from keystore.sqlite import SqliteStore
from keystore.store import Store
from keystore.store_acts import StoreActs

ACTS = [name for name, member in vars(Store).items() if inspect.isfunction(member) and not name.startswith("_")]


@pytest.mark.parametrize("act", ACTS)
def test_each_act_of_the_contract_is_written_once(act: str) -> None:
    assert act in vars(StoreActs)
    for store in (SqliteStore, PostgresStore):
        assert act not in vars(store)


def test_a_store_must_say_how_it_writes_and_reads() -> None:
    with pytest.raises(TypeError, match="_mutation"):
        StoreActs(None, None, None)  # type: ignore[abstract,arg-type]  # what is refused here


@pytest.mark.parametrize(("access_key_id", "secret"), [("AKIAOWN", None), (None, "s" * 40)])
def test_half_a_credential_is_refused_before_anything_is_asked(access_key_id: str, secret: str) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(StoreActs.set_upstream(None, "default", access_key_id, secret, "ann"))  # type: ignore[arg-type]
