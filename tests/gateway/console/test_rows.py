from typing import Any

from gateway.console.rows import acts_of, row_of
from keystore.access_key import rfc3339

NOW = 1_790_000_000
DAY = 86_400


def shown(**fields: Any) -> dict[str, Any]:
    return {
        "access_key_id": "NQAK0123456789abcdef",
        "buckets": ["a", "b", "c"],
        "unreachable_buckets": {},
        "status": "active",
        "created_at": rfc3339(NOW - DAY),
        "expires_at": None,
        "not_before": None,
        "revoked_by": None,
        "revoked_reason": None,
        "replaced_by": None,
        "last_used": None,
        "manage_keys": False,
        **fields,
    }


def remarks(**fields: Any) -> list[str]:
    return [chip.tone for chip in row_of(shown(**fields), NOW, 90).remarks]


def test_a_young_key_has_nothing_to_be_pointed_out() -> None:
    assert remarks() == []


def test_a_key_of_90_days_is_due_to_be_rolled_and_one_that_was_rolled_is_not() -> None:
    used = {"at": rfc3339(NOW)}
    assert remarks(created_at=rfc3339(NOW - 90 * DAY + 1), last_used=used) == []
    assert remarks(created_at=rfc3339(NOW - 90 * DAY), last_used=used) == ["roll"]
    assert remarks(created_at=rfc3339(NOW - 90 * DAY), last_used=used, replaced_by="NQAK1") == []


def test_a_key_that_was_not_used_for_90_days_is_pointed_out() -> None:
    old = rfc3339(NOW - 200 * DAY)
    assert "unused" in remarks(created_at=old)
    assert "unused" in remarks(created_at=old, last_used={"at": rfc3339(NOW - 90 * DAY)})
    assert "unused" not in remarks(created_at=old, last_used={"at": rfc3339(NOW - 89 * DAY)})


def test_a_key_that_ends_within_a_week_says_when() -> None:
    row = row_of(shown(expires_at=rfc3339(NOW + 23 * 3600)), NOW, 90)
    assert [chip.text for chip in row.remarks] == ["Expires in 23 h"]
    assert remarks(expires_at=rfc3339(NOW + 8 * DAY)) == []


def test_a_key_that_manages_keys_says_so() -> None:
    assert remarks(manage_keys=True) == ["key"]


def test_what_has_ended_needs_no_reminder() -> None:
    assert remarks(status="revoked", revoked_reason="other", created_at=rfc3339(0)) == []


def test_the_state_is_a_word_and_revoked_says_why() -> None:
    assert row_of(shown(), NOW, 90).state.text == "Active"
    revoked = row_of(shown(status="revoked", revoked_reason="unused", revoked_by="ana"), NOW, 90).state
    assert (revoked.text, revoked.title) == ("Revoked", "unused, by ana")
    assert row_of(shown(status="expired"), NOW, 90).state.text == "Expired"
    assert row_of(shown(not_before=rfc3339(NOW + 3600)), NOW, 90).state.text == "Valid in 1 h"


def test_of_many_buckets_some_are_counted() -> None:
    assert row_of(shown(), NOW, 90).more_buckets == 1
    everything = row_of(shown(buckets="*"), NOW, 90)
    assert (everything.everything, everything.buckets, everything.more_buckets) == (True, (), 0)


def test_a_bucket_that_is_gone_says_so() -> None:
    row = row_of(shown(unreachable_buckets={"a": "deleted", "b": "other"}), NOW, 90)
    assert [bool(bucket.lost) for bucket in row.buckets] == [True, True, False]


def test_only_acts_that_apply_are_offered() -> None:
    assert acts_of(shown()) == {"revoke", "roll", "edit", "delete"}
    assert acts_of(shown(replaced_by="NQAK1")) == {"revoke", "edit", "delete"}
    assert acts_of(shown(status="expired")) == {"revoke", "edit", "delete"}
    assert acts_of(shown(status="revoked", revoked_reason="other")) == {"restore", "edit", "delete"}
    assert acts_of(shown(status="revoked", revoked_reason="compromised")) == {"edit", "delete"}
