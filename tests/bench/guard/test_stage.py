"""The guard counts what it plays: so it must play it, and see when an answer is another."""

from pathlib import Path

import pytest

from bench.core import opened_engine
from bench.errors import BenchError
from bench.gateway import configuration
from bench.guard.acts import acts
from bench.guard.stage import Act, Stage
from bench.scale.seed import Seeded, seed

ORIGIN = "http://127.0.0.1:9000"


@pytest.fixture
def seeded(tmp_path: Path) -> Seeded:
    return seed(tmp_path / "keys", 1, b"salt")


@pytest.fixture
def settings(tmp_path: Path, seeded: Seeded) -> Path:
    file = tmp_path / "gateway.toml"
    file.touch(mode=0o600)
    file.write_text(configuration(seeded.folder, 9000, 9001, "http://127.0.0.1:9002"))
    return file


async def test_every_act_is_answered_as_it_should_be(settings: Path, seeded: Seeded) -> None:
    with opened_engine(settings) as engine:
        stage = Stage(engine)
        for act in acts(ORIGIN, seeded.credential(0)):
            await stage.play(act, 3)
            assert stage.writes > 0


async def test_an_upload_reaches_the_store_whole(settings: Path, seeded: Seeded) -> None:
    with opened_engine(settings) as engine:
        stage = Stage(engine)
        [put] = [act for act in acts(ORIGIN, seeded.credential(0)) if act.name == "put-1m"]
        sent: list[int] = []
        clear = stage._far.clear
        stage._far.clear = lambda: (sent.append(stage._far.size), clear())[1]  # type: ignore[method-assign]
        await stage.play(put, 1)
        assert sent[-1] > len(put.body)


@pytest.mark.parametrize(
    "change", [{"status": 403}, {"requests": [b"GET / HTTP/1.1\r\n\r\n"]}, {"reply": b"nonsense\r\n\r\n"}]
)
async def test_another_answer_than_the_expected_one_is_no_count(
    settings: Path, seeded: Seeded, change: dict[str, object]
) -> None:
    get: Act = acts(ORIGIN, seeded.credential(0))[0]
    with opened_engine(settings) as engine, pytest.raises(BenchError, match="get-1k: the answer began with"):
        await Stage(engine).play(get._replace(**change), 1)  # type: ignore[arg-type]
