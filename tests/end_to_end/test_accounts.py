"""Two accounts in front of one store: each has its own buckets, now and after a name changed hands."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import Recorded, on_stores

on_both_stores = on_stores("seaweedfs", "rclone")


@dataclass(slots=True)
class Accounts:
    """`one`, `two`: accounts of this test alone. `bucket`: a name that nobody has."""

    gateway: Gateway
    one: str
    two: str
    bucket: str
    _stack: ExitStack = field(default_factory=ExitStack)

    def key(self, account: str, *buckets: str, rights: str | None = None) -> IssuedKey:
        return self.gateway.create_key(*buckets, rights=rights, extra=["--account", account])

    def client(self, account: str, *buckets: str, rights: str | None = None) -> Any:
        return self._stack.enter_context(self.gateway.boto3(self.key(account, *buckets, rights=rights)))

    def owner(self, bucket: str) -> str:
        listed = json.loads(self.gateway.command("buckets", "list", "--json"))
        return {one["name"]: str(one["account"]) for one in listed}[bucket]


@pytest.fixture
def accounts(gateway: Gateway) -> Iterator[Accounts]:
    suffix = secrets.token_hex(4)
    opened = Accounts(gateway, f"one-{suffix}", f"two-{suffix}", f"shared-{suffix}")
    for name in (opened.one, opened.two):
        gateway.command("accounts", "create", name)
    with opened._stack:
        yield opened


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    code = str(caught.value.response["Error"]["Code"])
    return "AccessDenied" if code == "403" else code  # boto3 makes "403" of a HEAD without a body


def names(client: Any) -> list[str]:
    return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]


@on_both_stores
def test_a_bucket_belongs_to_the_account_that_made_it(accounts: Accounts, s3: Any) -> None:
    one, two = accounts.client(accounts.one), accounts.client(accounts.two)
    one.create_bucket(Bucket=accounts.bucket)
    one.put_object(Bucket=accounts.bucket, Key="k", Body=b"of one")
    assert one.get_object(Bucket=accounts.bucket, Key="k")["Body"].read() == b"of one"
    assert names(one) == [accounts.bucket]
    assert names(two) == []
    assert accounts.bucket not in names(s3)
    assert accounts.owner(accounts.bucket) == accounts.one
    for other in (two, s3):
        assert refused(lambda other=other: other.get_object(Bucket=accounts.bucket, Key="k")) == "AccessDenied"
        assert refused(lambda other=other: other.head_bucket(Bucket=accounts.bucket)) == "AccessDenied"
        assert refused(lambda other=other: other.delete_bucket(Bucket=accounts.bucket)) == "AccessDenied"
        assert refused(lambda other=other: other.create_bucket(Bucket=accounts.bucket)) == "BucketAlreadyExists"
    assert refused(lambda: one.create_bucket(Bucket=accounts.bucket)) == "BucketAlreadyOwnedByYou"


@on_both_stores
def test_what_nobody_claimed_is_the_default_accounts(accounts: Accounts, s3: Any, bucket: str) -> None:
    one = accounts.client(accounts.one)
    assert bucket in names(s3)
    assert names(one) == []
    assert refused(lambda: one.list_objects_v2(Bucket=bucket)) == "AccessDenied"
    assert refused(lambda: one.create_bucket(Bucket=bucket)) == "BucketAlreadyExists"
    s3.put_object(Bucket=bucket, Key="k", Body=b"still mine")
    assert accounts.owner(bucket) == "default"


@on_both_stores
def test_all_buckets_means_those_made_later_too(accounts: Accounts) -> None:
    early, maker = accounts.client(accounts.one), accounts.client(accounts.one)
    maker.create_bucket(Bucket=accounts.bucket)
    early.put_object(Bucket=accounts.bucket, Key="k", Body=b"x")
    assert names(early) == [accounts.bucket]


@on_both_stores
def test_an_object_is_not_copied_out_of_another_account(accounts: Accounts) -> None:
    one, two = accounts.client(accounts.one), accounts.client(accounts.two)
    one.create_bucket(Bucket=accounts.bucket)
    one.put_object(Bucket=accounts.bucket, Key="k", Body=b"of one")
    own = f"{accounts.bucket}-two"
    two.create_bucket(Bucket=own)
    source = f"{accounts.bucket}/k"
    assert refused(lambda: two.copy_object(Bucket=own, Key="stolen", CopySource=source)) == "AccessDenied"
    assert "Contents" not in two.list_objects_v2(Bucket=own)


@on_both_stores
def test_the_same_account_makes_its_bucket_again_and_old_keys_work(accounts: Accounts) -> None:
    owner = accounts.client(accounts.one)
    owner.create_bucket(Bucket=accounts.bucket)
    named = accounts.client(accounts.one, accounts.bucket)
    owner.delete_bucket(Bucket=accounts.bucket)
    assert refused(lambda: named.list_objects_v2(Bucket=accounts.bucket)) == "AccessDenied"
    assert f"{accounts.bucket} (deleted)" in accounts.gateway.command("keys", "list", "--account", accounts.one)
    owner.create_bucket(Bucket=accounts.bucket)
    named.put_object(Bucket=accounts.bucket, Key="k", Body=b"again")
    assert "(deleted)" not in accounts.gateway.command("keys", "list", "--account", accounts.one)


@on_both_stores
def test_a_name_that_another_account_had_opens_nothing_to_old_keys(accounts: Accounts) -> None:
    one, two = accounts.client(accounts.one), accounts.client(accounts.two)
    one.create_bucket(Bucket=accounts.bucket)
    old = accounts.client(accounts.one, accounts.bucket)
    old.list_objects_v2(Bucket=accounts.bucket)
    one.delete_bucket(Bucket=accounts.bucket)
    two.create_bucket(Bucket=accounts.bucket)
    two.put_object(Bucket=accounts.bucket, Key="k", Body=b"of two")
    assert refused(lambda: old.get_object(Bucket=accounts.bucket, Key="k")) == "AccessDenied"
    two.delete_object(Bucket=accounts.bucket, Key="k")
    two.delete_bucket(Bucket=accounts.bucket)
    one.create_bucket(Bucket=accounts.bucket)
    assert refused(lambda: old.list_objects_v2(Bucket=accounts.bucket)) == "AccessDenied"
    assert "Contents" not in one.list_objects_v2(Bucket=accounts.bucket)
    accounts.client(accounts.one, accounts.bucket).list_objects_v2(Bucket=accounts.bucket)


@on_both_stores
def test_of_many_accounts_that_make_one_name_at_once_one_has_it(accounts: Accounts) -> None:
    """Each twice, so that an account's second request meets the claim of its first."""
    clients = [(name, accounts.client(name)) for name in (accounts.one, accounts.two) for _ in range(2)]
    start = threading.Barrier(len(clients))
    outcomes: list[tuple[str, str]] = []

    def make(account: str, client: Any) -> None:
        start.wait()
        try:
            client.create_bucket(Bucket=accounts.bucket)
            outcomes.append((account, "made"))
        except ClientError as error:
            outcomes.append((account, str(error.response["Error"]["Code"])))

    threads = [threading.Thread(target=make, args=one) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = {account for account, outcome in outcomes if outcome == "made"}
    assert len(winners) == 1, outcomes
    assert winners == {accounts.owner(accounts.bucket)}
    assert {outcome for _, outcome in outcomes} <= {"made", "BucketAlreadyExists", "BucketAlreadyOwnedByYou"}
    for account, client in clients:
        assert names(client) == ([accounts.bucket] if account in winners else [])


@on_stores("seaweedfs")
def test_an_assigned_bucket_changes_hands_at_the_very_next_request_of_an_open_connection(
    accounts: Accounts, gateway: Gateway, access_key: IssuedKey, bucket: str
) -> None:
    taker = gateway.signer(accounts.key(accounts.one))
    giver = gateway.signer(access_key)
    with gateway.connect() as of_giver, gateway.connect() as of_taker:

        def statuses() -> tuple[int, int]:
            of_giver.send(giver.head("GET", f"/{bucket}"))
            of_taker.send(taker.head("GET", f"/{bucket}"))
            return of_giver.reply().status, of_taker.reply().status

        assert statuses() == (200, 403)
        gateway.command("buckets", "assign", bucket, "--account", accounts.one)
        assert statuses() == (403, 200)
        gateway.command("buckets", "assign", bucket, "--account", "default", "--yes")
        assert statuses() == (200, 403)


@pytest.mark.server
def test_an_account_with_a_credential_of_its_own_is_signed_for_with_it(recorded: Recorded) -> None:
    gateway, account = recorded.gateway, f"tenant-{secrets.token_hex(4)}"
    secret_file = gateway.folder / account
    secret_file.write_text("the tenant's own secret")
    gateway.command("accounts", "create", account)
    gateway.command("buckets", "assign", f"{account}-b", "--account", account)
    signer = gateway.signer(gateway.create_key(extra=["--account", account]))
    used: list[bytes] = []
    given = [["--access-key-id", name, "--secret-file", str(secret_file)] for name in ("TENANTKEY", "TENANTNEXT")]
    for words in (*given, ["--clear"]):
        gateway.command("accounts", "upstream", account, *words)
        for method, target in (("GET", f"/{account}-b/k"), ("GET", "/")):
            recorded.ask(signer.head(method, target))
            authorization = recorded.upstream.requests[-1].header(b"authorization")
            used.append(authorization.partition(b"Credential=")[2].partition(b"/")[0])
    assert used == [name for name in (b"TENANTKEY", b"TENANTNEXT", b"UPSTREAMKEYID") for _ in range(2)]
    recorded.ask(recorded.signer.head("GET", "/aaa/k"))
    assert b"Credential=UPSTREAMKEYID/" in recorded.upstream.requests[-1].header(b"authorization")
    assert "the tenant's own secret" not in gateway.log_text()


@pytest.mark.server
def test_every_bucket_of_another_account_is_refused_without_an_upstream_connection(recorded: Recorded) -> None:
    gateway, account = recorded.gateway, f"tenant-{secrets.token_hex(4)}"
    gateway.command("accounts", "create", account)
    gateway.command("buckets", "assign", account, "--account", account)
    recorded.upstream.reset()
    tenant = gateway.signer(gateway.create_key(extra=["--account", account]))
    for signer, bucket, own in ((recorded.signer, account, "aaa"), (tenant, "aaa", account)):
        copying = [("x-amz-copy-source", f"/{bucket}/k"), ("Content-Length", "0")]
        for head in (
            signer.head("GET", f"/{bucket}/k"),
            signer.head("HEAD", f"/{bucket}"),
            signer.head("PUT", f"/{bucket}/k", body=b""),
            signer.head("DELETE", f"/{bucket}/k"),
            signer.head("GET", f"/{bucket}?location="),
            signer.head("GET", f"/{bucket}?list-type=2"),
            signer.head("DELETE", f"/{bucket}"),
            signer.head("PUT", f"/{own}/k", copying),
            signer.head("PUT", f"/{own}/k?partNumber=1&uploadId=u", copying),
        ):
            assert recorded.ask(head, head_request=head.startswith(b"HEAD")).status == 403
    recorded.upstream.assert_untouched()
