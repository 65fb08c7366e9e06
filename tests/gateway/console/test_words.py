import pytest

from gateway.console.words import (
    ago,
    client_of,
    counted,
    evidence,
    exact,
    in_words,
    reach,
    sentence,
    span,
    unproven,
    until,
)
from keystore.access_key import rfc3339
from keystore.confirmation import Confirmation

NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 min"),
        (3599, "59 min"),
        (7200, "2 h"),
        (86_399, "23 h"),
        (86_400, "1 day"),
        (59 * 86_400, "59 days"),
        (60 * 86_400, "2 months"),
        (729 * 86_400, "24 months"),
        (731 * 86_400, "2 years"),
    ],
)
def test_a_span_is_told_in_its_largest_unit_and_never_too_long(seconds: int, words: str) -> None:
    assert span(seconds) == words


def test_what_was_and_what_will_be() -> None:
    assert ago(rfc3339(NOW - 30), NOW) == "just now"
    assert ago(rfc3339(NOW + 30), NOW) == "just now"
    assert ago(rfc3339(NOW - 7200), NOW) == "2 h ago"
    assert until(rfc3339(NOW + 23 * 3600), NOW) == "in 23 h"
    assert until(rfc3339(NOW), NOW) == "now"


def test_the_exact_time_is_in_utc() -> None:
    assert exact("2026-11-24T07:40:04Z") == "24 Nov 2026, 07:40 UTC"
    assert exact("2026-11-24T07:40:04+02:00") == "24 Nov 2026, 05:40 UTC"


def test_one_is_one() -> None:
    assert [counted(number, "key") for number in (0, 1, 2)] == ["0 keys", "1 key", "2 keys"]


def test_a_program_is_called_by_its_name() -> None:
    assert client_of("aws-cli/2.31.1 md/awscrt#0.31") == "aws-cli"
    assert client_of("Boto3") == "Boto3"
    assert client_of("") == "an unnamed client"
    assert len(client_of("x" * 500)) == 40


def test_the_evidence_says_who_would_miss_the_key() -> None:
    used = {
        "at": rfc3339(NOW - 120),
        "operation": "GetObject",
        "bucket": "photos",
        "source": "10.0.4.7",
        "user_agent": "aws-cli/2.31.1",
    }
    assert evidence({"last_used": used}, NOW) == ("Last used 2 min ago from 10.0.4.7 by aws-cli (GetObject on photos).")
    assert evidence({"last_used": {**used, "bucket": ""}}, NOW).endswith("(GetObject).")
    assert evidence({"last_used": None}, NOW).startswith("Never used")


def test_a_confirmation_counts_gateways_and_transfers() -> None:
    told = Confirmation(3, 3, 0, (), 2, 0, (), 14)
    assert in_words(told) == "confirmed by 3 of 3 gateways in 14 ms, 2 transfers cut"
    assert unproven(told) == ""
    assert in_words(Confirmation(0, 0, 0, (), 0, 0, (), 1)) == "no gateway is running"


def test_what_is_not_proven_is_said_with_what_to_do() -> None:
    assert "1 of 3 gateways did not confirm" in unproven(Confirmation(3, 2, 1, (), 0, 0, (), 5000))
    assert "another keystore file" in unproven(Confirmation(3, 3, 0, (71,), 0, 0, (), 5000))
    out = Confirmation(3, 2, 1, (), 0, 0, ("PutObject a/b",), 5000, 1)
    assert unproven(out) == ""
    assert "1 not reached" in in_words(out)
    assert "1 request with the store" in in_words(out)


def test_a_scope_is_one_sentence() -> None:
    grants = [{"name": name, "rights": "read_write"} for name in "abcd"]
    assert reach({"type": "all", "rights": "read_only"}).startswith("read and list in every bucket")
    assert reach({"type": "buckets", "buckets": grants[:1]}) == "read, write and delete in a"
    assert reach({"type": "buckets", "buckets": grants[:3]}) == "read, write and delete in a, b and c"
    assert reach({"type": "buckets", "buckets": grants}) == "read, write and delete in a, b and 2 more buckets"
    assert reach({"type": "none"}) == "reach no bucket yet"
    mixed = [grants[0], {"name": "z", "rights": "read_only", "prefix": "team/"}]
    assert (
        reach({"type": "buckets", "buckets": mixed}) == "read, write and delete in a; read and list in z, below team/"
    )


def test_what_is_told_begins_with_a_capital_and_ends() -> None:
    assert sentence("the bucket is gone") == "The bucket is gone."
    assert sentence("Is it?") == "Is it?"
    assert sentence("") == ""
