"""The store's result of a delete of many objects, written anew."""

import pytest

from gateway.delete_result import delete_result, nothing_deleted
from gateway.s3.control import Refused
from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import DECLARATION, NAMESPACE

HIDDEN = ("store.internal", "akiastore")


def written(inside: str) -> bytes:
    return f'{DECLARATION}<DeleteResult xmlns="{NAMESPACE}">{inside}</DeleteResult>'.encode()


def rewritten(inside: str, *refused: Refused) -> bytes:
    return delete_result(f"<DeleteResult>{inside}</DeleteResult>".encode(), refused, HIDDEN)


def test_what_was_deleted_stays_as_the_store_says() -> None:
    marker = "<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>v</DeleteMarkerVersionId>"
    deleted = f"<Deleted><Key>a&lt;b</Key>{marker}</Deleted>"
    assert rewritten(deleted) == rewritten(f"\n  {deleted}<!-- x --><Unheard>y</Unheard>") == written(deleted)
    assert delete_result(b"<DeleteResult/>", (), HIDDEN) == written("")


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("NoSuchKey", "gone", ("NoSuchKey", "gone")),
        ("AccessDenied", "User: arn:aws:iam::1:user/gw is not authorized", ("AccessDenied", "Access Denied.")),
        ("Conflict", "at Store.internal:9", ("Conflict", "The store refused the request.")),
        ("InvalidAccessKeyId", "AKIASTORE", ("InternalError", Code.INTERNAL_ERROR.message)),
        ("", "", ("InternalError", Code.INTERNAL_ERROR.message)),
    ],
)
def test_an_error_of_one_object_obeys_the_rules_of_all_errors(code: str, message: str, told: tuple[str, str]) -> None:
    error = "<Error><Key>k</Key><Code>{}</Code><Message>{}</Message></Error>"
    assert rewritten(error.format(code, message)) == written(error.format(*told))


def test_what_was_refused_here_stands_behind_what_the_store_says() -> None:
    refusal = "<Error><Key>&lt;k</Key>{}<Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"
    versioned = refusal.format("<VersionId>v</VersionId>")
    deleted = "<Deleted><Key>a</Key></Deleted>"
    assert rewritten(deleted, Refused("<k", "v")) == written(deleted + versioned)
    assert nothing_deleted((Refused("<k", ""),)) == written(refusal.format(""))


@pytest.mark.parametrize("body", [b"", b"text", b"<Error/>", b"<DeleteResult>", b"<!DOCTYPE a><DeleteResult/>"])
def test_another_document_is_nonsense(body: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        delete_result(body, (), HIDDEN)
    assert caught.value.code is Code.INTERNAL_ERROR
