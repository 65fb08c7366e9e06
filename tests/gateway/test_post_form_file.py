"""The file of a form as a payload: bytes out as they went in, within the policy's sizes, under the declared digests."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authorize import Policy
from gateway.pipeline import Rules
from gateway.post_form import AdmittedForm, FormRequest, admit_form, form_payload, open_form
from gateway.s3.addressing import Addressing
from gateway.s3.errors import Code, S3Error
from gateway.s3.form_data import Block, FormReader
from gateway.s3.profile import PROFILES
from tests.support.admitted import lookups_of
from tests.support.forms import form_body, form_fields, form_head
from tests.support.requests import DUMMY, NOW, RULES, known_key

ROAD = Rules(
    Addressing((), frozenset(), dot_segments=False),
    RULES,
    Policy(PROFILES["generic"], frozenset(), dot_segments=False),
    DUMMY,
)
KNOWN = known_key(b"20260921")


def opened() -> FormRequest:
    form = open_form(form_head(), ROAD)
    assert form is not None
    return form


def admitted(form: FormRequest, reader: FormReader) -> AdmittedForm:
    return admit_form(form, reader.fields, reader.filename, lookups_of(lambda access_key_id, date: KNOWN), NOW, ROAD)


def sent(
    content: bytes, held: int, fields: dict[bytes, bytes] | None = None, *, cut: int = 0, behind: bytes = b""
) -> tuple[bytes, int | None]:
    """The file as it leaves, in blocks of `cut` bytes, and the length that was promised for it."""
    form = opened()
    body = form_body(fields or form_fields("k"), content)
    body = body.removesuffix(b"--B-o--\r\n") + behind + b"--B-o--\r\n"
    blocks = [body[at : at + cut] for at in range(0, len(body), cut)] if cut else [body]
    reader, begun = FormReader(form.boundary), list[Block]()
    while not reader.file_begun:
        begun = reader.feed(blocks.pop(0))
    accepted = admitted(form, reader)
    payload = form_payload(accepted, reader, begun, len(body), held)
    out = b"".join([bytes(piece) for block in (b"", *blocks) for piece in payload.feed(block)])
    assert payload.framed
    assert not payload.signed
    assert payload.finish() == {}
    assert payload.all_decoded is (payload.length is not None)
    return out, payload.length


def lost(*arguments: Any, **more: Any) -> S3Error:
    with pytest.raises(S3Error) as caught:
        sent(*arguments, **more)
    return caught.value


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 60))
def test_the_file_comes_out_as_it_went_in_and_a_large_one_with_its_length(content: bytes, held: int, cut: int) -> None:
    out, length = sent(content, held, cut=cut)
    assert out == content
    assert length == (None if len(content) + 2 <= held else len(content))


SUBMIT = b'--B-o\r\nContent-Disposition: form-data; name="submit"\r\n\r\nUpload\r\n'


@pytest.mark.parametrize("cut", [0, 1, 50])
def test_only_a_file_that_may_wait_may_have_fields_behind_it(cut: int) -> None:
    assert sent(b"content", 1000, cut=cut, behind=SUBMIT) == (b"content", None)
    assert lost(b"content", 10, cut=cut, behind=SUBMIT).code is Code.MALFORMED_POST_REQUEST


@pytest.mark.parametrize("held", [0, 1000])
@pytest.mark.parametrize(
    ("size", "code"), [(2, Code.ENTITY_TOO_SMALL), (3, None), (5, None), (6, Code.ENTITY_TOO_LARGE)]
)
def test_the_policys_sizes_are_enforced_on_the_real_file(held: int, size: int, code: Code | None) -> None:
    fields = form_fields("k", {}, [["content-length-range", 3, 5]])
    for cut in (0, 1):
        if code is None:
            sent(b"x" * size, held, fields, cut=cut)
        else:
            assert lost(b"x" * size, held, fields, cut=cut).code is code


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("content-md5", base64.b64encode(hashlib.md5(b"content").digest()).decode()),
        ("x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(b"content").digest()).decode()),
    ],
)
def test_a_digest_in_a_field_is_that_of_the_file(name: str, right: str) -> None:
    fields = form_fields("k", {name: right}, [{name: right}])
    sent(b"content", 1000, fields)
    assert lost(b"contenu", 1000, fields).code is Code.BAD_DIGEST
    assert lost(b"contenu", 0, fields, cut=20).code is Code.BAD_DIGEST


@pytest.mark.parametrize(("size", "code"), [(2, Code.ENTITY_TOO_SMALL), (6, Code.ENTITY_TOO_LARGE)])
def test_a_large_file_of_the_wrong_size_is_refused_before_it_is_read(size: int, code: Code) -> None:
    form = opened()
    body = form_body(form_fields("k", {}, [["content-length-range", 3, 5]]), b"x" * size)
    reader = FormReader(form.boundary)
    begun = reader.feed(body[: -size - len(b"\r\n--B-o--\r\n")])
    assert reader.file_begun
    assert reader.file_size == 0
    with pytest.raises(S3Error) as caught:
        form_payload(admitted(form, reader), reader, begun, len(body), held=0)
    assert caught.value.code is code


def test_a_form_that_ends_early_never_finishes() -> None:
    form = opened()
    body = form_body(form_fields("k"), b"content")
    reader = FormReader(form.boundary)
    begun = reader.feed(body[:-12])
    accepted = admitted(form, reader)
    payload = form_payload(accepted, reader, begun, len(body), 1000)
    payload.feed(b"")
    with pytest.raises(S3Error) as caught:
        payload.finish()
    assert caught.value.code is Code.MALFORMED_POST_REQUEST
