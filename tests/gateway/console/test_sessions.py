from dataclasses import replace

import pytest

from gateway.console.sessions import IDLE, LONGEST, PROVED_FOR, Notice, Sessions
from tests.support.console import NOW, OWNER, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_id_finds_its_session_and_no_other_does(clock: Clock) -> None:
    sessions = Sessions(clock)
    text = sessions.begin(OWNER)
    found = sessions.find(text)
    assert found is not None
    assert (found.signed, found.account) == (OWNER, "default")
    assert sessions.find(text[:-1]) is None
    assert sessions.find("") is None


def test_an_id_has_256_random_bits_and_so_has_the_token_of_its_forms(clock: Clock) -> None:
    sessions = Sessions(clock)
    ids = {sessions.begin(OWNER) for _ in range(50)}
    found = [sessions.find(text) for text in ids]
    assert {len(text) for text in ids} == {43}
    assert len({session.csrf for session in found if session} | ids) == 100


def test_the_id_itself_is_kept_nowhere(clock: Clock) -> None:
    sessions = Sessions(clock)
    text = sessions.begin(OWNER)
    assert text not in repr(vars(sessions))


def test_the_token_of_its_forms_is_not_printed(clock: Clock) -> None:
    sessions = Sessions(clock)
    found = sessions.find(sessions.begin(OWNER))
    assert found is not None
    assert found.csrf not in repr(found)


def test_a_session_ends_half_an_hour_after_it_was_last_seen(clock: Clock) -> None:
    sessions = Sessions(clock)
    text = sessions.begin(OWNER)
    clock.now += IDLE
    assert sessions.find(text) is not None
    clock.now += IDLE
    assert sessions.find(text) is not None
    clock.now += IDLE + 1
    assert sessions.find(text) is None
    assert len(sessions) == 0


def test_a_session_that_is_used_all_the_time_ends_after_12_hours(clock: Clock) -> None:
    sessions = Sessions(clock)
    text = sessions.begin(OWNER)
    while clock.now < NOW + LONGEST:
        assert sessions.find(text) is not None
        clock.now += IDLE
    clock.now += 1
    assert sessions.find(text) is None


def test_a_session_ends_with_its_token(clock: Clock) -> None:
    sessions = Sessions(clock)
    text = sessions.begin(OWNER._replace(expires_at=int(NOW) + 60))
    clock.now += 59
    assert sessions.find(text) is not None
    clock.now += 1
    assert sessions.find(text) is None


def test_of_too_many_sessions_the_one_that_was_idle_longest_goes(clock: Clock) -> None:
    sessions = Sessions(clock, most=2)
    first, second = sessions.begin(OWNER), sessions.begin(OWNER)
    sessions.find(first)
    third = sessions.begin(OWNER)
    assert [sessions.find(text) is not None for text in (first, second, third)] == [True, False, True]


def test_a_proof_is_good_for_five_minutes(clock: Clock) -> None:
    sessions = Sessions(clock)
    found = sessions.find(sessions.begin(OWNER))
    assert found is not None
    assert found.proved(NOW + PROVED_FOR)
    assert not found.proved(NOW + PROVED_FOR + 1)


def test_what_was_ended_is_over_and_cannot_be_changed_back(clock: Clock) -> None:
    sessions = Sessions(clock)
    text = sessions.begin(OWNER)
    sessions.change(text, notice=Notice("done"))
    found = sessions.find(text)
    assert found == replace(found, notice=Notice("done")) if found else False
    sessions.end(text)
    sessions.end(text)
    sessions.change(text, notice=None)
    assert sessions.find(text) is None
