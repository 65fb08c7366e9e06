from typing import Any

import pytest

from gateway.console.forms import KEPT, Limits, Wrong, edit_of, form_of, new_key, read_form, uniform
from keystore.errors import InvalidInput
from keystore.key_acts import Kept
from keystore.scope import AllBuckets, BucketGrant, Rights, SpecificBuckets

NOW = 1_790_000_000
LIMITS = Limits(NOW, frozenset({"photos", "logs"}), None)
GOOD = {"label": ["web"], "reach": ["some"], "bucket": ["photos"], "rights": ["read_only"], "term": ["never"]}


def made(limits: Limits = LIMITS, **fields: list[str]) -> Any:
    return new_key(read_form({**GOOD, **fields}), "default", limits)


def wrong(limits: Limits = LIMITS, **fields: list[str]) -> dict[str, str]:
    with pytest.raises(Wrong) as refused:
        made(limits, **fields)
    return refused.value.fields


def test_a_whole_form_is_a_wish_for_a_key() -> None:
    new = made(prefix=["team"], sources=["10.0.4.0/24, 192.0.2.1"], term=["30"])
    assert new.scope == SpecificBuckets((BucketGrant("photos", Rights.READ_ONLY, "team/"),))
    assert new.source_cidrs == ("10.0.4.0/24", "192.0.2.1/32")
    assert new.expires_at == NOW + 30 * 86_400


def test_nothing_chosen_is_never_all_buckets() -> None:
    assert "reach" in wrong(reach=[])
    assert "reach" in wrong(reach=[""])
    assert "buckets" in wrong(reach=["everything"])
    assert "buckets" in wrong(bucket=[])


def test_all_buckets_has_rights_of_its_own_and_no_prefix() -> None:
    new = made(reach=["all"], rights_all=["read_only"], prefix=["team"])
    assert new.scope == AllBuckets(Rights.READ_ONLY)


def test_a_bucket_that_is_not_the_account_s_is_refused() -> None:
    assert "no bucket 'secrets'" in wrong(bucket=["photos", "secrets"])["buckets"]


def test_where_the_store_is_silent_names_are_typed() -> None:
    new = made(Limits(NOW, None, None), bucket=[], bucket_names=["photos, logs\n\nphotos"])
    assert [grant.name for grant in new.scope.buckets] == ["photos", "logs"]


def test_every_field_that_is_wrong_is_said_at_once() -> None:
    found = wrong(label=["  "], bucket=["Not A Bucket"], prefix=["/a"], sources=["here"], term=["soon"])
    assert set(found) == {"label", "buckets", "sources", "term"}
    assert "prefix" in wrong(prefix=["a//b"])


def test_rights_that_are_none_are_refused() -> None:
    assert wrong(rights=["root"])["buckets"] == "Choose what the key may do."


def test_a_day_is_the_beginning_of_it_in_utc_and_lies_ahead() -> None:
    assert made(term=["custom"], day=["2027-01-31"]).expires_at == 1_801_353_600
    assert "over" in wrong(term=["custom"], day=["2020-01-31"])["term"]
    assert "term" in wrong(term=["custom"], day=["31.1.2027"])
    assert "term" in wrong(term=["custom"])


def test_a_key_lasts_no_longer_than_it_may() -> None:
    limits = LIMITS._replace(longest=30)
    assert "30 days" in wrong(limits, term=["never"])["term"]
    assert "30 days" in wrong(limits, term=["90"])["term"]
    assert made(limits, term=["30"]).expires_at == NOW + 30 * 86_400


def shown(**fields: Any) -> dict[str, Any]:
    scope = {"type": "buckets", "buckets": [{"name": "photos", "rights": "read_only"}]}
    return {"label": "web", "scope": scope, "buckets": ["photos"], "unreachable_buckets": {}, **fields}


def edited(shown_key: dict[str, Any], **fields: list[str]) -> Any:
    form = read_form({**GOOD, "term": [KEPT], **fields})
    return edit_of(form, shown_key, LIMITS, with_scope=uniform(shown_key["scope"]))


def test_an_edit_says_what_differs_and_nothing_else() -> None:
    edit = edited(shown(), label=["web 2"])
    assert (edit.label, edit.expires_at, edit.scope) == ("web 2", Kept.KEPT, None)
    edit = edited(shown(), bucket=["photos", "logs"])
    assert edit.label is None
    assert [grant.name for grant in edit.scope.buckets] == ["photos", "logs"]
    assert edited(shown(), term=["never"]).expires_at is None


def test_an_edit_of_nothing_is_said() -> None:
    with pytest.raises(InvalidInput, match="Nothing was changed"):
        edited(shown())


def test_the_same_buckets_in_another_order_are_no_change() -> None:
    both = [{"name": name, "rights": "read_only"} for name in ("photos", "logs")]
    key = shown(scope={"type": "buckets", "buckets": both}, buckets=["photos", "logs"])
    with pytest.raises(InvalidInput, match="Nothing was changed"):
        edited(key, bucket=["logs", "photos"])


def test_a_bucket_that_was_lost_is_granted_anew_by_saving() -> None:
    assert edited(shown(unreachable_buckets={"photos": "deleted"})).scope is not None


def test_a_key_s_own_bucket_may_stay_though_it_is_gone() -> None:
    edit = edit_of(
        read_form({**GOOD, "term": [KEPT], "label": ["x"]}), shown(), Limits(NOW, frozenset(), None), with_scope=True
    )
    assert edit.label == "x"


def test_a_form_shows_a_key_as_it_is() -> None:
    assert form_of(shown()).buckets == ("photos",)
    assert form_of(shown()).rights == "read_only"
    everything = form_of(shown(scope={"type": "all", "rights": "full"}, buckets="*"))
    assert (everything.reach, everything.rights_all) == ("all", "full")


def test_a_scope_of_many_kinds_is_not_for_the_form() -> None:
    mixed = [{"name": "photos", "rights": "read_only"}, {"name": "logs", "rights": "full"}]
    assert not uniform({"type": "buckets", "buckets": mixed})
    assert not uniform({"type": "buckets", "buckets": [mixed[0], {**mixed[0], "prefix": "a/"}]})
    assert uniform({"type": "all", "rights": "full"})
