"""What docker-compose.yml runs is run: `prepare`, the store without a network, one gateway, three behind a balancer."""

import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import yaml
from botocore.exceptions import ClientError

from tests.support.composed import COMPOSE, Composed, Service, client, composed, three
from tests.support.gateway_process import IssuedKey
from tests.support.postgres import running as running_postgres

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("composed")]
BODY = bytes(range(256)) * 8192 * 5  # 10 MiB
ODD_KEYS = ["a//b", "a%2Fb", "with space+plus", "ünïcode/☃", "q?&=;:@,$!*'()", "-._~"]


@pytest.fixture(scope="module")
def house() -> Iterator[Composed]:
    with composed() as running:
        running.store()
        yield running


@pytest.fixture(scope="module")
def one(house: Composed) -> Service:
    return house.gateway("gateway", "one.toml", {}, {})


@pytest.fixture(scope="module")
def fleet(house: Composed) -> Iterator[tuple[list[Service], Service]]:
    with running_postgres() as postgres:
        yield three(house, postgres)


@pytest.fixture
def balanced(fleet: tuple[list[Service], Service]) -> Service:
    return fleet[1]


@pytest.fixture
def issued(fleet: tuple[list[Service], Service]) -> IssuedKey:
    return fleet[0][0].create_key()


@pytest.fixture
def bucket(balanced: Service, issued: IssuedKey) -> str:
    name = f"composed-{secrets.token_hex(4)}"
    with client(balanced, issued) as s3:
        s3.create_bucket(Bucket=name)
    return name


def test_what_is_secret_is_made_once_and_each_for_its_reader(house: Composed) -> None:
    files = {path.relative_to(house.made): path for path in house.made.rglob("*") if path.is_file()}
    secret = {name: path for name, path in files.items() if name.parts[0] not in ("data", "certificate")}
    before = {name: path.read_bytes() for name, path in secret.items()}
    assert {str(name) for name in secret} == {
        "gateway/kek", "gateway/upstream-secret", "gateway/pgpass", "gateway/console.key",
        "store/s3.json", "postgres/password", "grafana/password",
    }  # fmt: skip
    house.prepare()
    assert {name: path.read_bytes() for name, path in secret.items()} == before
    owners = {"gateway": 10001, "store": 10001, "postgres": 999, "grafana": 472}
    for name, path in secret.items():
        assert path.stat().st_mode & 0o077 == 0, name
        assert path.stat().st_uid == owners[name.parts[0]], name


def test_two_houses_have_nothing_secret_in_common(house: Composed) -> None:
    with composed() as other:
        for name in ("gateway/kek", "gateway/upstream-secret", "postgres/password", "grafana/password"):
            assert (other.made / name).read_bytes() != (house.made / name).read_bytes()


def test_one_gateway_serves_the_store_that_has_no_network(one: Service) -> None:
    with client(one, one.create_key()) as s3:
        s3.create_bucket(Bucket="one")
        s3.put_object(Bucket="one", Key="k", Body=BODY)
        assert s3.get_object(Bucket="one", Key="k")["Body"].read() == BODY
    assert one.nqgate("doctor").returncode == 0


def test_its_console_speaks_tls_with_the_certificate_that_was_made(one: Service) -> None:
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://127.0.0.1:{one.console_port}/healthz")
    done = one.nqgate("console", "link")
    assert "https://localhost:9001/" in done.stdout


def test_prometheus_can_read_its_metrics(house: Composed, one: Service) -> None:
    """With what config/compose/prometheus.yml says: the certificate that was made, and the name that is in it."""
    job = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())["scrape_configs"][0]
    authority = house.here(job["tls_config"]["ca_file"], "prometheus")
    trusting = ssl.create_default_context(cafile=authority)
    with urllib.request.urlopen(
        f"{job['scheme']}://{job['tls_config']['server_name']}:{one.console_port}/metrics", context=trusting
    ) as reply:
        assert b"\nnqgate_" in reply.read()


def test_a_large_body_goes_through_the_balancer_as_it_is(balanced: Service, issued: IssuedKey, bucket: str) -> None:
    with client(balanced, issued) as s3:
        s3.put_object(Bucket=bucket, Key="k", Body=BODY)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


def test_odd_object_keys_go_through_the_balancer_as_they_are(balanced: Service, issued: IssuedKey, bucket: str) -> None:
    with client(balanced, issued) as s3:
        for name in ODD_KEYS:
            s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
        for name in ODD_KEYS:
            assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()


def test_a_presigned_url_holds_through_the_balancer_and_is_in_no_log(
    house: Composed, balanced: Service, issued: IssuedKey, bucket: str
) -> None:
    with client(balanced, issued, signature_version="s3v4") as s3:
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    with urllib.request.urlopen(url) as reply:
        assert reply.read() == b"hello"
    written = (house.folder / "haproxy.log").read_text()
    assert "gateways/gateway-" in written
    assert "X-Amz" not in written
    assert "Signature" not in written


def refused(service: Service, issued: IssuedKey, bucket: str, claimed: str = "") -> str:
    """The code of the answer to a list; "" for none."""
    with client(service, issued) as s3:
        if claimed:
            s3.meta.events.register(
                "before-send.s3", lambda request, **_: request.headers.__setitem__("X-Forwarded-For", claimed)
            )
        try:
            s3.list_objects_v2(Bucket=bucket)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
    return ""


def test_who_the_client_is_comes_from_the_balancer_not_from_the_client(
    fleet: tuple[list[Service], Service], bucket: str
) -> None:
    gateways, balanced = fleet
    here = gateways[1].create_key("--all-buckets", "--source-cidr", "127.0.0.0/8")
    elsewhere = gateways[2].create_key("--all-buckets", "--source-cidr", "192.0.2.7/32")
    assert refused(balanced, here, bucket) == ""
    assert refused(balanced, elsewhere, bucket) == "AccessDenied"
    assert refused(balanced, elsewhere, bucket, claimed="192.0.2.7") == "AccessDenied"
    assert refused(balanced, here, bucket, claimed="192.0.2.7") == ""


def test_a_revoke_is_confirmed_by_all_three(fleet: tuple[list[Service], Service], bucket: str) -> None:
    gateways, balanced = fleet
    issued = gateways[0].create_key()
    assert refused(balanced, issued, bucket) == ""
    said = gateways[1].nqgate("keys", "revoke", issued.access_key_id, "--yes")
    assert "confirmed by 3 of 3 gateways" in said.stderr + said.stdout
    assert {refused(balanced, issued, bucket) for _ in range(6)} == {"InvalidAccessKeyId"}


def test_a_gateway_that_stops_is_noticed_by_nobody(
    fleet: tuple[list[Service], Service], issued: IssuedKey, bucket: str
) -> None:
    """The last but one of these: it does not come back."""
    gateways, balanced = fleet
    with client(balanced, issued) as s3:
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    assert gateways[2].process.stop() == 0
    for _ in range(30):
        with client(balanced, issued) as s3:  # a connection of its own
            assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_with_no_gateway_left_the_balancer_answers_as_s3_does(
    fleet: tuple[list[Service], Service], issued: IssuedKey, bucket: str
) -> None:
    """The last of these."""
    gateways, balanced = fleet
    for gateway in gateways[:2]:
        assert gateway.process.stop() == 0
    with client(balanced, issued) as s3, pytest.raises(ClientError) as refused:
        s3.list_objects_v2(Bucket=bucket)
    answer = refused.value.response
    assert answer["Error"] == {"Code": "ServiceUnavailable", "Message": "No gateway is ready. Try again."}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
