"""Rules by which objects expire: what one may say, within which bounds, and that it says the same written anew."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.s3.bucket_documents import MAX_NEWER_VERSIONS, MAX_RULE_ID, MAX_RULES, MAX_TAGS, lifecycle
from gateway.s3.errors import Code, S3Error
from gateway.s3.xml import DECLARATION, NAMESPACE, escape, parse
from tests.support.moments import BAD_DATES

EXPIRES = "<Expiration><Days>1</Days></Expiration>"
TAG = "<Tag><Key>k</Key><Value></Value></Tag>"


def rebuilt(inside: str) -> str:
    return lifecycle(f"<LifecycleConfiguration>{inside}</LifecycleConfiguration>".encode()).decode()


def kept(inside: str) -> str:
    """What of `inside` is written anew."""
    before, after = f'{DECLARATION}<LifecycleConfiguration xmlns="{NAMESPACE}">', "</LifecycleConfiguration>"
    document = rebuilt(inside)
    assert document.startswith(before)
    assert document.endswith(after)
    return document[len(before) : -len(after)]


def refusal(inside: str) -> Code:
    with pytest.raises(S3Error) as caught:
        rebuilt(inside)
    return caught.value.code


def rule(*parts: str, where: str = "<Filter></Filter>") -> str:
    """A lifecycle rule: its actions behind a filter and a status, its id in front."""
    ids = "".join(part for part in parts if part.startswith("<ID"))
    actions = "".join(part for part in parts if not part.startswith("<ID"))
    return f"<Rule>{ids}{where}<Status>Enabled</Status>{actions}</Rule>"


def filtered(inside: str) -> str:
    return rule(EXPIRES, where=f"<Filter>{inside}</Filter>")


@pytest.mark.parametrize(
    "action",
    [
        "<Expiration><Days>2147483647</Days></Expiration>",
        "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>",
        "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
        "<Expiration><ExpiredObjectDeleteMarker>false</ExpiredObjectDeleteMarker></Expiration>",
        "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
        f"<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>{MAX_NEWER_VERSIONS}"
        "</NewerNoncurrentVersions></NoncurrentVersionExpiration>",
        "<NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions>"
        "</NoncurrentVersionExpiration>",
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
    ],
)
def test_each_action_is_written_anew(action: str) -> None:
    assert kept(rule(action)) == rule(action)


@pytest.mark.parametrize(
    "where",
    [
        "<Prefix></Prefix>",
        "<Prefix>logs/</Prefix>",
        "<Filter></Filter>",
        "<Filter><Prefix></Prefix></Filter>",
        "<Filter><Prefix> a&amp;&#13;ü </Prefix></Filter>",
        f"<Filter>{TAG}</Filter>",
        "<Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter>",
        "<Filter><ObjectSizeLessThan>9223372036854775807</ObjectSizeLessThan></Filter>",
        f"<Filter><And><Prefix>p</Prefix>{TAG}{TAG.replace('k', 'l')}<ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>"
        "<ObjectSizeLessThan>6</ObjectSizeLessThan></And></Filter>",
    ],
)
def test_a_rule_says_for_which_objects_it_is(where: str) -> None:
    assert kept(rule(EXPIRES, where=where)) == rule(EXPIRES, where=where)


def test_a_rule_is_written_in_the_order_of_s3() -> None:
    abort = (
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    )
    mixed = f"<Rule>{abort}{EXPIRES}<Status>Disabled</Status><Filter>{TAG}</Filter><ID>i</ID></Rule>"
    assert kept(mixed) == (f"<Rule><ID>i</ID><Filter>{TAG}</Filter><Status>Disabled</Status>{EXPIRES}{abort}</Rule>")


@pytest.mark.parametrize(
    "inside",
    [
        "<Rule/>",
        f"<Rule><Filter/>{EXPIRES}</Rule>",
        f"<Rule><Status>Enabled</Status>{EXPIRES}</Rule>",
        rule(EXPIRES, where="<Filter/><Prefix/>"),
        rule(EXPIRES).replace("Enabled", "enabled"),
        rule(EXPIRES).replace("Enabled", " Enabled"),
        filtered("logs/"),
        filtered("<Prefix>a</Prefix><Prefix>b</Prefix>"),
        filtered(f"<Prefix>a</Prefix>{TAG}"),
        filtered(TAG * 2),
        filtered("<And/>"),
        filtered("<And><And><Prefix>a</Prefix></And></And>"),
        filtered("<And><Prefix>a</Prefix><Prefix>b</Prefix></And>"),
        filtered("<Tag><Key>k</Key></Tag>"),
        filtered("<Tag><Value>v</Value></Tag>"),
        filtered("<Prefix>a<b/></Prefix>"),
        rule("<Expiration/>"),
        rule("<Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>"),
        rule("<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"),
        rule("<Expiration><ExpiredObjectDeleteMarker>yes</ExpiredObjectDeleteMarker></Expiration>"),
        rule("<Expiration><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration>"),
        rule("<DelMarkerExpiration><Days>1</Days></DelMarkerExpiration>"),
        rule("<NoncurrentVersionExpiration/>"),
        rule("<AbortIncompleteMultipartUpload/>"),
        rule("<Expiration><Days/></Expiration>"),
        *(rule(EXPIRES.replace("1", days)) for days in ("x", "+1", "01", "1.0", "1e3", "１", " 1", "1_0", "9" * 20)),
        rule(EXPIRES) + "<Bucket>bbb</Bucket>",
    ],
)
def test_a_lifecycle_that_says_anything_else_is_malformed(inside: str) -> None:
    assert refusal(inside) is Code.MALFORMED_XML


@pytest.mark.parametrize(
    "inside",
    [
        *(rule(EXPIRES.replace("1", days)) for days in ("0", "-1", "2147483648")),
        rule("<Expiration><Date>2030-01-01T00:00:01Z</Date></Expiration>"),
        rule("<Expiration><Date>2030-01-01T00:00:00+01:00</Date></Expiration>"),
        *(
            rule(f"<NoncurrentVersionExpiration><NewerNoncurrentVersions>{kept}</NewerNoncurrentVersions>"
                 "</NoncurrentVersionExpiration>")
            for kept in (0, MAX_NEWER_VERSIONS + 1)
        ),
        filtered("<ObjectSizeGreaterThan>-1</ObjectSizeGreaterThan>"),
        filtered("<ObjectSizeLessThan>0</ObjectSizeLessThan>"),
        filtered("<ObjectSizeLessThan>9223372036854775808</ObjectSizeLessThan>"),
        filtered(TAG.replace("k", "")),
        filtered(TAG.replace("k", "k" * 129)),
        filtered(TAG.replace("<Value>", "<Value>" + "v" * 257)),
        filtered(f"<And>{TAG * (MAX_TAGS + 1)}</And>"),
        filtered(f"<Prefix>{'ü' * 512}a</Prefix>"),
        rule(f"<ID>{'i' * (MAX_RULE_ID + 1)}</ID>", EXPIRES),
        rule("<ID>i</ID>", EXPIRES) * 2,
    ],
)  # fmt: skip
def test_a_value_out_of_bounds_is_an_invalid_argument(inside: str) -> None:
    assert refusal(inside) is Code.INVALID_ARGUMENT


def test_what_is_just_within_bounds_passes() -> None:
    for inside in (
        rule(f"<ID>{'ü' * MAX_RULE_ID}</ID>", EXPIRES),
        filtered(f"<Prefix>{'ü' * 512}</Prefix>"),
        filtered(f"<And>{TAG * MAX_TAGS}</And>"),
        filtered(TAG.replace("k", "k" * 128).replace("<Value>", "<Value>" + "v" * 256)),
        rule("<ID></ID>", EXPIRES) * 2,
    ):
        assert kept(inside) == inside


def test_a_rule_without_an_action_is_refused() -> None:
    assert refusal(rule()) is Code.INVALID_REQUEST
    assert refusal(rule(EXPIRES) + rule()) is Code.INVALID_REQUEST


@pytest.mark.parametrize("prefix", ["../bbb/", "a/../../bbb", "..", "./a", "a/./", "..\\bbb", "a\\..\\b"])
def test_a_prefix_that_walks_out_of_the_bucket_is_refused(prefix: str) -> None:
    """SeaweedFS keeps a bucket as a folder and would look for what has expired below it."""
    for where in ("<Prefix>{}</Prefix>", "<Filter><Prefix>{}</Prefix></Filter>"):
        assert refusal(rule(EXPIRES, where=where.format(prefix))) is Code.INVALID_ARGUMENT
    assert refusal(filtered(f"<And><Prefix>{prefix}</Prefix>{TAG}</And>")) is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("2030-01-01", "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00Z"),
        ("2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00Z"),
        ("2030-01-01T02:00:00+02:00", "2030-01-01T00:00:00Z"),
    ],
)
def test_a_date_is_midnight_in_utc(said: str, written: str) -> None:
    assert f"<Date>{written}</Date>" in kept(rule(f"<Expiration><Date>{said}</Date></Expiration>"))


@pytest.mark.parametrize("said", BAD_DATES)
def test_what_is_no_date_is_malformed(said: str) -> None:
    assert refusal(rule(f"<Expiration><Date>{said}</Date></Expiration>")) is Code.MALFORMED_XML


def test_a_lifecycle_has_at_most_1000_rules_of_ten_tags_each() -> None:
    assert kept(rule(EXPIRES) * MAX_RULES).count("<Rule>") == 1000
    assert refusal(rule(EXPIRES) * (MAX_RULES + 1)) is Code.MALFORMED_XML
    largest = filtered(f"<And>{TAG.replace('k', 'k' * 128) * MAX_TAGS}</And>") * MAX_RULES
    assert kept(largest) == largest


# ---- what leads out of the bucket ----

TRANSITION = "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"
NONCURRENT = TRANSITION.replace("Transition>", "NoncurrentVersionTransition>").replace("<Days", "<NoncurrentDays")


@pytest.mark.parametrize("transition", [TRANSITION, NONCURRENT.replace("/Days", "/NoncurrentDays"), "<Transition/>"])
def test_b23_no_rule_moves_objects_to_a_storage_class(transition: str) -> None:
    for inside in (rule(transition), rule(EXPIRES, transition), rule(EXPIRES) + rule(transition), transition):
        assert refusal(inside) is Code.ACCESS_DENIED


def test_b23_a_transition_is_refused_in_the_namespace_of_s3_too() -> None:
    spelled = TRANSITION.replace("<Transition>", f'<x:Transition xmlns:x="{NAMESPACE}">').replace("</T", "</x:T")
    assert refusal(rule(EXPIRES, spelled)) is Code.ACCESS_DENIED


# ---- laws ----

said = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(escape)
words = said.filter(bool)
dotless = said.filter(lambda text: "." not in text)
numbers = st.integers(1, 100)
tags = st.builds("<Tag><Key>{}</Key><Value>{}</Value></Tag>".format, words, said)
prefixes = st.builds("<Prefix>{}</Prefix>".format, dotless)
more = st.builds("<ObjectSizeGreaterThan>{}</ObjectSizeGreaterThan>".format, numbers)
less = st.builds("<ObjectSizeLessThan>{}</ObjectSizeLessThan>".format, numbers)
every = st.builds(
    "<And>{}{}{}{}</And>".format, prefixes, st.lists(tags, max_size=3).map("".join), more | st.just(""), less
)
wheres = prefixes | st.builds("<Filter>{}</Filter>".format, st.just("") | prefixes | tags | more | less | every)
actions = st.lists(
    st.sampled_from(
        [
            "<Expiration><Days>{}</Days></Expiration>",
            "<NoncurrentVersionExpiration><NoncurrentDays>{}</NoncurrentDays></NoncurrentVersionExpiration>",
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>{}</DaysAfterInitiation>"
            "</AbortIncompleteMultipartUpload>",
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)


@st.composite
def rules(draw: st.DrawFn) -> str:
    parts = [
        f"<ID>{draw(words)}</ID>",
        draw(wheres),
        f"<Status>{draw(st.sampled_from(['Enabled', 'Disabled']))}</Status>",
    ]
    parts += [action.format(draw(numbers)) for action in draw(actions)]
    return f"<Rule>{''.join(draw(st.permutations(parts)))}</Rule>"


def paths(document: str) -> list[tuple[str, str]]:
    """Each text with the names of the elements it stands in, sorted: what a document says, whatever its order."""
    found: list[tuple[str, str]] = []

    def walk(at: Any, path: str) -> None:
        name = f"{path}/{at.tag.rpartition('}')[2]}"
        found.append((name, "" if len(at) else at.text or ""))
        for child in at:
            walk(child, name)

    walk(parse(document.encode()), "")
    return sorted(found)


@given(rules())
def test_a_lifecycle_written_anew_says_the_same(one: str) -> None:
    document = rebuilt(one)
    assert paths(document) == paths(f"<LifecycleConfiguration>{one}</LifecycleConfiguration>")
    assert lifecycle(document.encode()).decode() == document
