import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.child import free_port
from bench.errors import BenchError
from bench.nginx import proxy_pass, static_upstream
from bench.options import parse_options
from bench.placement import Placement
from bench.rounds import run_together
from bench.scenario import SCENARIOS, SOME, together
from bench.starting import start

pytestmark = pytest.mark.server
# What is checked of an answer, and how it is sent: one scenario for each way.
WAYS = ["get-64k", "head-0", "presigned-1k", "list", "list-owners", "tls-get-1k", "put-1k"]


def test_who_takes_part_is_measured_after_every_answer_was_right(tmp_path: Path) -> None:
    """The gateway, nginx and the relay in front of a real nginx, under wrk for a second."""
    chosen = [argument for name in WAYS for argument in ("--scenario", name)]
    options = parse_options([*chosen, "--against", "python,relay", "--rounds", "1", "--seconds", "1"])
    with ExitStack() as stack:
        course = start(options, Placement(), tmp_path, stack)
        samples = [one for group in together(options.scenarios) for one in run_together(group, course, lambda _: None)]
    measured = {(sample.scenario, sample.contender) for sample in samples}
    assert {(name, contender) for name in WAYS for contender in ("nginx", "python")} <= measured
    assert {name for name, contender in measured if contender == "relay"} == {"get-64k", "put-1k"}
    assert all(sample.requests > 0 for sample in samples)


def test_a_peer_in_front_of_the_upstream_is_measured_without_its_processes(tmp_path: Path) -> None:
    """An nginx that knows nothing of the bench stands for it."""
    upstream, away = free_port(), tmp_path / "away"
    away.mkdir()
    with ExitStack() as stack:
        peer = stack.enter_context(proxy_pass("elsewhere", away / "nginx", upstream, ()))
        given = ["--peer", f"elsewhere=http://127.0.0.1:{peer.port}", "--upstream-port", str(upstream)]
        short = ["--against", "twin", "--scenario", "put-1k", "--rounds", "1", "--seconds", "1"]
        options = parse_options([*short, *given])
        course = start(options, Placement(), tmp_path, stack)
        samples = {one.contender: one for one in run_together(options.scenarios, course, lambda _: None)}
    assert samples["elsewhere"].requests > 0
    assert samples["elsewhere"].cpu_seconds is None
    assert samples["twin"].cpu_seconds


def test_a_port_that_somebody_has_is_not_waited_for(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(BenchError, match="is taken"),
        static_upstream(tmp_path / "up", tmp_path, (), taken.getsockname()[1]),
    ):
        pass


def test_in_a_full_run_two_workers_take_part_in_some_scenarios_only(tmp_path: Path) -> None:
    options = parse_options(["--full", "--against", "gateway-2", "--scenario", "get-1k", "--scenario", "tls-get-1k"])
    with ExitStack() as stack:
        contenders = start(options, Placement(), tmp_path, stack).contenders
    taken = {one.name: [scenario.name for scenario in SCENARIOS if one.takes_part(scenario)] for one in contenders}
    assert set(taken) == {"nginx", "gateway-2"}
    assert taken["gateway-2"] == [name for name in (scenario.name for scenario in SCENARIOS) if name in SOME]
