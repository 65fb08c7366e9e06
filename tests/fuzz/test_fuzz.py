"""Every target on its good examples, on changed ones and on noise. Long runs, led by coverage: `tests/fuzz/run.py`."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.case import HEAD, reached
from tests.fuzz.targets import TARGETS

each_target = pytest.mark.parametrize("name", TARGETS)


def changed(octets: bytes, words: tuple[bytes, ...], chance: random.Random) -> bytes:
    """One to four places cut out, doubled, or written over with a word or an octet; now and then other settings."""
    material = bytearray(octets[HEAD:])
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(material) + 1)
        end = at + chance.choice((0, 0, 1, 2, chance.randrange(64)))
        piece = chance.choice((b"", bytes([chance.randrange(256)]), chance.choice(words), bytes(material[at:end]) * 2))
        material[at:end] = piece
    head = octets[:HEAD]
    if chance.random() < 0.3:
        head = bytes([head[0] ^ (1 << chance.randrange(8))]) + head[1:]
    return head + bytes(material)


@each_target
def test_good_examples_hold_and_reach_every_good_end(name: str) -> None:
    target = TARGETS[name]
    reached.clear()
    for octets in target.seeds:
        target.run(octets)
    assert set(reached) >= target.ends


@each_target
@settings(max_examples=100)
@given(noise=st.binary(max_size=300))
def test_any_bytes_hold(name: str, noise: bytes) -> None:
    TARGETS[name].run(noise)


@each_target
@settings(max_examples=150)
@given(data=st.data())
def test_changed_examples_hold(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    octets = data.draw(st.sampled_from(target.seeds))
    target.run(changed(octets, target.words, data.draw(st.randoms(use_true_random=False))))
