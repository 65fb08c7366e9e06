"""Generated requests that name `bbb` every way there is, under a key for `aaa`: the store never sees `bbb` named."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.attacks import presigned_head, recorded_gateway
from tests.support.house import Recorded
from tests.support.recording_upstream import RecordedRequest
from tests.support.soak import TIMES

pytestmark = pytest.mark.server  # many, and some with a gateway of their own

EXAMPLES = 150 * TIMES
SOURCE = "x-amz-copy-source"
# Whatever else the client said stays with the gateway, or is refused.
PASSING = frozenset(
    b"host authorization x-amz-date x-amz-content-sha256 accept-encoding user-agent content-length content-type range "
    b"x-amz-copy-source x-amz-meta-a x-amz-meta-a_b".split()
)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("generated")
    with recorded_gateway(folder, settings={"s3": {"domains": ["gw.example"]}}) as recorded:
        yield recorded


@dataclass(frozen=True, slots=True)
class Attempt:
    """`path` as it stands on the wire; `query` in canonical encoding."""

    method: str
    host: str
    path: str
    query: str
    signed: tuple[tuple[str, str], ...]
    unsigned: tuple[tuple[str, str], ...]
    presigned: bool

    @property
    def canonical_path(self) -> str:
        return quote(unquote_to_bytes(self.path), safe="/")

    def head(self, recorded: Recorded) -> bytes:
        """Well signed by the key for `aaa`, so that nothing but its meaning can be the reason to refuse it."""
        signer = replace(recorded.scoped, host=self.host)
        target = f"{self.canonical_path}?{self.query}" if self.query else self.canonical_path
        length = (("Content-Length", "0"),) if self.method in ("PUT", "POST") else ()
        make = presigned_head if self.presigned else type(signer).head
        head = make(signer, self.method, target, self.signed, unsigned=(*self.unsigned, *length))
        return head.replace(f" {self.canonical_path}".encode(), f" {self.path}".encode(), 1)


def _mostly(usual: str, *others: str) -> st.SearchStrategy[str]:
    return st.sampled_from((*[usual] * 2 * len(others), *others))


@st.composite
def spelled(draw: st.DrawFn, word: str) -> str:
    """The word with some of its characters percent-encoded, once or twice, or in capitals."""
    ways = st.sampled_from(("{0}", "{0}", "{0}", "%{1:02x}", "%{1:02X}", "%25{1:02x}", "{2}"))
    return "".join(draw(ways).format(char, ord(char), char.upper()) for char in word)


SLASHES = _mostly("/", "//", "%2F", "%2f", "%252F", "\\", "%5C", "/./", "/../", "/%2e%2e/", "/.%2E/", ";/", "?/", "#/")
WORDS = st.one_of(
    st.sampled_from(("bbb", "bbb", "secret", "..", ".", "%2e%2e", "", "aaa", "%00", "*", "~")),
    spelled("bbb"),
    spelled("aaa"),
)


BEGINNINGS = st.sampled_from(("aaa",) * 6 + ("bbb",) * 4 + ("", "..", "aaa.", "aaab", "AAA", "%62bb"))


@st.composite
def walks(draw: st.DrawFn) -> str:
    """`aaa` or another beginning, and from there anywhere."""
    steps = draw(st.lists(st.tuples(SLASHES, WORDS), max_size=3))
    return draw(BEGINNINGS) + "".join(slash + word for slash, word in steps) + draw(_mostly("/k", ""))


BEFORE = _mostly("/", "", "//", "%2F", "http://", "http://aaa/", "s3://", "arn:aws:s3:::", "tenant:", "/./", " /")
BEHIND = _mostly("", "?versionId=1", "?versionId=../bbb/k", "?versionId=1&versionId=2", "#/bbb/k", "?/bbb/k", "%00")
SOURCES = st.tuples(BEFORE, walks(), BEHIND).map("".join)
SOURCE_NAMES = st.sampled_from(
    (SOURCE, SOURCE, SOURCE, SOURCE.upper(), SOURCE.title(), "x_amz_copy_source", "x-amz_copy-source")
)
OTHER_NAMES = st.sampled_from(
    "x-amz-rename-source x-rgw-copy-source X-Original-URL X-Rewrite-URL X-Forwarded-Host Destination Forwarded Cookie "
    "x-amz-meta-a x-amz-meta-a_b X-HTTP-Method-Override x_amz_acl x-amz-bucket".split()
)
PARAMETERS = _mostly("versionId", SOURCE, "X-Amz-Copy-Source", "uploadId", "prefix", "bucket", "rgwx-uid")
QUERIES = st.one_of(
    st.tuples(PARAMETERS, SOURCES).map(lambda pair: f"{pair[0]}={quote(pair[1], safe='')}"),
    st.sampled_from(("uploads=", "list-type=2", "partNumber=1&uploadId=u", "delete=", "tagging=", "acl=")),
)
HOSTS = _mostly(
    "aaa.gw.example", "bbb.gw.example", "bbb.aaa.gw.example", "aaa.bbb.gw.example", "localhost", "127.0.0.1"
)


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    """An ordinary request of which one or two things are not."""
    odd = draw(st.sets(st.sampled_from(("host", "path", "source", "header", "query")), min_size=1, max_size=2))
    copies = "source" in odd
    headers = [(draw(SOURCE_NAMES), draw(SOURCES))] if copies else []
    if "header" in odd:
        headers.append((draw(OTHER_NAMES), draw(SOURCES)))
    unsigned = draw(st.booleans()) and draw(st.booleans())
    return Attempt(
        method="PUT" if copies else draw(st.sampled_from(("GET", "PUT", "HEAD", "DELETE", "POST"))),
        host=draw(HOSTS) if "host" in odd else "gw.example",
        path="/" + (draw(walks()) if "path" in odd else "aaa/k"),
        query=draw(QUERIES) if "query" in odd else "",
        signed=() if unsigned else tuple(headers),
        unsigned=tuple(headers) if unsigned else (),
        presigned=draw(st.booleans()),
    )


# An object of `aaa` that is named like the other bucket is no attack: it passes, or nothing here proves anything.
WITHIN = Attempt("GET", "gw.example", "/aaa/bbb/k", "", (), (), presigned=False)


def _assert_only_aaa(path: bytes) -> None:
    """However it is read, as it stands or decoded: an absolute path in `aaa` without a step anywhere else."""
    for reading in (path, unquote_to_bytes(path)):
        assert reading.startswith(b"/aaa/") or reading == b"/aaa", path
        assert not {b".", b".."} & set(reading.replace(b"\\", b"/").split(b"/")), path
        assert b"\0" not in reading


def _assert_names_only_aaa(request: RecordedRequest) -> None:
    method, target, version = request.line.split(b" ")
    assert version == b"HTTP/1.1"
    path, _, query = target.partition(b"?")
    if (method, path) != (b"GET", b"/"):  # ListBuckets, whose answer is filtered
        _assert_only_aaa(path)
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.partition(b"=")
        assert not unquote_to_bytes(name).lower().startswith((b"x-amz-", b"rgwx-", b"bucket"))
        assert not {b".", b".."} & set(unquote_to_bytes(value).split(b"/")[:-1]), pair
    for source in request.values(SOURCE.encode()):
        _assert_only_aaa(source.partition(b"?")[0])
    assert len(request.values(SOURCE.encode())) <= 1
    assert {name.lower() for name, _ in request.headers} <= PASSING


def test_no_generated_request_of_a_key_for_aaa_names_bbb_to_the_store(hosted: Recorded) -> None:
    reached: list[RecordedRequest] = []

    @settings(max_examples=EXAMPLES)
    @example(WITHIN)
    @given(attempts())
    def attempt(made: Attempt) -> None:
        hosted.upstream.reset()
        reply = hosted.ask(made.head(hosted), head_request=made.method == "HEAD")
        seen = list(hosted.upstream.requests)
        assert len(seen) <= 1
        assert seen or (hosted.upstream.connections == 0 and reply.status >= 400)
        for request in seen:
            _assert_names_only_aaa(request)
        reached.extend(seen)

    attempt()
    # else nothing was tried
    assert len(reached) >= EXAMPLES // 10
    assert any(request.values(SOURCE.encode()) for request in reached)
    assert any(b"bbb" in request.line for request in reached)
