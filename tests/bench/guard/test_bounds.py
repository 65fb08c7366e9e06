from bench.guard.acts import acts
from bench.guard.bounds import ALLOWED, FILE, Counted, cheaper, read_bounds, regressions, render_bounds, table
from bench.scale.seed import Seeded

KNOWN = Counted({"get": 1.0, "put": 20.0}, {"get": 2.0, "put": 2.0})


def test_what_is_known_is_no_regression_and_comes_back_from_its_file() -> None:
    assert regressions(KNOWN, KNOWN) == []
    assert read_bounds(render_bounds(KNOWN)) == KNOWN


def test_noise_of_counting_is_none_and_more_than_that_is() -> None:
    for factor, failures in ((ALLOWED - 0.01, 0), (ALLOWED + 0.01, 1)):
        counted = KNOWN._replace(ratios={"get": factor, "put": 20.0})
        assert len(regressions(counted, KNOWN)) == failures


def test_one_more_write_is_a_regression_whatever_it_costs() -> None:
    [found] = regressions(KNOWN._replace(writes={"get": 3.0, "put": 2.0}), KNOWN)
    assert found == "get takes 3 writes to sockets, not 2"


def test_what_nobody_wrote_down_is_not_passed_over() -> None:
    counted = Counted({"head": 1.0}, {"head": 2.0})
    assert any("--write" in words for words in regressions(counted, KNOWN))


def test_what_became_cheaper_is_named_and_is_no_failure() -> None:
    counted = KNOWN._replace(ratios={"get": 0.8, "put": 20.0})
    assert cheaper(counted, KNOWN) == ["get"]
    assert regressions(counted, KNOWN) == []


def test_everything_that_is_counted_stands_in_the_committed_bounds() -> None:
    known = read_bounds(FILE.read_text())
    names = {act.name for act in acts("http://127.0.0.1:9000", Seeded(FILE, 1, b"x").credential(0))}
    assert set(known.ratios) == set(known.writes) == names


def test_the_table_has_a_line_for_each() -> None:
    assert [line.split()[0] for line in table(KNOWN, KNOWN).splitlines()[1:]] == ["get", "put"]
