"""The road as a whole, without a wire: what is handed in decides."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.authorize import Authorized, Policy
from gateway.pipeline import Lookups, Rules, admit, admit_again
from gateway.s3.errors import Code, S3Error
from gateway.s3.profile import PROFILES
from gateway.source import read_trusted
from keystore.access_key import KnownKey, Status
from keystore.bucket_claims import UNCLAIMED, Tenure
from keystore.errors import KeystoreUnavailable, NotKnownYet, RecordRefused
from keystore.scope import BucketGrant, Scope, SpecificBuckets
from tests.support.admitted import lookups_of
from tests.support.requests import ADDRESSING, DUMMY, NOW, RULES, header_head, known_key
from tests.support.with_fields import with_fields

ROAD = Rules(ADDRESSING, RULES, Policy(PROFILES["generic"], frozenset(), dot_segments=True), DUMMY)
DATE = b"20260921"
ONE: Scope = SpecificBuckets((BucketGrant("bucket"),))


class Directory:
    """One record and the owners of buckets, which the test may change."""

    def __init__(self, known: KnownKey | None) -> None:
        self.known = known
        self.tenure = UNCLAIMED
        self.asked: list[tuple[str, bytes]] = []

    def find(self, access_key_id: str, date: bytes) -> KnownKey | None:
        self.asked.append((access_key_id, date))
        return self.known

    @property
    def lookups(self) -> Lookups:
        return lookups_of(self.find, lambda bucket: self.tenure)


def code(lookups: Lookups, now: float = NOW) -> Code:
    with pytest.raises(S3Error) as caught:
        admit(header_head(), lookups, now, ROAD)
    return caught.value.code


def test_a_signed_request_in_scope_is_authorized() -> None:
    authorized = admit(header_head(), Directory(known_key(DATE, scope=ONE)).lookups, NOW, ROAD)
    assert authorized.operation.name == "GetObject"
    assert authorized.request.bucket == "bucket"


def test_an_unknown_key_is_refused() -> None:
    assert code(Directory(None).lookups) is Code.INVALID_ACCESS_KEY_ID


def test_a_wrong_clock_is_refused_before_the_directory_is_asked() -> None:
    directory = Directory(known_key(DATE))
    assert code(directory.lookups, NOW + 1000) is Code.REQUEST_TIME_TOO_SKEWED
    assert directory.asked == []


def test_a_bucket_that_changed_hands_is_refused_and_ends_what_runs() -> None:
    directory = Directory(known_key(DATE, scope=ONE))
    authorized = admit(header_head(), directory.lookups, NOW, ROAD)
    for tenure in (Tenure("tenant", 1), Tenure("default", 2)):
        directory.tenure = tenure
        assert code(directory.lookups) is Code.ACCESS_DENIED
        with pytest.raises(S3Error) as caught:
            admit_again(authorized, directory.lookups, ROAD)
        assert caught.value.code is Code.ACCESS_DENIED
    directory.tenure = UNCLAIMED
    assert admit_again(authorized, directory.lookups, ROAD) is authorized


@pytest.mark.parametrize("error", [KeystoreUnavailable("gone"), RecordRefused("tampered")])
def test_an_owner_that_cannot_be_proven_is_503_and_never_open(error: Exception) -> None:
    def tenure_of(bucket: str) -> Tenure:
        raise error

    directory = Directory(known_key(DATE, scope=ONE))
    broken = lookups_of(directory.find, tenure_of)
    assert code(broken) is Code.SERVICE_UNAVAILABLE
    authorized = admit(header_head(), directory.lookups, NOW, ROAD)
    with pytest.raises(S3Error) as caught:
        admit_again(authorized, broken, ROAD)
    assert caught.value.code is Code.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("error", [KeystoreUnavailable("gone"), RecordRefused("tampered")])
def test_a_keystore_that_cannot_answer_is_503_with_retry_after(error: Exception) -> None:
    def find(access_key_id: str, date: bytes) -> KnownKey | None:
        raise error

    with pytest.raises(S3Error) as caught:
        admit(header_head(), lookups_of(find), NOW, ROAD)
    assert (caught.value.code, caught.value.retry_after) == (Code.SERVICE_UNAVAILABLE, 1)


NOT_YET = NotKnownYet("it", lambda told: None)


def not_yet(*asked: object) -> Any:
    raise NOT_YET


def test_what_is_not_known_yet_passes_where_a_request_can_wait_and_is_503_where_it_cannot() -> None:
    directory = Directory(known_key(DATE, scope=ONE))
    authorized = admit(header_head(), directory.lookups, NOW, ROAD)
    for lookups in (directory.lookups._replace(find=not_yet), directory.lookups._replace(tenure_of=not_yet)):
        with pytest.raises(NotKnownYet):
            admit(header_head(), lookups, NOW, ROAD)
    for lookups in (directory.lookups._replace(record=not_yet), directory.lookups._replace(tenure_of=not_yet)):
        with pytest.raises(S3Error) as caught:
            admit_again(authorized, lookups, ROAD)
        assert caught.value.code is Code.SERVICE_UNAVAILABLE


def test_an_unchanged_record_is_admitted_again_as_it_was() -> None:
    directory = Directory(known_key(DATE))
    authorized = admit(header_head(), directory.lookups, NOW, ROAD)
    assert admit_again(authorized, directory.lookups, ROAD) is authorized


def changed_to(known: KnownKey | None) -> Code:
    directory = Directory(known_key(DATE))
    authorized = admit(header_head(), directory.lookups, NOW, ROAD)
    directory.known = known
    with pytest.raises(S3Error) as caught:
        admit_again(authorized, directory.lookups, ROAD)
    return caught.value.code


def test_a_key_revoked_or_deleted_or_narrowed_in_the_meantime_is_not_admitted_again() -> None:
    elsewhere: Scope = SpecificBuckets((BucketGrant("elsewhere"),))
    assert changed_to(known_key(DATE, status=Status.REVOKED)) is Code.INVALID_ACCESS_KEY_ID
    assert changed_to(None) is Code.INVALID_ACCESS_KEY_ID
    assert changed_to(known_key(DATE, scope=elsewhere)) is Code.ACCESS_DENIED


def test_a_key_that_was_only_renamed_is_admitted_again() -> None:
    directory = Directory(known_key(DATE))
    authorized = admit(header_head(), directory.lookups, NOW, ROAD)
    renamed = known_key(DATE)
    renamed.access_key = replace(renamed.access_key, label="renamed")
    directory.known = renamed
    again = admit_again(authorized, directory.lookups, ROAD)
    assert again is not authorized
    assert again.access_key.label == "renamed"


def test_a_key_that_expired_since_lets_the_transfer_finish_whether_or_not_its_record_was_touched() -> None:
    directory = Directory(known_key(DATE))
    authorized = admit(header_head(), directory.lookups, NOW, ROAD)
    expired = known_key(DATE)
    expired.access_key = replace(expired.access_key, expires_at=NOW + 1)
    directory.known = expired
    assert admit_again(authorized, directory.lookups, ROAD).access_key.expires_at == NOW + 1
    with pytest.raises(S3Error):
        admit(header_head(), directory.lookups, NOW + 1, ROAD)


# ---- source networks ----

OFFICE = known_key(DATE, source_cidrs=("192.0.2.0/24",))


def asked_from(peer: str, forwarded: str | None = None, proxies: tuple[str, ...] = ()) -> Authorized:
    unsigned = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    road = ROAD._replace(trusted_proxies=read_trusted(proxies))
    return admit(header_head(unsigned=unsigned), Directory(OFFICE).lookups, NOW, road, peer)


def test_b36_a_key_with_source_networks_is_good_from_there_only() -> None:
    assert asked_from("192.0.2.9").access_key.source_cidrs == ("192.0.2.0/24",)
    for peer in ("198.51.100.1", "", "::1"):
        with pytest.raises(S3Error) as caught:
            asked_from(peer)
        assert caught.value.code is Code.ACCESS_DENIED
        assert caught.value.message == Code.ACCESS_DENIED.message


def test_b36_x_forwarded_for_counts_from_trusted_proxies_only() -> None:
    assert asked_from("10.0.0.1", "192.0.2.9", ("10.0.0.0/8",))
    for peer, proxies in (("10.0.0.1", ()), ("198.51.100.1", ("10.0.0.0/8",))):
        with pytest.raises(S3Error):
            asked_from(peer, "192.0.2.9", proxies)
    with pytest.raises(S3Error):
        asked_from("10.0.0.1", "192.0.2.9, 198.51.100.1", ("10.0.0.0/8",))


def test_the_source_is_looked_at_after_the_signature() -> None:
    head = with_fields(header_head(), method=b"HEAD")
    with pytest.raises(S3Error) as caught:
        admit(head, Directory(OFFICE).lookups, NOW, ROAD, "198.51.100.1")
    assert caught.value.code is Code.SIGNATURE_DOES_NOT_MATCH


def test_a_network_taken_away_meanwhile_ends_the_request() -> None:
    directory = Directory(OFFICE)
    authorized = admit(header_head(), directory.lookups, NOW, ROAD, "192.0.2.9")
    directory.known = known_key(DATE, source_cidrs=("203.0.113.0/24",))
    with pytest.raises(S3Error):
        admit_again(authorized, directory.lookups, ROAD)
