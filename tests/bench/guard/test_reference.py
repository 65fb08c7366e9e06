from bench.guard.reference import work


def test_the_work_is_the_same_every_time() -> None:
    """Whoever changes it changes every ratio that is known: then count them all again."""
    assert work(3) == work(3) == 852
