from dataclasses import replace

import pytest

from gateway.iam.errors import IamError
from gateway.iam.tags import Wanted, read_tags, written_tags
from keystore.access_key import AccessKey, Status
from keystore.errors import InvalidInput
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets

CALLER = AccessKey(
    "NQAKone", "default", "Büro 7",
    SpecificBuckets((BucketGrant("aaa", Rights.FULL), BucketGrant("bbb", Rights.READ_ONLY, "team/", 3))),
    Status.ACTIVE, 1, "ann",
)  # fmt: skip


def scope_of(text: str, scope: Scope | None = None) -> Scope | None:
    caller = CALLER if scope is None else replace(CALLER, scope=scope)
    return read_tags({"nq:buckets": text}, caller, 0).scope


def test_no_tags_ask_for_nothing() -> None:
    assert read_tags({}, CALLER, 0) == Wanted(None, None, False, None)


def test_a_bucket_without_more_words_is_as_much_of_it_as_the_caller_has_and_never_configures_it() -> None:
    assert scope_of("aaa bbb ccc") == SpecificBuckets(
        (
            BucketGrant("aaa", Rights.READ_WRITE),
            BucketGrant("bbb", Rights.READ_ONLY, "team/"),
            BucketGrant("ccc", Rights.READ_WRITE),
        )
    )
    assert scope_of("ccc", AllBuckets(Rights.WRITE_ONLY)) == SpecificBuckets((BucketGrant("ccc", Rights.WRITE_ONLY),))
    assert scope_of("ccc", AllBuckets()) == SpecificBuckets((BucketGrant("ccc", Rights.READ_WRITE),))


def test_rights_and_prefix_can_be_said() -> None:
    assert scope_of("aaa:full bbb/team/a:read_only ccc/x") == SpecificBuckets(
        (
            BucketGrant("aaa", Rights.FULL),
            BucketGrant("bbb", Rights.READ_ONLY, "team/a/"),
            BucketGrant("ccc", Rights.READ_WRITE, "x/"),
        )
    )


def test_all_buckets_is_a_star_alone() -> None:
    assert scope_of("*", AllBuckets()) == AllBuckets(Rights.READ_WRITE)
    assert scope_of("*:full", AllBuckets()) == AllBuckets(Rights.FULL)
    assert scope_of("*", AllBuckets(Rights.READ_ONLY)) == AllBuckets(Rights.READ_ONLY)
    assert scope_of("*:read_only") == AllBuckets(Rights.READ_ONLY)


@pytest.mark.parametrize(
    "text",
    ["", " ", "aaa  bbb", " aaa", "aaa ", "* aaa", "aaa *", "*:everything", "aaa:everything", "aaa:", "aaa:read_only:x",
     "/x", ":full", "AAA", "aaa aaa", "aaa//x", "aaa/../x", "aaa\tbbb"],
)  # fmt: skip
def test_what_names_no_buckets_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        scope_of(text)


@pytest.mark.parametrize("name", ["team", "nq:bucket", "NQ:buckets", "nq:manage_keys", ""])
def test_another_tag_is_refused_not_lost(name: str) -> None:
    with pytest.raises(IamError, match="not kept"):
        read_tags({name: "x", "nq:label": "y"}, CALLER, 0)


def test_a_key_ends_when_a_tag_says_so() -> None:
    assert read_tags({"nq:expires": "1h"}, CALLER, 100) == Wanted(None, None, True, 3700)
    assert read_tags({"nq:expires": "never"}, CALLER, 100) == Wanted(None, None, True, None)
    for text in ("", "soon"):
        with pytest.raises(InvalidInput):
            read_tags({"nq:expires": text}, CALLER, 100)


@pytest.mark.parametrize("scope", [CALLER.scope, AllBuckets(), AllBuckets(Rights.READ_ONLY)])
def test_the_tags_of_a_key_ask_for_what_it_has(scope: Scope) -> None:
    tags = written_tags(replace(CALLER, scope=scope, expires_at=3600))
    wanted = read_tags(tags, replace(CALLER, scope=scope), 0)
    assert (wanted.label, wanted.expires_at) == ("Büro 7", 3600)
    without_generations = (
        SpecificBuckets(tuple(replace(grant, generation=0) for grant in scope.buckets))
        if isinstance(scope, SpecificBuckets)
        else scope
    )
    assert wanted.scope == without_generations


def test_a_key_without_buckets_has_no_tag_of_them() -> None:
    assert written_tags(replace(CALLER, scope=NoBuckets())) == {"nq:label": "Büro 7"}
