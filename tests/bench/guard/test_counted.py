from pathlib import Path

from bench.guard.counted import read_acts, write_acts
from bench.guard.stage import Act

OCTETS = bytes(range(256))


def test_any_octets_come_back_in_their_order(tmp_path: Path) -> None:
    acts = [Act(name, [OCTETS, b"x"], OCTETS, OCTETS[::-1], 200, 3) for name in ("b", "a")]
    write_acts(tmp_path / "acts", acts)
    assert read_acts(tmp_path / "acts") == acts
