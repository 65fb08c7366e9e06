"""Three gateways on one PostgreSQL, to which everything happens in random order, two of them at once at worst, while
keys are used and revoked."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.disorder import FAULTS, Traffic, wrongs
from tests.support.fleet import GATEWAYS, LEASE, Fleet, running_fleet
from tests.support.postgres import running
from tests.support.revoker import Revoker
from tests.support.soak import SEED, TIMES
from tests.support.wire import wait_until

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("fleet")]

STEPS = 10 * TIMES
ALWAYS_LIVE = 3  # keys that nobody revokes


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running() as postgres, running_fleet(postgres, tmp_path_factory.mktemp("fleet")) as running_one:
        yield running_one


def test_whatever_happens_to_them_no_revoked_key_is_accepted_and_no_live_one_refused(fleet: Fleet) -> None:
    chance = random.Random(SEED)
    revoked: dict[str, int] = {}
    told: list[str] = [f"SEED={SEED}"]
    hurt: set[int] = set()
    with Revoker(fleet.gateways[0], fleet.url) as revoker:
        keys = [revoker.create() for _ in range(ALWAYS_LIVE + STEPS)]
        live = keys[ALWAYS_LIVE:]
        traffic = Traffic(fleet, keys, SEED)
        with traffic.running():
            for _ in range(STEPS):
                if len(hurt) == 2:
                    healed = hurt.pop()
                    fleet.heal_one(healed)
                    told.append(f"{healed} is healed")
                number, (what, fault) = chance.randrange(GATEWAYS), chance.choice(list(FAULTS.items()))
                if number in hurt:
                    fleet.heal_one(number)
                fault(fleet, number, chance)
                hurt.add(number)
                time.sleep(chance.random())
                issued = live.pop()
                began = time.monotonic()
                revoked[issued.access_key_id], confirmed = revoker.revoke(issued.access_key_id)
                took = time.monotonic() - began
                told.append(f"{number} {what}: revoked in {took:.2f} s, confirmed by {confirmed}")
                assert took < LEASE + 1.5, told
            fleet.heal()
            time.sleep(0.5)
    assert wrongs(traffic, revoked, fleet) == [], told
    for issued in keys:
        expected = 403 if issued.access_key_id in revoked else 200
        wait_until(lambda issued=issued, expected=expected: fleet.statuses(issued) == [expected] * GATEWAYS)  # type: ignore[misc]
    found = json.loads(fleet.gateways[0].command("audit", "verify", "--json"))
    assert (found["ok"], found["findings"]) == (True, [])
    seen = Counter((answer.gateway, answer.status) for answer in traffic.answers)
    assert all(seen[number, 200] >= 20 for number in range(GATEWAYS)), f"a vacuous run: {seen} {told}"
    refused = sum(answer.status == 403 for answer in traffic.answers)
    assert refused >= STEPS, f"a vacuous run: {seen} {told}"
