"""What is measured: one kind of request at one level of concurrency. A table; knows nobody."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Final, NamedTuple

from bench.errors import BenchError

KIB: Final = 1 << 10
MIB: Final = 1 << 20
STRETCH: Final = 3


class Upload(StrEnum):
    """What an upload says of its body: the three ways of boto3."""

    SHA256 = "sha256"  # x-amz-content-sha256 and a CRC32 header: its default over http
    TRAILER = "trailer"  # aws-chunked, the CRC32 behind the body: its default over https
    UNSIGNED = "unsigned"  # UNSIGNED-PAYLOAD and nothing else


class Read(StrEnum):
    """What a request that uploads nothing asks for, and how it is signed."""

    GET = "get"  # GetObject, signed in the header
    PRESIGNED = "presigned"  # GetObject, signed in the query
    HEAD = "head"  # HeadObject
    LIST = "list"  # a page of ListObjectsV2
    LIST_OWNERS = "list-owners"  # the same with fetch-owner: the store's owner in every entry


class Refusal(StrEnum):
    """Why a request is refused, with 403; the value is the error code of S3 that says so."""

    SIGNATURE = "SignatureDoesNotMatch"  # well formed, but not of this request
    SCOPE = "AccessDenied"  # of a key for another bucket
    REVOKED = "InvalidAccessKeyId"  # of a key that was revoked


class Scenario(NamedTuple):
    """`size` is the length in bytes of the object that every request asks for or uploads; 0 of a list.

    `beside`: the scenario whose cost to the same contender is 1.00 here; without one it is the yardstick's.
    `usual`: runs when no scenario is asked for. `half_of`: the scenario of which the slowest contender's throughput, in
    the same run, is halved to be the rate at which every contender is asked here.
    """

    name: str
    title: str
    size: int
    connections: int
    upload: Upload | None = None
    refusal: Refusal | None = None
    beside: str | None = None
    usual: bool = True
    read: Read = Read.GET
    tls: bool = False
    half_of: str | None = None

    @property
    def stretch(self) -> int:
        """How many times longer it runs: what the end cuts off is counted as work, but not as requests.

        Of two connections with 64 MiB that is one upload on average, beside some 50 whole ones in six seconds. Of
        downloads it is known how much of them had come.
        """
        return STRETCH if self.size > MIB else 1

    @property
    def expected(self) -> HTTPStatus:
        """The status of every reply."""
        return HTTPStatus.OK if self.refusal is None else HTTPStatus.FORBIDDEN

    @property
    def reply_size(self) -> int:
        """Length in bytes of the body of an expected reply; 0 where it is not known, of a refusal or a list."""
        return self.size if self.upload is None and self.refusal is None else 0

    @property
    def relayed(self) -> bool:
        """Whether it is worth a relay that knows nothing but a head's end and Content-Length."""
        declared = self.upload in (Upload.SHA256, Upload.UNSIGNED)
        return not self.tls and (declared or (self.upload is None and self.size >= 64 * KIB))


QUICK: Final = "get-1k"


def _refused(name: str, why: str, refusal: Refusal) -> Scenario:
    title = f"GET 1 KiB refused, {why}, 32 connections"
    return Scenario(name, title, KIB, 32, refusal=refusal, beside=QUICK, usual=False)


# wrk takes the reply to a HEAD for one with a body of its Content-Length, and waits for it. So the object has no bytes.
SCENARIOS: Final = (
    Scenario("get-1k", "GET 1 KiB, 32 connections", KIB, 32),
    Scenario("get-1k-half", "GET 1 KiB at half load, 64 connections", KIB, 64, usual=False, half_of="get-1k"),
    Scenario("get-1k-c1", "GET 1 KiB, 1 connection", KIB, 1),
    Scenario("get-1k-c256", "GET 1 KiB, 256 connections", KIB, 256),
    Scenario("get-64k", "GET 64 KiB, 32 connections", 64 * KIB, 32),
    Scenario("get-1m", "GET 1 MiB, 32 connections", MIB, 32),
    Scenario("get-64m", "GET 64 MiB, 2 connections", 64 * MIB, 2),
    Scenario("put-1k", "PUT 1 KiB with its SHA-256, 32 connections", KIB, 32, Upload.SHA256),
    Scenario("put-1m", "PUT 1 MiB with its SHA-256, 8 connections", MIB, 8, Upload.SHA256),
    Scenario("put-64m", "PUT 64 MiB with its SHA-256, 2 connections", 64 * MIB, 2, Upload.SHA256),
    Scenario("put-1k-trailer", "PUT 1 KiB, CRC32 trailer, 32 connections", KIB, 32, Upload.TRAILER, usual=False),
    Scenario("put-1m-trailer", "PUT 1 MiB, CRC32 trailer, 8 connections", MIB, 8, Upload.TRAILER, usual=False),
    Scenario("put-64m-trailer", "PUT 64 MiB, CRC32 trailer, 2 connections", 64 * MIB, 2, Upload.TRAILER, usual=False),
    Scenario("put-1k-unsigned", "PUT 1 KiB unsigned, 32 connections", KIB, 32, Upload.UNSIGNED, usual=False),
    Scenario("put-1m-unsigned", "PUT 1 MiB unsigned, 8 connections", MIB, 8, Upload.UNSIGNED, usual=False),
    Scenario("put-64m-unsigned", "PUT 64 MiB unsigned, 2 connections", 64 * MIB, 2, Upload.UNSIGNED, usual=False),
    Scenario("head-0", "HEAD of an object of 0 bytes, 32 connections", 0, 32, usual=False, read=Read.HEAD),
    Scenario("presigned-1k", "GET 1 KiB presigned, 32 connections", KIB, 32, usual=False, read=Read.PRESIGNED),
    Scenario("list", "ListObjectsV2, 100 keys, 32 connections", 0, 32, usual=False, read=Read.LIST),
    Scenario("list-owners", "ListObjectsV2 with owners, 32 connections", 0, 32, usual=False, read=Read.LIST_OWNERS),
    Scenario("tls-get-1k", "GET 1 KiB over TLS, 32 connections", KIB, 32, usual=False, tls=True),
    Scenario("tls-get-1m", "GET 1 MiB over TLS, 32 connections", MIB, 32, usual=False, tls=True),
    Scenario(
        "tls-put-1m", "PUT 1 MiB with its SHA-256 over TLS, 8 connections", MIB, 8, Upload.SHA256, usual=False, tls=True
    ),
    _refused("refused-signature", "of a false signature", Refusal.SIGNATURE),
    _refused("refused-scope", "the bucket out of its key's scope", Refusal.SCOPE),
    _refused("refused-revoked", "its key revoked", Refusal.REVOKED),
)
SOME: Final = frozenset({"get-1k", "get-1k-c256", "get-1m", "put-1m"})  # enough to see what more workers change
USUAL: Final = tuple(scenario.name for scenario in SCENARIOS if scenario.usual)


def select(patterns: Sequence[str], scenarios: Iterable[Scenario] = SCENARIOS) -> list[Scenario]:
    """The scenarios whose name matches a shell pattern and those they need, in table order.

    Raises BenchError for a pattern that names none.
    """
    table = list(scenarios)
    for pattern in patterns:
        if not any(fnmatchcase(scenario.name, pattern) for scenario in table):
            names = ", ".join(scenario.name for scenario in table)
            raise BenchError(f"no scenario matches {pattern!r}; there are: {names}")
    named = [scenario for scenario in table if any(fnmatchcase(scenario.name, pattern) for pattern in patterns)]
    needed = {name for scenario in named for name in (scenario.beside, scenario.half_of)}
    return [scenario for scenario in table if scenario in named or scenario.name in needed]


def together(chosen: Sequence[Scenario]) -> list[list[Scenario]]:
    """What is measured in the same rounds: each scenario, followed by those that stand beside it."""
    alone = [scenario for scenario in chosen if scenario.beside is None]
    return [[first, *(other for other in chosen if other.beside == first.name)] for first in alone]
