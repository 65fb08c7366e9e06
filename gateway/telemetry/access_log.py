"""One line for a request that has ended: a JSON object for machines, name=value for people.

What clients choose is bounded and escaped: a line is one line of printable ASCII whatever they sent, and a pipe takes
it whole. It says no query, no header but the user agent and the trace id, and nothing that was signed with. What a
client merely claims is named so. It writes nothing itself, and stamps lines with the time it is given.
"""

import json
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

from gateway.authorize import Authorized
from gateway.s3.request import RequestHead
from gateway.source import Trusted, source_address
from gateway.telemetry.request_log import local_time
from gateway.telemetry.request_record import End, RequestRecord
from gateway.trace_context import read_traceparent

LOGGER: Final = "nqgate.access"
# Characters of a value as it is written, quotes and escapes included: what is longer is cut. With the names and numbers
# beside them a line stays below PIPE_BUF, 4096.
MAX_OBJECT_KEY: Final = 1600  # S3 allows 1024 bytes
MAX_REASON: Final = 700
MAX_USER_AGENT: Final = 400  # those of SDKs have 100 to 250
MAX_ACCESS_KEY_ID: Final = 136  # 128 by their grammar
MAX_WORD: Final = 72  # a method, account or source: bounded by a grammar of its own, or nobody's
_WORST: Final = 12  # characters that one takes at most, escaped: two surrogates
_MORE: Final = "…"
_BARE: Final = re.compile(r"[!#-<>-\[\]-~]+\Z").match  # printable, without blank, quote, equals and backslash
_WHOLE, _CUT_OFF = End.WHOLE, End.CUT
# A format specification costs 1,500 instructions where it is compiled; parts joined cost a tenth of that.
_START: Final = '{"time": "'
_LOGGER: Final = f'+00:00", "level": "info", "logger": "{LOGGER}", "request_id": "'
_INFO: Final = f" INFO    {LOGGER}: "


class AccessLog:
    """`add` takes one line with its end. `every`: of every request; else of those that the gateway refused or cut.
    `object_keys`: whether they are named. `clock`: Unix seconds."""

    def __init__(
        self,
        add: Callable[[str], None],
        form: Literal["json", "text"],
        trusted: Trusted,
        *,
        every: bool,
        object_keys: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._add = add
        self._as_json = form == "json"
        self._trusted = trusted
        self._every = every
        self._object_keys = object_keys
        self._clock = clock

    def ended(self, record: RequestRecord, head: RequestHead | None, authorized: Authorized | None) -> None:
        """`head`: None of one that could not be read. `authorized`: None of one that was not admitted."""
        if self._every or record.reason:
            self._add(self._line(record, head, authorized))

    def _line(self, record: RequestRecord, head: RequestHead | None, authorized: Authorized | None) -> str:
        at = self._clock()
        second = int(at)
        fraction = _three(int((at - second) * 1000))
        request_id = record.request_id.decode()
        said = self._fields(record, head, authorized)
        if self._as_json:
            moment: str = _utc(second)
            return "".join([_START, moment, ".", fraction, _LOGGER, request_id, '", ', ", ".join(said), "}\n"])
        local: str = local_time(second)
        if not record.reason:
            return "".join([local, ",", fraction, _INFO, request_id, " ", " ".join(said), "\n"])
        became = " cut: " if record.end is _CUT_OFF else " refused: "
        why = _bounded(record.reason, MAX_REASON)[1:-1]
        return "".join([local, ",", fraction, _INFO, request_id, became, why, "; ", " ".join(said), "\n"])

    def _fields(self, record: RequestRecord, head: RequestHead | None, authorized: Authorized | None) -> list[str]:
        """What there is to say, name and value of each. What is the same for many requests is put into words once."""
        as_json = self._as_json
        said = [_number(as_json, "status", record.status)]
        add = said.append
        if record.method:
            add(_word(as_json, "method", record.method.decode("latin-1"), MAX_WORD))
        if record.operation:
            add(_word(as_json, "operation", record.operation, MAX_WORD))
        if record.access_key_id:
            add(_word(as_json, "access_key_id", record.access_key_id, MAX_ACCESS_KEY_ID))
        elif record.claimed:
            add(_word(as_json, "claimed_access_key_id", record.claimed, MAX_ACCESS_KEY_ID))
        account = record.account if authorized is None else authorized.access_key.account
        if account:
            add(_word(as_json, "account", account, MAX_WORD))
        if record.bucket:
            add(_word(as_json, "bucket", record.bucket, MAX_WORD))
        if self._object_keys and authorized is not None and authorized.request.object_key:
            add(_named(as_json, "object_key", _bounded(_readable(authorized.request.object_key), MAX_OBJECT_KEY)))
        if record.code:
            add(_word(as_json, "error", record.code, MAX_WORD))
        if as_json and record.reason:
            add(_named(as_json, "reason", _bounded(record.reason, MAX_REASON)))
        if record.store_error:
            add(_word(as_json, "store_error", record.store_error, MAX_WORD))
        if record.end is not _WHOLE:
            add(_word(as_json, "end", "cut" if record.end is _CUT_OFF else "left", MAX_WORD))
        add(_named(as_json, "bytes_in", str(record.received)))
        add(_named(as_json, "bytes_out", str(record.sent)))
        add(_named(as_json, "duration_ms", _milliseconds(record.ended - record.began)))
        if record.replied and record.asked:
            add(_named(as_json, "store_ms", _milliseconds(max(record.replied - record.asked, 0.0))))
        source = self._source(record, head, authorized)
        if source:
            add(_word(as_json, "source", source, MAX_WORD))
        if head is not None:
            agent = head.headers.get(b"user-agent")
            if agent:
                add(_user_agent(as_json, agent))
            trace = _trace_id(head, authorized)
            if trace:
                add(_word(as_json, "trace_id", trace, MAX_WORD))
        return said

    def _source(self, record: RequestRecord, head: RequestHead | None, authorized: Authorized | None) -> str:
        if authorized is not None:
            return authorized.request.source
        forwarded_for = None if head is None else head.headers.get(b"x-forwarded-for")
        return source_address(record.source, forwarded_for, self._trusted)


def _three(number: int) -> str:
    """Below 1000, with zeros before it."""
    return str(1000 + number)[1:]


def _milliseconds(seconds: float) -> str:
    """To the microsecond."""
    microseconds = int(seconds * 1_000_000 + 0.5)
    return str(microseconds // 1000) + "." + _three(microseconds % 1000)


def _named(as_json: bool, name: str, value: str) -> str:
    return f'"{name}": {value}' if as_json else f"{name}={value}"


@lru_cache(maxsize=64)
def _number(as_json: bool, name: str, value: int) -> str:
    return _named(as_json, name, str(value))


@lru_cache(maxsize=4096)
def _word(as_json: bool, name: str, value: str, most: int) -> str:
    """What is mostly a word of letters and digits stands bare in a line for people."""
    bare = not as_json and len(value) <= most and _BARE(value) is not None
    return _named(as_json, name, value if bare else _bounded(value, most))


@lru_cache(maxsize=256)
def _user_agent(as_json: bool, octets: bytes) -> str:
    return _named(as_json, "user_agent", _bounded(_readable(octets), MAX_USER_AGENT))


def _bounded(value: str, most: int) -> str:
    """A string as JSON writes it, in printable ASCII, of `most` characters at most."""
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"' if len(value) <= most - 2 else json.dumps(value[: most - 8] + _MORE)
    quoted = json.dumps(value).replace("\x7f", "\\u007f")
    if len(quoted) > most:
        quoted = json.dumps(value[: (most - 8) // _WORST] + _MORE).replace("\x7f", "\\u007f")
    return quoted


def _readable(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")


def _trace_id(head: RequestHead, authorized: Authorized | None) -> str:
    """The one that goes on to the store, or would have."""
    if authorized is not None and authorized.request.trace:
        return authorized.request.trace[16:48].decode()
    told = head.headers.get(b"traceparent")
    if told is None:
        return ""
    parent = read_traceparent(told)
    return "" if parent is None else parent.trace_id.decode()


@lru_cache(maxsize=4)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
