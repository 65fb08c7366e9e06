"""The query API as real clients ask it: aws-cli and boto3, over HTTP, on a real keystore and real acts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer
from botocore.config import Config
from botocore.exceptions import ClientError

from gateway.console import iam as iam_module
from gateway.console.iam import IamDoor
from gateway.iam.request import MAX_BODY
from gateway.source import read_trusted
from keystore.audited_rows import Wanted
from keystore.scope import AllBuckets, BucketGrant, NoBuckets, Rights, Scope, SpecificBuckets
from keystore.store import NewKey
from tests.support.clients import AwsCli
from tests.support.iam import HOST, Signing, form
from tests.support.plane import Plane

SCOPE = SpecificBuckets((BucketGrant("photos", Rights.READ_WRITE), BucketGrant("logs", Rights.READ_ONLY)))


@dataclass(frozen=True)
class Door:
    """The control plane's `POST /`, served."""

    plane: Plane
    server: TestServer
    home: Path

    @property
    def endpoint(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def issue(self, label: str, scope: Scope, **more: Any) -> tuple[str, str]:
        new = NewKey(more.pop("account", "default"), label, scope, **more)
        access_key, secret = await self.plane.keystore.store.create_key(new, "test")
        return access_key.access_key_id, secret.expose()

    def aws(self, credential: tuple[str, str]) -> "Aws":
        return Aws(AwsCli(self.endpoint, credential[0], self.home, credential[1]))

    async def boto3(self, service: str, credential: tuple[str, str], work: Callable[[Any], Any]) -> Any:
        def asked() -> Any:
            client = boto3.session.Session().client(
                service,
                endpoint_url=self.endpoint,
                aws_access_key_id=credential[0],
                aws_secret_access_key=credential[1],
                region_name="eu-test-9",
                config=Config(retries={"max_attempts": 0}),
            )
            try:
                return work(client)
            finally:
                client.close()

        return await asyncio.to_thread(asked)


@dataclass(frozen=True)
class Aws:
    cli: AwsCli

    async def ok(self, *words: str) -> Any:
        told = await asyncio.to_thread(self.cli.ok, *words)
        return json.loads(told) if told else None

    async def refused(self, *words: str) -> str:
        done = await asyncio.to_thread(self.cli.run, *words)
        assert done.returncode in (254, 255), done.stdout
        return done.stderr


@asynccontextmanager
async def served(plane: Plane, home: Path, trusted: tuple[str, ...] = ()) -> AsyncIterator[Door]:
    app = web.Application()
    app.add_routes(IamDoor(plane.acts, plane.keystore.store, read_trusted(trusted)).routes())
    async with TestServer(app) as server:
        yield Door(plane, server, home)


@pytest.fixture
async def door(plane: Plane, tmp_path: Path) -> AsyncIterator[Door]:
    plane.now = time.time()
    async with served(plane, tmp_path) as opened:
        yield opened


# ---- aws-cli ----


async def test_aws_cli_makes_a_key_gives_it_buckets_and_ends_it(door: Door) -> None:
    aws = door.aws(await door.issue("manager", SCOPE, manage_keys=True))
    made = (await aws.ok("iam", "create-access-key", "--user-name", "my-app"))["AccessKey"]
    assert (made["UserName"], made["Status"], len(made["SecretAccessKey"])) == ("my-app", "Active", 40)
    app = door.aws((made["AccessKeyId"], made["SecretAccessKey"]))
    told = await app.ok("sts", "get-caller-identity")
    assert told["Arn"] == f"arn:aws:iam::{told['Account']}:user/my-app"
    store = door.plane.keystore.store
    assert (await store.get_key(made["AccessKeyId"])).scope == NoBuckets()

    await aws.ok("iam", "tag-user", "--user-name", "my-app", "--tags", "Key=nq:buckets,Value=photos logs")
    assert (await store.get_key(made["AccessKeyId"])).scope == SCOPE
    tags = (await aws.ok("iam", "list-user-tags", "--user-name", "my-app"))["Tags"]
    assert {"Key": "nq:buckets", "Value": "photos:read_write logs:read_only"} in tags
    wide = await aws.refused("iam", "tag-user", "--user-name", "my-app", "--tags", "Key=nq:buckets,Value=other")
    assert "AccessDenied" in wide
    assert "reaches more in other" in wide

    named = ("--user-name", "my-app", "--access-key-id", made["AccessKeyId"])
    await aws.ok("iam", "update-access-key", *named, "--status", "Inactive")
    assert "InvalidClientTokenId" in await app.refused("sts", "get-caller-identity")
    [listed] = (await aws.ok("iam", "list-access-keys", "--user-name", "my-app"))["AccessKeyMetadata"]
    assert (listed["AccessKeyId"], listed["Status"]) == (made["AccessKeyId"], "Inactive")
    await aws.ok("iam", "update-access-key", *named, "--status", "Active")
    await app.ok("sts", "get-caller-identity")
    await aws.ok("iam", "delete-access-key", *named)
    assert "NoSuchEntity" in await aws.refused("iam", "list-access-keys", "--user-name", "my-app")


async def test_aws_cli_prints_what_was_refused_by_name(door: Door) -> None:
    manager, plain = await door.issue("manager", SCOPE, manage_keys=True), await door.issue("plain", AllBuckets())
    refused = await door.aws(plain).refused("iam", "list-users")
    assert "(AccessDenied)" in refused
    assert "--manage-keys" in refused
    assert "(InvalidAction)" in await door.aws(manager).refused("iam", "list-roles")
    assert "(SignatureDoesNotMatch)" in await door.aws((plain[0], "x" * 40)).refused("sts", "get-caller-identity")
    stranger = door.aws(("NQAK0000000000000000", "x" * 40))
    assert "(InvalidClientTokenId)" in await stranger.refused("sts", "get-caller-identity")


async def test_aws_cli_lists_users_and_keys_by_the_page(door: Door) -> None:
    aws = door.aws(await door.issue("manager", NoBuckets(), manage_keys=True))
    ids = {(await door.issue(f"app {number % 2}", NoBuckets()))[0] for number in range(4)}
    users = (await aws.ok("iam", "list-users", "--page-size", "2"))["Users"]
    assert [user["UserName"] for user in users] == ["app-0", "app-1", "manager"]
    keys = []
    for user in ("app-0", "app-1"):
        found = await aws.ok("iam", "list-access-keys", "--user-name", user, "--page-size", "1")
        keys += [one["AccessKeyId"] for one in found["AccessKeyMetadata"]]
    assert set(keys) == ids
    assert (await aws.ok("iam", "get-user"))["User"]["UserName"] == "manager"
    used = await aws.ok("iam", "get-access-key-last-used", "--access-key-id", keys[0])
    assert used == {"UserName": "app-0", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
    told = await aws.ok("sts", "get-access-key-info", "--access-key-id", keys[0])
    assert told["Account"] == (await aws.ok("sts", "get-caller-identity"))["Account"]


# ---- boto3 ----


async def test_boto3_makes_and_ends_a_key_and_the_log_says_who_did_it(door: Door) -> None:
    manager = await door.issue("manager", SCOPE, manage_keys=True)
    made = await door.boto3("iam", manager, lambda iam: iam.create_access_key(UserName="app")["AccessKey"])
    assert made["CreateDate"].timestamp() == int(door.plane.now)
    credential = (made["AccessKeyId"], made["SecretAccessKey"])
    assert (await door.boto3("sts", credential, lambda sts: sts.get_caller_identity()))["Account"].isdigit()
    await door.boto3("iam", credential, lambda iam: iam.delete_access_key(AccessKeyId=credential[0]))
    changes = await door.plane.keystore.changes(Wanted(credential[0], None, None, 10))
    assert [one.change.actor for one in changes] == [f"key:{manager[0]}@127.0.0.1", f"key:{credential[0]}@127.0.0.1"]


async def test_boto3_raises_the_exceptions_of_iam(door: Door) -> None:
    manager = await door.issue("manager", SCOPE, manage_keys=True)

    def missing(iam: Any) -> str:
        with pytest.raises(iam.exceptions.NoSuchEntityException) as refused:
            iam.delete_access_key(UserName="app", AccessKeyId="NQAK0000000000000000")
        return str(refused.value)

    assert "cannot be found" in await door.boto3("iam", manager, missing)

    def unavailable(iam: Any) -> dict[str, Any]:
        with pytest.raises(ClientError) as refused:
            iam.tag_user(UserName="manager", Tags=[{"Key": "team", "Value": "x"}])
        answer: dict[str, Any] = refused.value.response
        return answer

    answer = await door.boto3("iam", manager, unavailable)
    assert (answer["Error"]["Code"], answer["Error"]["Type"]) == ("ValidationError", "Sender")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["cache-control"] == "no-store"


# ---- the door itself ----


async def sent(door: Door, signing: Signing, body: bytes, **changed: Any) -> ClientResponse:
    headers = {name.decode(): value.decode() for name, value in signing.request(body).headers}
    headers["Host"] = HOST
    async with aiohttp.ClientSession() as session:
        path = changed.pop("path", "/")
        async with session.post(door.endpoint + path, data=changed.pop("data", body), headers=headers) as reply:
            await reply.read()
            return reply


async def test_a_form_beyond_the_bound_is_refused_unread(door: Door) -> None:
    credential = await door.issue("plain", NoBuckets())
    signing = Signing(*credential, "sts", now=door.plane.now)
    body = form("GetCallerIdentity", "sts")
    assert (await sent(door, signing, body)).status == 200
    padded = body + b"&" * (MAX_BODY - len(body))
    assert (await sent(door, signing, padded)).status == 200
    assert (await sent(door, signing, padded + b"&")).status == 400
    assert (await sent(door, signing, body, data=body + b"&")).status == 403


@pytest.mark.parametrize("path", ["/?Action=GetCallerIdentity", "/?a=%2F"])
async def test_a_query_beside_the_form_is_refused(door: Door, path: str) -> None:
    signing = Signing(*await door.issue("plain", NoBuckets()), "sts", now=door.plane.now)
    reply = await sent(door, signing, form("GetCallerIdentity", "sts"), path=path)
    assert reply.status == 400


async def test_a_form_that_does_not_come_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iam_module, "BODY_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection(door.server.host, door.server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: gw\r\nContent-Length: 10\r\n\r\nAction")
    assert b"408" in await reader.readline()
    writer.close()


async def test_where_a_key_comes_from_is_what_trusted_proxies_say(plane: Plane, tmp_path: Path) -> None:
    plane.now = time.time()
    for trusted, status in (((), 403), (("127.0.0.0/8",), 200)):
        async with served(plane, tmp_path, trusted) as door:
            credential = await door.issue("plain", NoBuckets(), source_cidrs=("192.0.2.0/24",))
            signing = Signing(*credential, "sts", now=plane.now)
            request = signing.request(form("GetCallerIdentity", "sts"))
            headers = {name.decode(): value.decode() for name, value in request.headers}
            headers["X-Forwarded-For"] = "10.0.0.1, 192.0.2.7"
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{door.endpoint}/", data=request.body, headers=headers) as reply,
            ):
                assert reply.status == status
