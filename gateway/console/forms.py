"""What somebody filled in, read field by field: a wish for a key or for a change, or what is wrong with which field.

Pure. Scopes are never assumed: nothing chosen is a mistake, not All Buckets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

from gateway.console.words import DAY, sentence
from keystore.access_key import clean_label
from keystore.errors import InvalidInput
from keystore.key_acts import Edit, Kept
from keystore.scope import AllBuckets, BucketGrant, Rights, Scope, SpecificBuckets, clean_prefix, read_scope
from keystore.source_cidrs import clean_cidrs
from keystore.store import NewKey

T = TypeVar("T")
U = TypeVar("U")
Fields = Mapping[str, Sequence[str]]

NEVER: Final = "never"
KEPT: Final = "kept"
ON_A_DAY: Final = "custom"
TERMS: Final[dict[str, int]] = {"7": 7, "30": 30, "90": 90, "365": 365}  # days
OVERLAPS: Final[dict[str, int]] = {"0": 0, "1h": 3600, "24h": DAY, "3d": 3 * DAY, "7d": 7 * DAY}  # seconds


class KeyForm(NamedTuple):
    """As it was typed, to be shown again. `reach`: "some" or "all". `term`: of TERMS, or one of the words above."""

    label: str = ""
    reach: str = "some"
    buckets: tuple[str, ...] = ()
    rights: str = Rights.READ_WRITE.value
    rights_all: str = Rights.FULL.value
    prefix: str = ""
    term: str = NEVER
    day: str = ""
    sources: str = ""


class Wrong(InvalidInput):
    """`fields`: name → what is wrong with it."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("; ".join(fields.values()))
        self.fields = fields


_MARKED: Final = ("all", "label", "reach", "buckets", "rights", "prefix", "term", "sources", "proof")


def marked(wrong: Mapping[str, str]) -> dict[str, str]:
    """For a template: of each field what is wrong with it, "" = nothing."""
    return {**dict.fromkeys(_MARKED, ""), **wrong}


def one(fields: Fields, name: str, missing: str = "") -> str:
    values = fields.get(name)
    return values[0] if values else missing


def read_form(fields: Fields) -> KeyForm:
    empty = KeyForm()
    typed = [line.strip() for text in fields.get("bucket_names", ()) for line in text.replace(",", "\n").splitlines()]
    return KeyForm(
        label=one(fields, "label"),
        reach=one(fields, "reach"),
        buckets=tuple(dict.fromkeys([*fields.get("bucket", ()), *filter(None, typed)])),
        rights=one(fields, "rights", empty.rights),
        rights_all=one(fields, "rights_all", empty.rights_all),
        prefix=one(fields, "prefix"),
        term=one(fields, "term", NEVER),
        day=one(fields, "day"),
        sources=one(fields, "sources"),
    )


class Limits(NamedTuple):
    """What a form is judged by. `buckets`: the account's, None = nobody could say. `longest`: days, None = for ever."""

    now: float
    buckets: frozenset[str] | None
    longest: int | None


def new_key(form: KeyForm, account: str, limits: Limits) -> NewKey:
    """Raises Wrong with every field that is."""
    wrong: dict[str, str] = {}
    label = _read(wrong, "label", lambda: clean_label(form.label), "")
    scope = _read(wrong, "buckets" if form.reach else "reach", lambda: _scope(form, limits.buckets, wrong), None)
    expires = _read(wrong, "term", lambda: _expiry(form, limits), None)
    sources = _read(wrong, "sources", lambda: clean_cidrs(_listed(form.sources)), ())
    if wrong or scope is None or isinstance(expires, Kept):
        raise Wrong(wrong or {"reach": "Choose what the key may reach."})
    return NewKey(account, label, scope, expires_at=expires, source_cidrs=sources)


def edit_of(form: KeyForm, shown: Mapping[str, Any], limits: Limits, *, with_scope: bool) -> Edit:
    """What differs from the key as it is. Raises Wrong; InvalidInput when nothing does."""
    wrong: dict[str, str] = {}
    label = _read(wrong, "label", lambda: clean_label(form.label), "")
    expires = _read(wrong, "term", lambda: _expiry(form, limits), Kept.KEPT)
    scope = None
    if with_scope and not (shown["scope"]["type"] == "none" and form.reach == "some" and not form.buckets):
        held = frozenset() if shown["buckets"] == "*" else frozenset(shown["buckets"])
        known = None if limits.buckets is None else limits.buckets | held
        scope = _read(wrong, "buckets" if form.reach else "reach", lambda: _scope(form, known, wrong), None)
    if wrong:
        raise Wrong(wrong)
    same = scope is not None and _same(scope, read_scope(shown["scope"])) and not shown["unreachable_buckets"]
    edit = Edit(None if label == shown["label"] else label, expires, None if same else scope)
    if edit == Edit():
        raise InvalidInput("Nothing was changed.")
    return edit


def form_of(shown: Mapping[str, Any]) -> KeyForm:
    """A key as the form would have made it; its source networks cannot be edited."""
    scope = shown["scope"]
    empty = KeyForm(label=shown["label"], term=KEPT)
    if scope["type"] == "all":
        return empty._replace(reach="all", rights_all=scope["rights"])
    if scope["type"] == "none":
        return empty
    first = scope["buckets"][0]
    names = tuple(grant["name"] for grant in scope["buckets"])
    return empty._replace(buckets=names, rights=first["rights"], prefix=first.get("prefix", ""))


def uniform(scope: Mapping[str, Any]) -> bool:
    """Whether one choice of rights and prefix says it all; other scopes are for the command line and the API."""
    if scope["type"] != "buckets":
        return True
    return len({(grant["rights"], grant.get("prefix", "")) for grant in scope["buckets"]}) == 1


def _read(wrong: dict[str, str], name: str, read: Callable[[], T], otherwise: U) -> T | U:
    try:
        return read()
    except InvalidInput as error:
        wrong.setdefault(name, sentence(str(error)))
        return otherwise


def _scope(form: KeyForm, known: frozenset[str] | None, wrong: dict[str, str]) -> Scope:
    if form.reach == "all":
        return AllBuckets(_rights(form.rights_all))
    if form.reach != "some":
        raise InvalidInput("Choose All Buckets or Specific Buckets.")
    if not form.buckets:
        raise InvalidInput("Choose at least one bucket.")
    gone = [name for name in form.buckets if known is not None and name not in known]
    if gone:
        raise InvalidInput(f"The account has no bucket {gone[0]!r}: it may have been deleted meanwhile.")
    prefix = _read(wrong, "prefix", lambda: clean_prefix(form.prefix.strip()), "")
    return SpecificBuckets(tuple(BucketGrant(name, _rights(form.rights), prefix) for name in form.buckets))


def _same(one_scope: Scope, other: Scope) -> bool:
    """Whatever the order of the buckets."""
    if isinstance(one_scope, SpecificBuckets) and isinstance(other, SpecificBuckets):
        return set(one_scope.buckets) == set(other.buckets)
    return one_scope == other


def _rights(text: str) -> Rights:
    try:
        return Rights(text)
    except ValueError:
        raise InvalidInput("Choose what the key may do.") from None


def _expiry(form: KeyForm, limits: Limits) -> int | Kept | None:
    if form.term == KEPT:
        return Kept.KEPT
    expires = _moment(form, limits.now)
    if limits.longest is not None and (expires is None or expires > limits.now + limits.longest * DAY):
        raise InvalidInput(f"A key lasts {limits.longest} days at most here.")
    if expires is not None and expires <= limits.now:
        raise InvalidInput("That day is over.")
    return expires


def _moment(form: KeyForm, now: float) -> int | None:
    if form.term == NEVER:
        return None
    if form.term in TERMS:
        return int(now) + TERMS[form.term] * DAY
    try:
        day = datetime.strptime(form.day, "%Y-%m-%d") if form.term == ON_A_DAY else None
    except ValueError:
        day = None
    if day is None:
        raise InvalidInput("Choose when the key expires; a day is written 2027-01-31.")
    return int(day.replace(tzinfo=UTC).timestamp())


def _listed(text: str) -> list[str]:
    return text.replace(",", " ").split()


def listed_names(buckets: Iterable[Any]) -> frozenset[str]:
    return frozenset(bucket.name for bucket in buckets if bucket.status == "active")
