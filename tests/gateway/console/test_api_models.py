import pytest
from pydantic import ValidationError

from gateway.console.api_models import EditBody, Key, KeyBody, KeysQuery, RollBody, moment_of, scope_of
from keystore.access_key import AccessKey, Status, access_key_json
from keystore.errors import InvalidInput
from keystore.key_acts import MAX_OVERLAP
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, SpecificBuckets
from keystore.usage import NEVER, usage_json


def key_body(scope: str) -> KeyBody:
    return KeyBody.model_validate_json(f'{{"label": "x", "scope": {scope}}}')


def test_a_scope_is_read_with_the_defaults_of_its_kind() -> None:
    assert scope_of(key_body('{"type": "all"}').scope) == AllBuckets(Rights.FULL)
    assert scope_of(key_body('{"type": "none"}').scope) == NoBuckets()
    specific = key_body('{"type": "buckets", "buckets": [{"name": "photos"}, {"name": "b-2", "prefix": "a"}]}').scope
    assert scope_of(specific) == SpecificBuckets((BucketGrant("photos"), BucketGrant("b-2", prefix="a/")))


@pytest.mark.parametrize(
    "scope",
    [
        "null",
        "{}",
        "[]",
        '"all"',
        '{"type": "ALL"}',
        '{"type": "all", "buckets": []}',
        '{"type": "buckets", "buckets": []}',
    ],
)
def test_no_other_scope_passes_for_one(scope: str) -> None:
    with pytest.raises(ValidationError):
        key_body(scope)


def test_a_prefix_that_climbs_is_refused() -> None:
    body = key_body('{"type": "buckets", "buckets": [{"name": "photos", "prefix": "a/../b"}]}')
    with pytest.raises(InvalidInput):
        scope_of(body.scope)


@pytest.mark.parametrize("value", ['"2030-01-01"', '"now"', "1893456000", "true", '"2030-01-01T00:00:00"'])
def test_a_moment_is_rfc_3339_with_its_zone(value: str) -> None:
    with pytest.raises(ValidationError):
        EditBody.model_validate_json(f'{{"expires_at": {value}}}')


def test_a_moment_is_seconds_of_unix() -> None:
    body = EditBody.model_validate_json('{"expires_at": "1970-01-01T01:00:01.9+01:00"}')
    assert moment_of(body.expires_at) == 1
    with pytest.raises(InvalidInput):
        moment_of(EditBody.model_validate_json('{"expires_at": "1969-01-01T00:00:00Z"}').expires_at)


@pytest.mark.parametrize("overlap", [-1, MAX_OVERLAP + 1, "1h", 1.5, True])
def test_an_overlap_is_a_bounded_number_of_seconds(overlap: object) -> None:
    with pytest.raises(ValidationError):
        RollBody.model_validate({"overlap": overlap})


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ValidationError):
        KeysQuery.model_validate({"colour": "red"})


def test_what_is_said_of_a_key_is_what_the_keystore_says() -> None:
    access_key = AccessKey("NQAK" + "0" * 16, "default", "x", AllBuckets(), Status.ACTIVE, 1, "test")
    Key.model_validate({**access_key_json(access_key, 2, {}), **usage_json(NEVER)})
