"""What is counted: every metric with its help, its labels and the values they may have, and where its numbers lie.

Data alone: who counts and who shows read it from here, and so does docs/reference/metrics.md. Every label has a closed
set of values, so what strangers send adds no series: no bucket, no key, no address is ever a label.
"""

from enum import Enum
from itertools import product
from typing import Final, NamedTuple

from gateway.s3.errors import Code
from gateway.s3.operation_table import OPERATIONS, Operation
from keystore.scope import Permission

# ---- labels ----

NO_OPERATION: Final = "none"  # nobody has proven to have asked for one
CONTROL: Final = ("iam", "sts")
OPERATION: Final = (*(row.name for row in OPERATIONS), *CONTROL, NO_OPERATION)
ANSWER: Final = ("2xx", "3xx", "4xx", "5xx", "cut", "left")
OTHER: Final = "other"
# What stores say beside our own codes; any other is "other".
_OF_STORES: Final = (
    "BucketNotEmpty InvalidBucketState InvalidObjectState InvalidPart InvalidPartNumber InvalidPartOrder InvalidRange "
    "InvalidStorageClass NoSuchBucket NoSuchKey NoSuchLifecycleConfiguration NoSuchObjectLockConfiguration "
    "NoSuchTagSet NoSuchUpload NoSuchVersion NotModified ObjectLockConfigurationNotFoundError OperationAborted "
    "PreconditionFailed "
    "QuotaExceeded ServerSideEncryptionConfigurationNotFoundError XMinioStorageFull"
).split()
CODE: Final = (*sorted({*(code.wire_name for code in Code), *_OF_STORES}), OTHER)
BY: Final = ("gateway", "store")
GROUP: Final = ("download", "upload", "head", "list", "delete", "copy", "multipart", "configuration", "control", "none")
REASON: Final = (
    "signature",
    "access_key",
    "clock",
    "credentials",
    "scope",
    "operation",
    "request",
    "body",
    "client",
    "limits",
    "keystore",
    "store",
    "internal",
)
LIMIT: Final = (
    "requests",
    "requests_per_access_key",
    "requests_per_address",
    "refusals_per_address",
    "connections",
    "connections_per_address",
    "upstream_connections",
    "buffer_total",
    "spool_total",
    OTHER,
)
POOL: Final = ("busy", "idle", "opening")
RELOADED: Final = ("done", "refused")
PROVEN: Final = ("yes", "no")
PROCESS: Final = ("worker", "supervisor", "control")
WORKER: Final = ("ready", "starting")

LIMITS: Final = "limits."  # of the configuration
CLIENT_STALLED: Final = "the client took no more of the reply"
_REASONS: Final[dict[str, str]] = {
    Code.SIGNATURE_DOES_NOT_MATCH.wire_name: "signature",
    Code.INVALID_ACCESS_KEY_ID.wire_name: "access_key",
    "InvalidClientTokenId": "access_key",  # of IAM and STS
    Code.REQUEST_TIME_TOO_SKEWED.wire_name: "clock",
    Code.AUTHORIZATION_HEADER_MALFORMED.wire_name: "credentials",
    Code.AUTHORIZATION_QUERY_PARAMETERS_ERROR.wire_name: "credentials",
    Code.INVALID_TOKEN.wire_name: "credentials",
    Code.ACCESS_DENIED.wire_name: "scope",
    Code.NOT_IMPLEMENTED.wire_name: "operation",
    Code.METHOD_NOT_ALLOWED.wire_name: "operation",
    Code.XAMZ_CONTENT_SHA256_MISMATCH.wire_name: "body",
    Code.BAD_DIGEST.wire_name: "body",
    Code.INCOMPLETE_BODY.wire_name: "body",
    Code.MALFORMED_TRAILER_ERROR.wire_name: "body",
    Code.REQUEST_TIMEOUT.wire_name: "client",
    Code.SLOW_DOWN.wire_name: "limits",
    Code.SERVICE_UNAVAILABLE.wire_name: "store",
    Code.INTERNAL_ERROR.wire_name: "internal",
}


def reason_of(code: str, told: str) -> str:
    """Why we refused or cut, as one of REASON. `told`: what the operator's log says of it; a keystore that cannot
    answer and a store that does not have the same code, and a reply that broke off has none."""
    if not code:
        return "client" if told == CLIENT_STALLED else "store"
    if code == Code.SERVICE_UNAVAILABLE.wire_name and "keystore" in told:
        return "keystore"
    return _REASONS.get(code, "request")


def limit_of(told: str) -> str:
    """Which limit was reached, as one of LIMIT. `told`: what the operator's log says of it, and ends with its name."""
    name = told.rpartition(LIMITS)[2]
    return name if name in LIMIT else OTHER


def group_of(operation: str) -> str:
    """As one of GROUP, so that a histogram has ten series and not a hundred."""
    return _GROUPS.get(operation, NO_OPERATION)


def _group(row: Operation) -> str:
    name = row.name
    if name in ("GetObject", "GetObjectTorrent"):
        return "download"
    if name in ("PutObject", "UploadPart", "PostObject"):
        return "upload"
    if name in ("HeadObject", "HeadBucket", "GetObjectAttributes"):
        return "head"
    if name in ("CopyObject", "UploadPartCopy"):
        return "copy"
    if name.startswith("List"):
        return "list"
    if name in ("DeleteObject", "DeleteObjects"):
        return "delete"
    return "multipart" if "MultipartUpload" in name and row.permission is Permission.WRITE else "configuration"


_GROUPS: Final = {**{row.name: _group(row) for row in OPERATIONS}, **dict.fromkeys(CONTROL, "control")}

# ---- metrics ----


class Kind(Enum):
    """How its numbers of several processes become one: counters and histograms are summed."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"  # summed
    LEAST = "gauge, the least"  # of the processes that live
    MOST = "gauge, the most"


class Metric(NamedTuple):
    """`labels`: (name, its values). `bounds`: of a histogram, in what is shown. `unit`: what 1 in memory means there.
    `sparse`: a series is shown once it is not 0."""

    name: str
    kind: Kind
    help: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bounds: tuple[float, ...] = ()
    unit: float = 1
    sparse: bool = False

    @property
    def series(self) -> list[tuple[str, ...]]:
        """Their label values, in the order of their numbers."""
        return list(product(*(values for _, values in self.labels)))

    @property
    def width(self) -> int:
        """Numbers of one series. Of a histogram: each bucket by itself, what lies beyond, then the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1

    @property
    def size(self) -> int:
        return self.width * len(self.series)


MICROSECOND: Final = 1e-6
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
LAG: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BY_GROUP: Final = (("group", GROUP),)
_BY_PROCESS: Final = (("process", PROCESS),)

# Counters and histograms first: they outlive the process that counts, gauges do not.
METRICS: Final = (
    Metric(
        "nqgate_requests",
        Kind.COUNTER,
        "Requests that ended, by operation and answer. cut: the connection was reset in the middle of a reply; left: "
        "the client went away before its end.",
        (("operation", OPERATION), ("answer", ANSWER)),
        sparse=True,
    ),
    Metric(
        "nqgate_errors",
        Kind.COUNTER,
        "Errors that clients were told, by their code and by who refused.",
        (("code", CODE), ("by", BY)),
        sparse=True,
    ),
    Metric(
        "nqgate_refusals",
        Kind.COUNTER,
        "Requests that the gateway refused or cut by itself, by reason. keystore: it could not answer; store: it could "
        "not be reached, did not answer or broke off; limits: SlowDown; client: it was too slow; internal: nonsense of "
        "the store, or a bug.",
        (("reason", REASON),),
    ),
    Metric(
        "nqgate_limited",
        Kind.COUNTER,
        "Requests that were told to slow down, by the setting of [limits] that was reached. other: the disk under the "
        "spool, or the memory of the process.",
        (("limit", LIMIT),),
    ),
    Metric(
        "nqgate_request_seconds",
        Kind.HISTOGRAM,
        "From a request's head being here to its reply being written, by group of operations; uploads and downloads "
        "take as long as their clients do.",
        _BY_GROUP,
        SECONDS,
        MICROSECOND,
        sparse=True,
    ),
    Metric(
        "nqgate_store_reply_seconds",
        Kind.HISTOGRAM,
        "From the last byte that the store needed to the first of its reply, by group of operations.",
        _BY_GROUP,
        SECONDS,
        MICROSECOND,
        sparse=True,
    ),
    Metric("nqgate_received_bytes", Kind.COUNTER, "Bytes of request bodies, as they came.", _BY_GROUP),
    Metric("nqgate_sent_bytes", Kind.COUNTER, "Bytes of reply bodies, as they were written to clients.", _BY_GROUP),
    Metric("nqgate_transfers_cut", Kind.COUNTER, "Running requests that a change of a key or a bucket ended."),
    Metric(
        "nqgate_transfers_past_recall",
        Kind.COUNTER,
        "Running requests that a change came too late for: the store had them in full.",
    ),
    Metric("nqgate_upstream_opened", Kind.COUNTER, "Connections to the store that were opened."),
    Metric("nqgate_upstream_connect_failures", Kind.COUNTER, "Connections to the store that could not be opened."),
    Metric(
        "nqgate_loop_lag_seconds",
        Kind.HISTOGRAM,
        "How much later than asked for a worker's event loop came round, looked at ten times a second.",
        (),
        LAG,
        MICROSECOND,
    ),
    Metric(
        "nqgate_confirmations",
        Kind.COUNTER,
        "Acts over the console, REST and IAM that take something away, by whether every gateway has confirmed them. "
        "Those of the command line are in its own words and exit codes.",
        (("proven", PROVEN),),
    ),
    Metric(
        "nqgate_confirmation_seconds",
        Kind.HISTOGRAM,
        "From such an act's beginning to the confirmation of every gateway, or to the end of the patience.",
        (),
        SECONDS,
        MICROSECOND,
    ),
    Metric("nqgate_worker_restarts", Kind.COUNTER, "Workers that ended unasked and were replaced."),
    Metric("nqgate_control_plane_restarts", Kind.COUNTER, "Times that the control plane ended and was started again."),
    Metric(
        "nqgate_reloads",
        Kind.COUNTER,
        "Times that configuration, certificates, KEKs and the store's secret were to be read again. refused: what "
        "was read cannot be served with, and what was in force stayed so.",
        (("outcome", RELOADED),),
    ),
    Metric(
        "nqgate_cpu_seconds",
        Kind.COUNTER,
        "Processor time, by kind of process.",
        _BY_PROCESS,
        unit=MICROSECOND,
    ),
    # ---- gauges ----
    Metric("nqgate_processes", Kind.GAUGE, "Processes of this gateway that live, by kind.", _BY_PROCESS),
    Metric("nqgate_resident_bytes", Kind.GAUGE, "Resident memory, by kind of process.", _BY_PROCESS),
    Metric("nqgate_open_files", Kind.GAUGE, "Open file descriptors, by kind of process.", _BY_PROCESS),
    Metric("nqgate_open_files_limit", Kind.GAUGE, "Descriptors that may be open, by kind of process.", _BY_PROCESS),
    Metric("nqgate_connections", Kind.GAUGE, "Client connections that are open."),
    Metric("nqgate_connections_limit", Kind.GAUGE, "Client connections that may be open: [limits] connections."),
    Metric("nqgate_requests_in_flight", Kind.GAUGE, "Requests that have begun and not ended."),
    Metric("nqgate_upstream_connections", Kind.GAUGE, "Connections to the store, by what they do.", (("state", POOL),)),
    Metric("nqgate_upstream_connections_limit", Kind.GAUGE, "Connections to the store that may be open: [limits]."),
    Metric("nqgate_upstream_waiting", Kind.GAUGE, "Requests that wait for a connection to the store."),
    Metric(
        "nqgate_upstream_unreachable_workers", Kind.GAUGE, "Workers whose last attempt to connect to the store failed."
    ),
    Metric("nqgate_upstream_addresses", Kind.MOST, "Addresses of the store: its endpoints, or what DNS names."),
    Metric(
        "nqgate_upstream_addresses_aside",
        Kind.MOST,
        "Those of them that fail, and get no requests until they answer again; of the worker that has most of them.",
    ),
    Metric("nqgate_body_memory_bytes", Kind.GAUGE, "Memory that bodies hold."),
    Metric("nqgate_body_memory_limit_bytes", Kind.GAUGE, "Memory that bodies may hold: [limits] buffer_total."),
    Metric("nqgate_spool_bytes", Kind.GAUGE, "Bytes of bodies that wait in files."),
    Metric("nqgate_spool_limit_bytes", Kind.GAUGE, "Bytes of bodies that may wait in files: [limits] spool_total."),
    Metric("nqgate_worker_change", Kind.LEAST, "The last change of the keystore that every worker has applied."),
    Metric("nqgate_workers", Kind.GAUGE, "Workers, by state.", (("state", WORKER),)),
    Metric(
        "nqgate_reload_refused",
        Kind.GAUGE,
        "1 while what the last reload read is not in force, because it was refused: a restart would fail over it.",
    ),
    Metric("nqgate_keystore_change", Kind.GAUGE, "The last change of the keystore that the supervisor knows of."),
    Metric("nqgate_keystore_fresh", Kind.GAUGE, "1 while what is known of the keystore is proven to be the truth."),
    Metric(
        "nqgate_keystore_leased", Kind.GAUGE, "1 where the keystore is on PostgreSQL, and so is served under a lease."
    ),
    Metric(
        "nqgate_keystore_lease_seconds",
        Kind.GAUGE,
        "What is left of that lease; it is renewed before half of it is over. 0 without one.",
        unit=MICROSECOND,
    ),
    Metric("nqgate_started_at_seconds", Kind.MOST, "When the supervisor started, in Unix seconds."),
    Metric("nqgate_measured_at_seconds", Kind.MOST, "When the supervisor last measured, in Unix seconds."),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}


def _places() -> dict[str, int]:
    places, place = {}, 0
    for metric in METRICS:
        places[metric.name] = place
        place += metric.size
    return places


PLACE: Final = _places()  # of a metric's first number, by its name
CELLS: Final = sum(metric.size for metric in METRICS)
GAUGES_AT: Final = PLACE["nqgate_processes"]  # here and beyond: what ends with its process


def place_of(name: str, *values: str) -> int:
    """Where one series begins."""
    metric = BY_NAME[name]
    return PLACE[name] + metric.width * metric.series.index(values)


def shown_name(metric: Metric) -> str:
    """As rules and dashboards name it."""
    return f"{metric.name}_total" if metric.kind is Kind.COUNTER else metric.name
