"""Bytes in are bytes out: odd object keys and metadata, as the store gets them and as clients get them back.

What a store makes of a key that it cannot hold is the store's: asked directly it answers the same.
"""

import base64
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError

from tests.support.clients import s3_client
from tests.support.house import Fronted, House, Recorded, on_stores
from tests.support.raw_client import RawConnection, RawReply, Signer
from tests.support.recording_upstream import canned, ok
from tests.support.server_process import LOOPBACK

BODY = b"the body"
EVERY_STORE = ("seaweedfs", "rclone")

OBJECT_KEYS = {
    "a space": b"with space",
    "outer spaces": b" outer spaces ",
    "a plus": b"with+plus",
    "a percent sign": b"100%",
    "an escaped slash as data": b"not%2Fslash",
    "an escaped percent sign as data": b"not%25percent",
    "no escape at all": b"no%zzescape%",
    "a leading slash": b"/leading",
    "two leading slashes": b"//leading-two",
    "a trailing slash": b"trailing/",
    "a double slash": b"double//slash",
    "a double trailing slash": b"double-trailing//",
    "dots": b"dots...and/.hidden/..x/x..",
    "composed (NFC)": "n\u00e9\u1e69".encode(),
    "decomposed (NFD)": "ne\u0301s\u0323\u0307".encode(),
    "emoji": "👩\u200d🚀🏳️\u200d🌈".encode(),
    "combining characters": "\u0301Z\u0351\u036b\u0343\u036aa".encode(),
    "right to left": "שלום/مرحبا\u202e".encode(),
    "a byte order mark": "\ufeffmark".encode(),
    "other line ends": "next\u0085line\u2028separator".encode(),
    "control characters": b"control" + bytes(range(1, 0x20)),
    "one control character": b"control\x01one",
    "tab, LF and CR": b"tab\tlf\ncr\rcrlf\r\n.",
    "DEL": b"del\x7f",
    "quotes": b"\"double' `back`",
    "a backslash": b"back\\slash",
    "a semicolon": b"semi;colon",
    "an ampersand": b"amper&sand",
    "an entity as data": b"entity&amp;&#65;",
    "an equals sign": b"equals=sign",
    "a hash": b"hash#sign",
    "a question mark": b"question?mark",
    "a query as data": b"query?versionId=1&uploads",
    "a document as data": b"<Key>]]></Key>",
    "punctuation": b"~!@$^*(){}[]|:,-_.",
    "1,024 bytes": b"k" * 1024,
    "1,024 bytes of multi-byte characters": "🙂".encode() * 256,
    "1,024 bytes in segments": (b"s" * 127 + b"/") * 7 + b"s" * 128,
    "1,024 bytes of multi-byte characters in segments": ("🙂" * 31 + "/xyz").encode() * 8,
}
# What a store does with a key instead of holding it.
ALTERED = {
    "seaweedfs": {
        # paths in the filer have no empty segments, and a backslash counts as a slash
        "a leading slash": "drops it",
        "two leading slashes": "drops them",
        "a double slash": "makes it one",
        "a double trailing slash": "makes it one, and a folder of it",
        "a backslash": "makes it a slash",
        "a trailing slash": "makes a folder of it, without the body",
        # a segment is at most 255 bytes
        "1,024 bytes": "KeyTooLongError",
        "1,024 bytes of multi-byte characters": "KeyTooLongError",
    },
    "rclone": {
        # paths of a file system, and names of at most 255 bytes
        "a leading slash": "InvalidArgument",
        "two leading slashes": "InvalidArgument",
        "a double slash": "InvalidArgument",
        "a trailing slash": "drops it",
        "a double trailing slash": "drops it",
        "1,024 bytes": "InternalError",
        "1,024 bytes of multi-byte characters": "InternalError",
    },
}
LISTS = ("list-type=2", "encoding-type=url&list-type=2", "", "encoding-type=url")
# https://www.w3.org/TR/xml/#charsets: no XML document can say these, so a plain list cannot either.
NOT_IN_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")

_numbers = itertools.count(1)
each_object_key = pytest.mark.parametrize("object_key", OBJECT_KEYS.values(), ids=OBJECT_KEYS)


def encoded(object_key: bytes) -> str:
    return quote(object_key, safe="/")


def keys_in(document: bytes) -> list[bytes]:
    """As they stand in it, escapes included."""
    return re.findall(rb"<Key>(.*?)</Key>", document, re.DOTALL)


# ---- ways to a store ----


@dataclass(frozen=True, slots=True)
class Way:
    """One road to a store: raw sockets with a key of its own."""

    signer: Signer

    def ask(
        self, method: str, target: str, headers: Sequence[tuple[str, bytes]] = (), body: bytes | None = None
    ) -> RawReply:
        head = self.signer.head(method, target, [(name, value.decode()) for name, value in headers], body=body)
        for name, value in headers:  # botocore signs text as UTF-8, Signer writes it as Latin-1
            line = f"\r\n{name}: ".encode()
            head = head.replace(line + value.decode().encode("latin-1") + b"\r\n", line + value + b"\r\n")
        with RawConnection(LOOPBACK, int(self.signer.host.rpartition(":")[2])) as connection:
            connection.send(head + (body or b""))
            return connection.reply(head_request=method == "HEAD")


@dataclass(frozen=True, slots=True)
class Twins:
    """Two buckets of one store with the same history: what goes into `plain` directly, goes into `fronted` through
    the gateway."""

    direct: Way
    gateway: Way
    plain: str
    fronted: str


@pytest.fixture(scope="session")
def known_twins() -> dict[tuple[str, str], tuple[str, str]]:
    return {}


@pytest.fixture
def twins(
    request: pytest.FixtureRequest,
    house: House,
    fronted: Fronted,
    store_name: str,
    direct: Any,
    known_twins: dict[tuple[str, str], tuple[str, str]],
) -> Iterator[Twins]:
    """Empty. Used again where they can be emptied, for the first object in a bucket of SeaweedFS takes 0.2 s; but only
    by one test function, for it removes folders that became empty some seconds later, and another may be there again.
    """
    known = (store_name, request.function.__name__)
    if known not in known_twins:
        number = next(_numbers)
        known_twins[known] = (f"odd-bytes-{number}-plain", f"odd-bytes-{number}-fronted")
        for bucket in known_twins[known]:
            direct.create_bucket(Bucket=bucket)
    buckets = known_twins[known]
    store = house.store(store_name)
    signer = Signer(store.endpoint.removeprefix("http://"), store.access_key_id, store.secret_access_key)
    yield Twins(Way(signer), Way(fronted.gateway.signer(fronted.access_key)), *buckets)
    if [bucket for bucket in buckets if not emptied(direct, bucket)]:
        del known_twins[known]


def emptied(client: Any, bucket: str) -> bool:
    """False where the store lists what it cannot delete."""
    for object_key in listed(client, bucket):
        outcome(partial(client.delete_object, Bucket=bucket, Key=object_key))
    return not listed(client, bucket)


def listed(client: Any, bucket: str) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def outcome(call: Callable[[], object]) -> object:
    """What it returns, or how it was refused."""
    try:
        return call()
    except ClientError as refused:
        return refused.response["ResponseMetadata"]["HTTPStatusCode"], refused.response["Error"]["Code"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one way shows of a bucket and the object in it. `listed`: `<Key>` as it stands in each of LISTS."""

    got: tuple[int, str, bytes]
    head: tuple[int, list[bytes]]
    listed: list[list[bytes]]


def seen(way: Way, bucket: str, object_key: bytes) -> Seen:
    target = f"/{bucket}/{encoded(object_key)}"
    got, head = way.ask("GET", target), way.ask("HEAD", target)
    return Seen(
        (got.status, got.code, got.body if got.status == 200 else b""),
        (head.status, head.values(b"content-length") if head.status == 200 else []),
        [keys_in(way.ask("GET", f"/{bucket}?{query}").body) for query in LISTS],
    )


def shows_exactly(found: Seen, object_key: bytes) -> bool:
    for query, in_list in zip(LISTS, found.listed, strict=True):
        if "encoding-type" in query:
            names = [unquote_to_bytes(name.replace(b"+", b" ")) for name in in_list]
        elif NOT_IN_XML.search(object_key):
            continue
        else:
            names = [(ElementTree.fromstring(b"<a>%b</a>" % name).text or "").encode() for name in in_list]
        if names != [object_key]:
            return False
    return found.got == (200, "", BODY) and found.head == (200, [b"%d" % len(BODY)])


# ---- object keys in real stores ----


@on_stores(*EVERY_STORE)
@pytest.mark.parametrize("name", OBJECT_KEYS)
def test_an_odd_object_key_is_the_same_object_through_the_gateway(twins: Twins, store_name: str, name: str) -> None:
    object_key = OBJECT_KEYS[name]
    put = twins.direct.ask("PUT", f"/{twins.plain}/{encoded(object_key)}", body=BODY)
    through = twins.gateway.ask("PUT", f"/{twins.fronted}/{encoded(object_key)}", body=BODY)
    assert (through.status, through.code) == (put.status, put.code)
    held = seen(twins.direct, twins.plain, object_key)
    assert seen(twins.direct, twins.fronted, object_key) == held
    assert seen(twins.gateway, twins.fronted, object_key) == held
    assert shows_exactly(held, object_key) == (name not in ALTERED[store_name]), "the store itself has changed"


@pytest.fixture
def patient(house: House, store_name: str) -> Iterator[Any]:
    """boto3 at the store itself, trying again: SeaweedFS ends the connection after GET of a folder without a word."""
    store = house.store(store_name)
    retries = {"max_attempts": 3}
    with s3_client(store.endpoint, store.access_key_id, store.secret_access_key, retries=retries) as client:
        yield client


@on_stores(*EVERY_STORE)
@pytest.mark.parametrize("name", OBJECT_KEYS)
def test_boto3_puts_gets_and_lists_an_odd_object_key(
    s3: Any, patient: Any, twins: Twins, store_name: str, name: str
) -> None:
    object_key = OBJECT_KEYS[name].decode()
    put = outcome(lambda: patient.put_object(Bucket=twins.plain, Key=object_key, Body=BODY)["ETag"])
    assert outcome(lambda: s3.put_object(Bucket=twins.fronted, Key=object_key, Body=BODY)["ETag"]) == put
    held = shown(patient, twins.plain, object_key)
    assert shown(patient, twins.fronted, object_key) == held
    assert shown(s3, twins.fronted, object_key) == held
    assert (held == (BODY, [object_key], [object_key])) == (name not in ALTERED[store_name])


def shown(client: Any, bucket: str, object_key: str) -> tuple[object, object, object]:
    return (
        outcome(lambda: client.get_object(Bucket=bucket, Key=object_key)["Body"].read()),
        outcome(lambda: listed(client, bucket)),
        outcome(lambda: [entry["Key"] for entry in client.list_objects(Bucket=bucket).get("Contents", [])]),
    )


# ---- object keys, byte for byte ----


@pytest.fixture(scope="module")
def boto3_recorded(_recorded: Recorded) -> Iterator[Any]:
    """boto3 through the gateway in front of the recording upstream."""
    signer = _recorded.signer
    with s3_client(_recorded.gateway.endpoint, signer.access_key_id, signer.secret_access_key) as client:
        yield client


@each_object_key
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_request_line_names_every_byte_of_an_object_key(recorded: Recorded, method: str, object_key: bytes) -> None:
    body = BODY if method == "PUT" else None
    assert Way(recorded.signer).ask(method, f"/aaa/{encoded(object_key)}", body=body).status == 200
    request = recorded.upstream.only_request()
    assert request.line == f"{method} /aaa/{encoded(object_key)} HTTP/1.1".encode()
    assert bytes(request.body) == (body or b"")


@each_object_key
def test_the_request_line_is_the_same_for_boto3(recorded: Recorded, boto3_recorded: Any, object_key: bytes) -> None:
    boto3_recorded.put_object(Bucket="aaa", Key=object_key.decode(), Body=BODY)
    boto3_recorded.delete_object(Bucket="aaa", Key=object_key.decode())
    lines = [request.line for request in recorded.upstream.requests]
    assert lines == [f"{method} /aaa/{encoded(object_key)} HTTP/1.1".encode() for method in ("PUT", "DELETE")]


@each_object_key
@pytest.mark.parametrize(
    "query",
    [
        "encoding-type=url&list-type=2&prefix={}",
        "list-type=2&start-after={}",
        "delimiter={}&marker={}",
        "uploads=&key-marker={}",
    ],
)
def test_a_list_asks_for_every_byte_of_its_prefix_and_marker(recorded: Recorded, query: str, object_key: bytes) -> None:
    asked = query.replace("{}", quote(object_key, safe=""))
    assert Way(recorded.signer).ask("GET", f"/aaa?{asked}").status == 200
    in_order = "&".join(sorted(asked.split("&")))
    assert recorded.upstream.only_request().line == f"GET /aaa?{in_order} HTTP/1.1".encode()


@each_object_key
def test_a_copy_names_every_byte_of_its_source(recorded: Recorded, object_key: bytes) -> None:
    recorded.upstream.reset(canned(ok(b"<CopyObjectResult/>")))
    source = f"/aaa/{encoded(object_key)}".encode()
    assert Way(recorded.signer).ask("PUT", "/aaa/to", [("x-amz-copy-source", source)], b"").status == 200
    assert recorded.upstream.only_request().header(b"x-amz-copy-source") == source


def test_a_delete_document_names_every_byte_that_xml_can_say(recorded: Recorded) -> None:
    """It is written anew, so what is compared is what it says."""
    keys = [key.decode() for key in OBJECT_KEYS.values() if not NOT_IN_XML.search(key)]
    rows = "".join(f"<Object><Key>{as_references(key)}</Key></Object>" for key in keys)
    document = f"<Delete>{rows}</Delete>".encode()
    digest = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest())
    Way(recorded.signer).ask("POST", "/aaa?delete=", [("Content-MD5", digest)], document)
    sent = ElementTree.fromstring(bytes(recorded.upstream.only_request().body))
    assert [element.text for element in sent.iterfind(".//{*}Key")] == keys


def as_references(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)


@pytest.mark.parametrize("query", LISTS)
def test_a_list_comes_back_with_every_byte_the_store_wrote(recorded: Recorded, query: str) -> None:
    """Raw, escaped in each way that stores escape, and percent-encoded: none is read and written anew."""
    raw = [key.replace(b"&", b"&amp;").replace(b"<", b"&lt;") for key in OBJECT_KEYS.values()]
    rows = [*raw, *(encoded(key).encode() for key in OBJECT_KEYS.values()), b"a&#13;&#xD;&#x1;&quot;&#34;&gt;\xff"]
    contents = b"".join(b"<Contents><Key>%b</Key><Size>1</Size></Contents>" % row for row in rows)
    document = b'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>aaa</Name>%b</ListBucketResult>'
    recorded.upstream.reset(canned(ok(document % contents, b"content-type: application/xml")))
    assert Way(recorded.signer).ask("GET", f"/aaa?{query}").body == document % contents


REFUSED_KEYS = {
    "1,025 bytes": (b"k" * 1025, "KeyTooLongError"),
    "1,025 bytes of multi-byte characters": (b"k" + "🙂".encode() * 256, "KeyTooLongError"),
    "NUL": (b"a\0b", "InvalidURI"),
    "a byte that is no UTF-8": (b"a\xffb", "InvalidURI"),
    "Latin-1": ("gr\u00fcn".encode("latin-1"), "InvalidURI"),
    "UTF-8 cut off": ("🙂".encode()[:3], "InvalidURI"),
    "overlong UTF-8": (b"a\xc0\xafb", "InvalidURI"),
    "a surrogate": (b"\xed\xa0\x80", "InvalidURI"),
    "beyond Unicode": (b"\xf4\x90\x80\x80", "InvalidURI"),
    "a dot": (b".", "InvalidURI"),
    "two dots": (b"..", "InvalidURI"),
    "a leading dot segment": (b"../k", "InvalidURI"),
    "a dot segment inside": (b"a/./b", "InvalidURI"),
    "two dots inside": (b"a/../b", "InvalidURI"),
    "a trailing dot segment": (b"a/..", "InvalidURI"),
    "a dot segment behind a double slash": (b"a//../b", "InvalidURI"),
}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(("object_key", "code"), REFUSED_KEYS.values(), ids=REFUSED_KEYS)
def test_what_is_no_object_key_is_400_and_no_store_hears_of_it(
    recorded: Recorded, method: str, object_key: bytes, code: str
) -> None:
    body = BODY if method == "PUT" else None
    reply = Way(recorded.signer).ask(method, f"/aaa/{encoded(object_key)}", body=body)
    assert (reply.status, reply.code) == (400, code)
    recorded.upstream.assert_untouched()


@pytest.mark.parametrize(("object_key", "code"), REFUSED_KEYS.values(), ids=REFUSED_KEYS)
def test_what_is_no_object_key_is_no_copy_source_either(recorded: Recorded, object_key: bytes, code: str) -> None:
    source = f"/aaa/{encoded(object_key)}".encode()
    reply = Way(recorded.signer).ask("PUT", "/aaa/to", [("x-amz-copy-source", source)], b"")
    assert (reply.status, reply.code) == (400, code)
    recorded.upstream.assert_untouched()


# ---- metadata ----

METADATA = {
    "underscores": ("x-amz-meta-_a__b_", b"v"),
    "dots": ("x-amz-meta-a.b", b"v"),
    "digits": ("x-amz-meta-123", b"v"),
    "upper case": ("X-Amz-Meta-UPPER", b"Value"),
    "every character of a token": ("x-amz-meta-!#$%&'*+^`|~", b"v"),
    "a long name": ("x-amz-meta-" + "n" * 100, b"v"),
    "leading blanks": ("x-amz-meta-a", b"   v"),
    "trailing blanks": ("x-amz-meta-a", b"v   "),
    "inner blanks": ("x-amz-meta-a", b"a  b   c"),
    "an inner tab": ("x-amz-meta-a", b"a\tb \t c"),
    "outer tabs": ("x-amz-meta-a", b"\tv\t"),
    "UTF-8": ("x-amz-meta-a", "gr\u00fcn \u00a9 \u00df".encode()),
    "an RFC 2047 word": ("x-amz-meta-a", b"=?UTF-8?B?Z3LDvG4=?="),
    "an RFC 2047 word, quoted": ("x-amz-meta-a", b"=?utf-8?q?gr=C3=BCn?="),
    "punctuation": ("x-amz-meta-a", b"~!*'();:@&=+$,/?#[]\"\\%20+"),
    "a list": ("x-amz-meta-a", b"a, b,,c"),
    "nothing": ("x-amz-meta-a", b""),
    "2 KiB": ("x-amz-meta-a", b"v" * 2048),
}
DROPPED = {
    "seaweedfs": {"nothing": "no empty values"},
    "rclone": {"2 KiB": "MetadataTooLarge: more than 2 KiB with the names"},
}


def kept(value: bytes) -> bytes:
    """RFC 9110, 5.5: blanks around a value are not of the value."""
    return value.strip(b" \t")


def metadata_in(reply: RawReply) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in reply.headers if name.startswith(b"x-amz-meta-")]


@on_stores(*EVERY_STORE)
@pytest.mark.parametrize("name", METADATA)
def test_odd_metadata_comes_back_as_if_put_directly(twins: Twins, store_name: str, name: str) -> None:
    header, value = METADATA[name]
    put = twins.direct.ask("PUT", f"/{twins.plain}/k", [(header, value)], BODY)
    through = twins.gateway.ask("PUT", f"/{twins.fronted}/k", [(header, value)], BODY)
    assert (through.status, through.code) == (put.status, put.code)
    held = metadata_in(twins.direct.ask("HEAD", f"/{twins.plain}/k"))
    for way in (twins.direct, twins.gateway):
        for method in ("HEAD", "GET"):
            assert metadata_in(way.ask(method, f"/{twins.fronted}/k")) == held
    assert (held == [(header.lower().encode(), kept(value))]) == (name not in DROPPED[store_name])


@pytest.mark.parametrize(("header", "value"), METADATA.values(), ids=METADATA)
def test_the_store_gets_every_byte_of_odd_metadata(recorded: Recorded, header: str, value: bytes) -> None:
    assert Way(recorded.signer).ask("PUT", "/aaa/k", [(header, value)], BODY).status == 200
    line = b"%b: %b" % (header.lower().encode(), kept(value))
    assert line in recorded.upstream.only_request().head.split(b"\r\n")


@pytest.mark.parametrize(("header", "value"), METADATA.values(), ids=METADATA)
def test_the_client_gets_every_byte_of_odd_metadata(recorded: Recorded, header: str, value: bytes) -> None:
    recorded.upstream.reset(canned(ok(BODY, b"%b: %b" % (header.encode(), kept(value)))))
    with recorded.connect() as connection:
        connection.send(recorded.signer.head("GET", "/aaa/k"))
        head = connection.read(1)
        while not head.endswith(b"\r\n\r\n"):
            head += connection.read(1)
    assert b"%b: %b" % (header.lower().encode(), kept(value)) in head.split(b"\r\n")


def test_boto3_s_metadata_reaches_the_store_byte_for_byte(recorded: Recorded, boto3_recorded: Any) -> None:
    """All at once, but for UTF-8: botocore refuses to send it."""
    every = enumerate(METADATA.values())
    sent = {f"{number}{name[11:].lower()}": value.decode() for number, (name, value) in every if value.isascii()}
    boto3_recorded.put_object(Bucket="aaa", Key="k", Body=BODY, Metadata=sent)
    request = recorded.upstream.only_request()
    for name, value in sent.items():
        assert request.values(f"x-amz-meta-{name}".encode()) == [kept(value.encode())]


@on_stores(*EVERY_STORE)
@pytest.mark.parametrize("name", [name for name, (_, value) in METADATA.items() if value.isascii()])
def test_boto3_reads_the_metadata_it_wrote(s3: Any, direct: Any, twins: Twins, name: str) -> None:
    header, value = METADATA[name]
    metadata = {header.lower().removeprefix("x-amz-meta-"): value.decode()}
    put = outcome(lambda: direct.put_object(Bucket=twins.plain, Key="k", Body=BODY, Metadata=metadata)["ETag"])
    assert outcome(lambda: s3.put_object(Bucket=twins.fronted, Key="k", Body=BODY, Metadata=metadata)["ETag"]) == put
    held = outcome(lambda: of_boto3(direct, twins.plain))
    assert outcome(lambda: of_boto3(direct, twins.fronted)) == held
    assert outcome(lambda: of_boto3(s3, twins.fronted)) == held


def of_boto3(client: Any, bucket: str) -> dict[str, str]:
    """Lower-case: rclone capitalizes the names of headers, the gateway writes them as S3 does."""
    metadata: dict[str, str] = client.head_object(Bucket=bucket, Key="k")["Metadata"]
    return {name.lower(): value for name, value in metadata.items()}
