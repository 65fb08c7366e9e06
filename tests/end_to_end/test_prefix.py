"""A key for a part of a bucket, against real stores: everything works below its prefix, nothing beside it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.support.bodies import MIB, body_of
from tests.support.gateway_process import Gateway
from tests.support.house import Recorded, on_stores
from tests.support.posted import posted_form

PART = 5 * MIB
every_store = on_stores("seaweedfs", "rclone", "moto")


@pytest.fixture
def team(gateway: Gateway, bucket: str) -> Iterator[Any]:
    """boto3 with a key for team/ in the bucket."""
    with gateway.boto3(gateway.create_key(bucket, prefix="team")) as client:
        yield client


@pytest.fixture
def others(direct: Any, bucket: str) -> dict[str, bytes]:
    objects = {"other/secret": b"of others", "teams/secret": b"of teams", "top": b"of all"}
    for object_key, body in objects.items():
        direct.put_object(Bucket=bucket, Key=object_key, Body=body)
    return objects


@every_store
def test_everything_ordinary_works_below_the_prefix(team: Any, direct: Any, bucket: str, tmp_path: Any) -> None:
    file = tmp_path / "large"
    file.write_bytes(body_of(2 * PART + 1))
    team.upload_file(str(file), bucket, "team/large", Config=TransferConfig(PART, multipart_chunksize=PART))
    team.put_object(Bucket=bucket, Key="team/a", Body=b"a")
    team.copy_object(Bucket=bucket, Key="team/b", CopySource=f"{bucket}/team/a")
    assert direct.get_object(Bucket=bucket, Key="team/large")["Body"].read() == body_of(2 * PART + 1)
    assert team.get_object(Bucket=bucket, Key="team/b")["Body"].read() == b"a"
    listed = team.list_objects_v2(Bucket=bucket, Prefix="team/")["Contents"]
    assert [found["Key"] for found in listed] == ["team/a", "team/b", "team/large"]
    team.head_bucket(Bucket=bucket)
    assert [found["Name"] for found in team.list_buckets()["Buckets"]] == [bucket]
    team.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "team/a"}, {"Key": "team/b"}]})
    team.delete_object(Bucket=bucket, Key="team/large")
    assert not [found for found in direct.list_objects_v2(Bucket=bucket).get("Contents", []) if found["Size"]]


BESIDE: dict[str, Callable[[Any, str], object]] = {
    "get": lambda client, bucket: client.get_object(Bucket=bucket, Key="other/secret"),
    "get a longer name": lambda client, bucket: client.get_object(Bucket=bucket, Key="teams/secret"),
    "head": lambda client, bucket: client.head_object(Bucket=bucket, Key="top"),
    "put": lambda client, bucket: client.put_object(Bucket=bucket, Key="other/secret", Body=b"x"),
    "delete": lambda client, bucket: client.delete_object(Bucket=bucket, Key="top"),
    "copy out": lambda client, bucket: client.copy_object(
        Bucket=bucket, Key="team/stolen", CopySource=f"{bucket}/other/secret"
    ),
    "copy in": lambda client, bucket: client.copy_object(Bucket=bucket, Key="top", CopySource=f"{bucket}/team/a"),
    "list": lambda client, bucket: client.list_objects_v2(Bucket=bucket),
    "list beside": lambda client, bucket: client.list_objects_v2(Bucket=bucket, Prefix="tea"),
    "list as before": lambda client, bucket: client.list_objects(Bucket=bucket, Prefix="other/"),
    "list uploads": lambda client, bucket: client.list_multipart_uploads(Bucket=bucket),
    "start an upload": lambda client, bucket: client.create_multipart_upload(Bucket=bucket, Key="other/x"),
    "remove the bucket": lambda client, bucket: client.delete_bucket(Bucket=bucket),
}


@every_store
@pytest.mark.parametrize("operation", BESIDE)
def test_nothing_works_beside_the_prefix(
    team: Any, direct: Any, bucket: str, others: dict[str, bytes], operation: str
) -> None:
    with pytest.raises(ClientError) as refused:
        BESIDE[operation](team, bucket)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    for object_key, body in others.items():
        assert direct.get_object(Bucket=bucket, Key=object_key)["Body"].read() == body


@every_store
@pytest.mark.parametrize("quiet", [False, True])
def test_of_a_delete_of_many_only_what_is_within_the_prefix_is_deleted(
    team: Any, direct: Any, bucket: str, others: dict[str, bytes], quiet: bool
) -> None:
    team.put_object(Bucket=bucket, Key="team/<a>&", Body=b"a")
    named = ["team/<a>&", "other/secret", "teams/secret"]
    answer = team.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": object_key} for object_key in named], "Quiet": quiet}
    )
    if not quiet:  # moto tells even then
        assert [found["Key"] for found in answer["Deleted"]] == ["team/<a>&"]
    refused = {found["Key"]: (found["Code"], found["Message"]) for found in answer["Errors"]}
    assert refused == dict.fromkeys(["other/secret", "teams/secret"], ("AccessDenied", "Access Denied."))
    for object_key, body in others.items():
        assert direct.get_object(Bucket=bucket, Key=object_key)["Body"].read() == body
    with pytest.raises(ClientError):
        direct.head_object(Bucket=bucket, Key="team/<a>&")


def test_a_delete_that_is_refused_whole_reaches_no_store(recorded: Recorded) -> None:
    gateway = recorded.gateway
    with gateway.boto3(gateway.create_key("aaa", prefix="team/")) as client:
        answer = client.delete_objects(Bucket="aaa", Delete={"Objects": [{"Key": "k", "VersionId": "v"}]})
    assert [(one["Key"], one["VersionId"], one["Code"]) for one in answer["Errors"]] == [("k", "v", "AccessDenied")]
    recorded.upstream.assert_untouched()


@every_store
def test_a_form_stays_within_the_prefix(gateway: Gateway, direct: Any, bucket: str) -> None:
    issued = gateway.create_key(bucket, prefix="team")
    credential = (issued.access_key_id, issued.secret_access_key)
    for object_key, status in (("team/k", 204), ("other/k", 403), ("team/../other", 400)):
        form = posted_form(gateway.host, credential, b"x", bucket=bucket, object_key=object_key)
        with gateway.connect() as connection:
            connection.send(form.request())
            assert connection.reply().status == status
    assert [found["Key"] for found in direct.list_objects_v2(Bucket=bucket)["Contents"] if found["Size"]] == ["team/k"]
