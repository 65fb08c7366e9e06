"""Elements replaced in the store's documents, on bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reply_documents import (
    location_constraint,
    name_account,
    replace_element,
    root_begins,
    root_element,
    upload_id_in,
)
from gateway.s3.errors import Code, S3Error

OWNER = b"<Owner><ID>default</ID><DisplayName>default</DisplayName></Owner>"


@pytest.mark.parametrize(
    "owner",
    [
        b"<Owner><ID>store</ID><DisplayName>root</DisplayName></Owner>",
        b"<Owner><DisplayName></DisplayName><ID></ID></Owner>",
        b"<Owner></Owner>",
        b"<Owner/>",
        b"<Owner />",
        b'<Owner xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>s</ID></Owner>',
        b"<Owner\n><ID>store</ID>\n</Owner>",
    ],
)
def test_every_spelling_of_an_owner_becomes_the_account(owner: bytes) -> None:
    entry = b"<Contents><Key>k</Key>%b<Size>1</Size></Contents>"
    assert name_account(entry % owner * 3, "default") == entry % OWNER * 3


def test_the_initiator_is_the_account_too() -> None:
    document = name_account(b"<Initiator><ID>s</ID></Initiator><Owner><ID>s</ID></Owner>", "default")
    assert document == OWNER.replace(b"Owner", b"Initiator") + OWNER


def test_elements_that_begin_alike_and_text_that_looks_alike_are_left_alone() -> None:
    document = b"<OwnerOverride>x</OwnerOverride><Key>&lt;Owner&gt;s&lt;/Owner&gt;</Key>"
    assert name_account(document, "default") == document


def test_the_account_is_escaped() -> None:
    assert b"<ID>a&lt;b&amp;</ID>" in name_account(b"<Owner/>", "a<b&")


@pytest.mark.parametrize("document", [b"<Owner>", b"<Owner><ID>x", b"<Owner", b"<Owner><Owner></Owner>"])
def test_an_element_left_open_is_nonsense(document: bytes) -> None:
    with pytest.raises(S3Error) as refused:
        name_account(document, "default")
    assert refused.value.code is Code.INTERNAL_ERROR


@given(st.lists(st.sampled_from([b"<Owner>", b"</Owner>", b"<Owner/>", b"store", b"<a>", b"<Ownerx>"]), max_size=12))
def test_nothing_inside_an_owner_survives(pieces: list[bytes]) -> None:
    try:
        document = replace_element(b"".join(pieces), b"Owner", b"ours")
    except S3Error:
        return
    for inside in document.split(b"<Owner>")[1:]:
        assert inside.startswith(b"ours</Owner>")


@pytest.mark.parametrize("before", [b"", b" \n ", b'<?xml version="1.0"?>', b'\n <?xml version="1.0"?>\n  \n'])
def test_a_document_begins_at_its_root(before: bytes) -> None:
    assert root_element(before + b"<A>x</A>\n") == b"<A>x</A>"


@pytest.mark.parametrize("body", [b"", b"   ", b"<?xml version='1.0'?>", b"OK", b"{}"])
def test_no_document_is_nonsense(body: bytes) -> None:
    with pytest.raises(S3Error) as refused:
        root_element(body)
    assert refused.value.code is Code.INTERNAL_ERROR


def test_us_east_1_is_the_empty_location() -> None:
    assert location_constraint(b"us-east-1").endswith(b'doc/2006-03-01/"></LocationConstraint>')
    assert location_constraint(b"eu-central-1").endswith(b'2006-03-01/">eu-central-1</LocationConstraint>')


BEGUN = b"<InitiateMultipartUploadResult%b><Bucket>b</Bucket><Key>%b</Key>%b</InitiateMultipartUploadResult>"


@pytest.mark.parametrize("namespace", [b"", b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', b' xmlns="urn:x"'])
def test_the_id_of_an_upload_is_read_as_the_store_means_it(namespace: bytes) -> None:
    named = b"<UploadId> a&amp;b/%c3%a9 </UploadId>".replace(b"%c3%a9", b"\xc3\xa9")
    document = BEGUN % (namespace, b"&lt;UploadId>no&lt;/UploadId>", named)
    assert upload_id_in(b'<?xml version="1.0" encoding="UTF-8"?>\n' + document) == "a&b/é".encode()


@pytest.mark.parametrize(
    "inside", [b"", b"<UploadId/>", b"<UploadId></UploadId>", b"<UploadId>a</UploadId><UploadId>b</UploadId>"]
)
def test_what_names_no_upload_or_two_names_none(inside: bytes) -> None:
    assert upload_id_in(BEGUN % (b"", b"k", inside)) == b""
    for broken in (b"", b"hello", BEGUN[:-5] % (b"", b"k", b"<UploadId>a</UploadId>")):
        assert upload_id_in(broken) == b""


def test_how_a_root_begins_is_seen_behind_declaration_and_white_space() -> None:
    assert root_begins(b'  <?xml version="1.0"?>\n  <CompleteX xmlns="y">', b"<CompleteX")
    assert not root_begins(b"<Error>", b"<CompleteX")
    for none in (b"", b"   ", b"hello", b'<?xml version="1.0"?>'):
        assert not root_begins(none, b"<CompleteX")
