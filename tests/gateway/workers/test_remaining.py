from gateway.wire.draining import Underway
from gateway.workers.remaining import Remaining, said, together


def test_of_all_workers_one_operation_is_one_line_the_oldest_first() -> None:
    told = Remaining()
    told.hear(0, {"running": [["GetObject", 2, 3.0, 100]]})
    told.hear(1, {"running": [["PutObject", 1, 9.0, 5], ["GetObject", 1, 4.0, 1]]})
    assert told.running == [Underway("PutObject", 1, 9.0, 5), Underway("GetObject", 3, 4.0, 101)]


def test_the_newest_telling_of_a_worker_counts() -> None:
    told = Remaining()
    told.hear(0, {"running": [["GetObject", 2, 3.0, 100]]})
    told.hear(0, {"running": []})
    assert told.running == []


def test_what_a_worker_says_it_cut_is_cut_and_nothing_of_it_runs() -> None:
    told = Remaining()
    told.hear(0, {"running": [["GetObject", 2, 3.0, 100]]})
    told.hear(0, {"drained": [["GetObject", 1, 30.0, 50]]})
    told.ended(0)
    assert (told.running, told.requests_cut) == ([], 1)


def test_a_worker_that_ended_without_a_word_has_cut_what_it_had() -> None:
    told = Remaining()
    told.hear(0, {"running": [["GetObject", 2, 3.0, 100]]})
    told.ended(0)
    assert (told.running, told.requests_cut) == ([], 2)
    assert told.forget(0) == [Underway("GetObject", 2, 3.0, 100)]
    assert told.requests_cut == 0


def test_it_is_put_into_words_of_a_bounded_length() -> None:
    assert said([]) == "none"
    assert said([Underway("GetObject", 2, 12.4, 3 << 20), Underway("PutObject", 1, 0.2, 10)]) == (
        "2 GetObject (the oldest for 12 s, 3.0 MiB to go), 1 PutObject (the oldest for 0 s, 10 bytes to go)"
    )
    many = together(Underway(f"Operation{number}", 1, float(number), 0) for number in range(20))
    assert said(many).endswith(", 14 of other operations")
