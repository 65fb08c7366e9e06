"""The answer to a delete of many objects of which the key may not touch all."""

import xml.etree.ElementTree as ET

from gateway.authorize import Authorized, authorize_body
from gateway.respond import ReplyAction, ReplyRules, nothing_deleted_reply, plan_reply, rebuild
from keystore.scope import BucketGrant, SpecificBuckets
from tests.support.admitted import admit, reply_head

ID = b"0123456789ABCDEF"
RULES = ReplyRules(b"us-east-1")
TEAM = SpecificBuckets((BucketGrant("aaa", prefix="team/"),))
DELETED = (
    b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Deleted><Key>team/a</Key></Deleted></DeleteResult>'
)


def decided(*objects: str) -> Authorized:
    authorized = admit("POST", "/aaa?delete", {"content-md5": "x"}, scope=TEAM)
    authorize_body(authorized, f"<Delete>{''.join(objects)}</Delete>".encode(), b"us-east-1")
    return authorized


INSIDE = "<Object><Key>team/a</Key></Object>"
BESIDE = "<Object><Key>x&lt;&amp;</Key><VersionId>v</VersionId></Object>"


def errors(document: bytes) -> list[dict[str, str | None]]:
    root = ET.fromstring(document)
    found = [child for child in root if child.tag.endswith("Error")]
    return [{entry.tag.rpartition("}")[2]: entry.text for entry in one} for one in found]


REFUSED = [{"Key": "x<&", "VersionId": "v", "Code": "AccessDenied", "Message": "Access Denied."}]


def test_what_was_refused_stands_beside_what_the_store_says() -> None:
    authorized = decided(INSIDE, BESIDE)
    reply = reply_head(200, [])
    assert plan_reply(reply, authorized, ID, RULES).action is ReplyAction.REBUILD
    _, document = rebuild(reply, DELETED, authorized, ID, RULES)
    assert errors(document) == REFUSED
    assert b"<Deleted><Key>team/a</Key></Deleted>" in document


def test_where_nothing_was_refused_the_store_answers_alone() -> None:
    _, document = rebuild(reply_head(200, []), DELETED, decided(INSIDE), ID, RULES)
    assert document.partition(b"\n")[2] == DELETED


def test_where_everything_was_refused_the_answer_is_ours() -> None:
    head, document = nothing_deleted_reply(decided(BESIDE), ID)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert errors(document) == REFUSED
