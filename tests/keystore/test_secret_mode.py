import pytest

from keystore.secret_mode import ROOT, open_to_others

SERVICE = 10001


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
@pytest.mark.parametrize("owner", [ROOT, SERVICE])
def test_what_only_its_owner_may_read_is_kept(mode: int, owner: int) -> None:
    assert not open_to_others(mode, owner, SERVICE)


@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_root_may_hand_a_file_to_the_group_of_a_service(mode: int) -> None:
    assert not open_to_others(mode, ROOT, SERVICE)
    assert open_to_others(mode, SERVICE, SERVICE)
    assert open_to_others(mode, 10002, SERVICE)


def test_a_gateway_that_runs_as_root_is_handed_nothing() -> None:
    assert open_to_others(0o640, ROOT, ROOT)
    assert not open_to_others(0o600, ROOT, ROOT)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o610, 0o644, 0o666])
@pytest.mark.parametrize("owner", [ROOT, SERVICE])
def test_nobody_else_reads_writes_or_enters(mode: int, owner: int) -> None:
    assert open_to_others(mode, owner, SERVICE)
