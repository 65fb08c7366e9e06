from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.options import parse_options
from bench.peer import Peer
from bench.scenario import SCENARIOS


def test_without_options_what_is_usual_is_measured_against_the_gateway() -> None:
    options = parse_options([])
    assert options.scenarios == tuple(scenario for scenario in SCENARIOS if scenario.usual)
    assert options.rivals == ("gateway", "python")
    assert options.pinned
    assert options.json_file is None


def test_quick_is_one_scenario_three_times_three_seconds() -> None:
    options = parse_options(["--quick"])
    assert [scenario.name for scenario in options.scenarios] == ["get-1k"]
    assert (options.rounds, options.seconds) == (3, 3)


def test_what_is_unusual_runs_when_it_is_asked_for() -> None:
    assert parse_options(["--scenario", "*"]).scenarios == SCENARIOS


def test_what_is_said_explicitly_wins_over_quick() -> None:
    options = parse_options(["--quick", "--scenario", "get-1m", "--rounds", "1", "--seconds", "7", "--no-pin"])
    assert [scenario.name for scenario in options.scenarios] == ["get-1m"]
    assert (options.rounds, options.seconds, options.pinned) == (1, 7, False)


def test_full_is_everything_beside_two_workers_and_the_relay() -> None:
    options = parse_options(["--full"])
    assert options.scenarios == SCENARIOS
    assert options.rivals == ("gateway", "gateway-2", "gateway-unix", "relay")
    assert (options.rounds, options.seconds, options.full) == (4, 2, True)


def test_full_and_quick_exclude_each_other() -> None:
    with pytest.raises(SystemExit):
        parse_options(["--full", "--quick"])


def test_a_run_can_be_shown_again_and_written_to_the_docs() -> None:
    options = parse_options(["--from", "run.json", "--docs"])
    assert (options.from_file, options.docs) == (Path("run.json"), True)
    assert not parse_options([]).docs


def test_peers_come_from_the_command_line_or_else_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEERS", "a=http://127.0.0.1:7070,pid=3")
    options = parse_options(["--upstream-port", "20999"])
    assert (options.peers, options.upstream_port) == ((Peer("a", "127.0.0.1", 7070, 3),), 20999)
    given = parse_options(["--upstream-port", "20999", "--peer", "b=http://127.0.0.1:7071"])
    assert [peer.name for peer in given.peers] == ["b"]


def test_a_peer_must_know_where_the_upstream_will_be() -> None:
    with pytest.raises(BenchError, match="--upstream-port"):
        parse_options(["--peer", "a=http://127.0.0.1:7070"])


@pytest.mark.parametrize("name", ["nginx", "gateway", "relay", "sha256"])
def test_a_peer_takes_nobodys_name(name: str) -> None:
    with pytest.raises(BenchError, match=f"not {name}"):
        parse_options(["--upstream-port", "1", "--peer", f"{name}=http://127.0.0.1:7070"])


def test_json_goes_to_a_file() -> None:
    assert parse_options(["--json", "out.json"]).json_file == Path("out.json")


def test_rivals_are_named_once_each_in_the_order_given() -> None:
    assert parse_options(["--against", "twin,gateway,twin"]).rivals == ("twin", "gateway")


def test_refusals_bring_what_they_stand_beside() -> None:
    options = parse_options(["--scenario", "refused-*", "--against", "python"])
    names = ["get-1k", "refused-signature", "refused-scope", "refused-revoked"]
    assert [scenario.name for scenario in options.scenarios] == names


def test_refusals_of_nobody_who_refuses_are_an_error() -> None:
    with pytest.raises(BenchError, match="only a gateway refuses"):
        parse_options(["--scenario", "refused-scope", "--against", "twin"])


@pytest.mark.parametrize("names", ["apache", "gateway,", "nginx"])
def test_an_unknown_rival_is_an_error(names: str) -> None:
    with pytest.raises(BenchError, match="--against"):
        parse_options(["--against", names])


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "-1"], ["--rounds", "x"], ["--nonsense"]])
def test_misuse_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
