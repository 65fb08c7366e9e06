"""What /readyz tells: what decides, what is only told, and words for whoever has to mend it."""

import asyncio

import pytest

from gateway import health
from gateway.health import Health, Seen

SOUND = Seen(True, None, 2, 2, draining=False, whole_keystore="verified", upstream="ok")


def told_of(seen: Seen) -> dict[str, object]:
    return Health(lambda: seen, lambda: 1_790_000_000.0).tell()


def test_who_serves_and_knows_is_ready_and_names_nothing() -> None:
    assert told_of(SOUND) == {
        "ready": True,
        "not_ready": [],
        "keystore": "fresh",
        "keystore_since": "2026-09-21T14:13:20+00:00",
        "listeners": "serving",
        "workers": {"serving": 2, "of": 2},
        "whole_keystore": "verified",
        "upstream": "ok",
    }


@pytest.mark.parametrize(
    ("changed", "ready", "words"),
    [
        ({"upstream": "Connection refused"}, True, []),
        ({"whole_keystore": "3 findings"}, True, []),
        ({"serving": 1}, True, []),
        ({"fresh": False}, False, ["keystore: it cannot prove"]),
        ({"fresh": False, "lease_left": 0.0}, False, ["keystore: its lease has run out"]),
        ({"serving": 0}, False, ["workers: none of 2 serves"]),
        ({"draining": True}, False, ["listeners: the gateway is stopping"]),
        ({"draining": True, "serving": 0}, False, ["listeners: the gateway is stopping"]),
        ({"fresh": False, "serving": 0}, False, ["keystore: it cannot prove", "workers: none of 2 serves"]),
    ],
)
def test_what_is_not_ready_is_named(changed: dict[str, object], ready: bool, words: list[str]) -> None:
    told = told_of(SOUND._replace(**changed))  # type: ignore[arg-type]
    assert told["ready"] is ready
    named = told["not_ready"]
    assert isinstance(named, list)
    assert len(named) == len(words)
    for sentence, begins in zip(named, words, strict=True):
        assert sentence.startswith(begins)


def test_of_a_keystore_on_another_machine_what_is_left_of_the_lease_is_told() -> None:
    assert told_of(SOUND._replace(lease_left=2.3456))["lease_left_seconds"] == 2.3
    assert told_of(SOUND._replace(fresh=False, lease_left=0.0))["lease_left_seconds"] == 0.0


async def test_since_when_the_keystore_is_as_it_is_is_known_though_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_EVERY", 0.001)
    now, fresh = [1_790_000_000.0], [True]
    seen = Health(lambda: SOUND._replace(fresh=fresh[0]), lambda: now[0])
    running = asyncio.create_task(seen.run())
    await asyncio.sleep(0.02)
    now[0] += 3600
    assert seen.tell()["keystore_since"] == "2026-09-21T14:13:20+00:00"
    fresh[0] = False
    await asyncio.sleep(0.02)
    now[0] += 60
    assert seen.tell()["keystore_since"] == "2026-09-21T15:13:20+00:00"
    running.cancel()
