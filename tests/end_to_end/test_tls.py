"""boto3 and aws-cli over https."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import SSLError

from tests.support.bodies import body_of
from tests.support.clients import s3_client
from tests.support.house import House, on_stores


@on_stores("seaweedfs")
def test_an_object_is_fetched_and_its_bucket_listed_over_https(
    house: House, store_name: str, direct: Any, bucket: str, home: Path
) -> None:
    secured = house.secured(store_name)
    body = body_of(3_000_000)
    direct.put_object(Bucket=bucket, Key="k", Body=body)
    assert secured.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    listed = secured.gateway.aws_cli(secured.access_key, home).ok("s3", "ls", f"s3://{bucket}")
    assert listed.split()[2:] == ["3000000", "k"]


@on_stores("seaweedfs")
def test_a_client_that_does_not_know_the_certificate_sends_nothing(house: House, store_name: str) -> None:
    gateway = house.secured(store_name).gateway
    with s3_client(gateway.endpoint, "NQAKnobody0000000000", "s" * 40) as client, pytest.raises(SSLError):
        client.list_buckets()
