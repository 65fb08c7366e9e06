"""Keys made and ended with `aws iam`, and what they open at the store: over the control plane, and over the S3
listener, where a client with one endpoint for all services sends everything.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.clients import AwsCli
from tests.support.gateway_process import Gateway, IssuedKey
from tests.support.house import on_stores

each_door = pytest.mark.parametrize("door", ["console", "s3"])


def manager(gateway: Gateway, *words: str) -> IssuedKey:
    made = gateway.command("keys", "create", "--label", "manager", "--manage-keys", *words, "--json")
    shown = json.loads(made)
    return IssuedKey(shown["access_key_id"], shown["secret_access_key"])


def aws_at(gateway: Gateway, door: str, access_key: IssuedKey, home: Path) -> AwsCli:
    aws = gateway.aws_cli(access_key, home)
    return aws if door == "s3" else replace(aws, endpoint=f"http://127.0.0.1:{gateway.console_port}")


def refused(client: Any, bucket: str) -> str:
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket=bucket, Key="k")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(error.value.response["Error"]["Code"])


@each_door
@on_stores("seaweedfs")
def test_a_key_of_aws_iam_opens_what_its_tags_say_until_it_is_ended(
    gateway: Gateway, direct: Any, bucket: str, home: Path, door: str
) -> None:
    direct.put_object(Bucket=bucket, Key="k", Body=b"kept")
    aws = aws_at(gateway, door, manager(gateway, "--bucket", bucket), home)
    user = f"app-{door}"
    made = json.loads(aws.ok("iam", "create-access-key", "--user-name", user))["AccessKey"]
    access_key = IssuedKey(made["AccessKeyId"], made["SecretAccessKey"])
    named = ("--user-name", user, "--access-key-id", access_key.access_key_id)
    with gateway.boto3(access_key) as client:
        assert client.list_buckets()["Buckets"] == []
        assert refused(client, bucket) == "AccessDenied"
        aws.ok("iam", "tag-user", "--user-name", user, "--tags", f"Key=nq:buckets,Value={bucket}:read_only")
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket=bucket, Key="k", Body=b"changed")
        aws.ok("iam", "update-access-key", *named, "--status", "Inactive")
        assert refused(client, bucket) == "InvalidAccessKeyId"
        aws.ok("iam", "update-access-key", *named, "--status", "Active")
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"
        aws.ok("iam", "delete-access-key", *named)
        assert refused(client, bucket) == "InvalidAccessKeyId"
    assert access_key.secret_access_key not in gateway.log_text()


@each_door
@on_stores("seaweedfs")
def test_a_key_learns_who_it_is_and_may_not_make_others(gateway: Gateway, bucket: str, home: Path, door: str) -> None:
    aws = aws_at(gateway, door, gateway.create_key(bucket, label="my app"), home)
    told = json.loads(aws.ok("sts", "get-caller-identity"))
    assert told["Arn"] == f"arn:aws:iam::{told['Account']}:user/my-app"
    for words in (
        ("create-access-key",),
        ("list-users",),
        ("tag-user", "--user-name", "my-app", "--tags", "Key=a,Value=b"),
    ):
        done = aws.run("iam", *words)
        assert done.returncode != 0
        assert "(AccessDenied)" in done.stderr


@on_stores("seaweedfs")
def test_what_aws_iam_did_stands_in_the_audit_log(gateway: Gateway, bucket: str, home: Path) -> None:
    access_key = manager(gateway, "--no-buckets")
    for door in ("console", "s3"):
        made = json.loads(aws_at(gateway, door, access_key, home).ok("iam", "create-access-key", "--user-name", "app"))
        listed = json.loads(gateway.command("audit", "list", "--key", made["AccessKey"]["AccessKeyId"], "--json"))
        assert [(one["kind"], one["actor"]) for one in listed] == [
            ("key.create", f"key:{access_key.access_key_id}@127.0.0.1")
        ]
