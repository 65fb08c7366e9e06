"""What is said of a change that gateways must take."""

import pytest
import typer

from gateway.cli.confirmed import in_words, require_proof
from gateway.cli.output import Exit
from keystore.confirmation import Confirmation

ALL = Confirmation(3, 3, 0, (), 0, 0, (), 12)


@pytest.mark.parametrize(
    ("confirmation", "words"),
    [
        (ALL, "confirmed by 3 of 3 gateways in 12 ms"),
        (
            ALL._replace(gateways=1, confirmed=1, transfers_cut=1),
            "confirmed by 1 of 1 gateway in 12 ms, 1 transfer cut",
        ),
        (ALL._replace(transfers_cut=2), "confirmed by 3 of 3 gateways in 12 ms, 2 transfers cut"),
        (
            ALL._replace(in_store_settled=1, in_store_unsettled=("DeleteObject b/k",)),
            "confirmed by 3 of 3 gateways in 12 ms, 1 request had reached the store, "
            "with the store and not answered yet: DeleteObject b/k",
        ),
        (ALL._replace(gateways=0, confirmed=0), "no gateway is running"),
        (
            ALL._replace(confirmed=2, lapsed=1, out_of_lease=1, transfers_cut=1),
            "confirmed by 2 of 3 gateways in 12 ms (1 not reached: refusing since the lease ran out, which is inferred "
            "from time), 1 transfer cut",
        ),
    ],
)
def test_who_confirmed_is_said_in_words(confirmation: Confirmation, words: str) -> None:
    assert in_words(confirmation) == words


@pytest.mark.parametrize(
    ("confirmation", "said"),
    [
        (ALL._replace(confirmed=2, lapsed=1), "1 of 3 gateways did not confirm"),
        (ALL._replace(confirmed=1, lapsed=2, out_of_lease=1), "2 of 3 gateways did not confirm"),
        (ALL._replace(confirmed=2, lapsed=1, elsewhere=(4711,)), "process 4711 has another file open"),
    ],
)
def test_what_is_not_proven_is_never_a_success(
    confirmation: Confirmation, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        require_proof(confirmation)
    assert ended.value.exit_code == Exit.UNAVAILABLE
    assert said in capsys.readouterr().err


def test_a_proof_ends_nothing() -> None:
    require_proof(ALL)
    require_proof(ALL._replace(confirmed=2, lapsed=1, out_of_lease=1))
    require_proof(ALL._replace(gateways=0, confirmed=0))
