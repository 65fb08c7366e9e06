from bench.measure import Sample
from bench.page import PLOT, render_page
from bench.run import Run

NGINX = Sample("get-1k", "nginx", 0, requests=60_000, seconds=2.0, cpu_seconds=2.0, p50_us=812, p99_us=1512)
GATEWAY = NGINX._replace(contender="gateway", cpu_seconds=2.8, requests=45_000)
HASHING = NGINX._replace(scenario="put-1m", contender="sha256", p50_us=None, p99_us=None)
UPLOADS = [one._replace(scenario="put-1m") for one in (NGINX, GATEWAY, NGINX._replace(contender="relay"))]
REFUSED = GATEWAY._replace(scenario="refused-scope", cpu_seconds=1.4)
RUN = Run(
    {"processor": "EPYC", "nginx": "nginx 1"}, {"rounds": 9, "seconds": 2}, [NGINX, GATEWAY, *UPLOADS, HASHING, REFUSED]
)


def rows(heading: str) -> list[list[str]]:
    section = render_page(RUN).split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_scenarios_show_every_contender_beside_the_yardstick_and_the_relay() -> None:
    _, get, put, relay = rows("Scenarios")
    assert get[:4] == ["GET 1 KiB, 32 connections", "gateway", "1.87 (1.87–1.87)", "–"]
    assert put[1:4] == ["gateway", "1.87 (1.87–1.87)", "0.93 (0.93–0.93)"]
    assert relay[1] == "relay"


def test_refusals_stand_apart_because_they_stand_beside_something_else() -> None:
    assert rows("Refusals")[1][:3] == [
        "GET 1 KiB refused, the bucket out of its key's scope, 32 connections",
        "gateway",
        "0.50 (0.50–0.50)",
    ]


def test_targets_say_whether_they_were_met() -> None:
    verdicts = {name: verdict for name, _, _, verdict in rows("Targets")[1:]}
    assert verdicts["GET 1 KiB / nginx"] == "**not met**"
    assert verdicts["refused-scope / served"] == "met"


def test_the_page_says_how_and_where_and_shows_no_bare_time() -> None:
    page = render_page(RUN)
    assert "median of 9 interleaved rounds" in page
    assert ["processor", "EPYC"] in rows("Machine")
    assert f"](../{PLOT.removeprefix('docs/')})" in page
    assert "812" not in page
    assert "µs" not in page


def test_a_run_without_targets_or_refusals_has_no_table_of_them() -> None:
    page = render_page(RUN._replace(samples=[NGINX]))
    assert "## Targets" not in page
    assert "## Refusals" not in page
