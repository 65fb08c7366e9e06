from collections.abc import Iterator

import pytest

from tests.support.recording_upstream import RecordingUpstream, canned, ok
from tests.support.wire import RunningEngine


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream(canned(ok(b"hello", b"ETag: x"))) as running:
        yield running


@pytest.fixture
def gateway(upstream: RecordingUpstream) -> Iterator[RunningEngine]:
    with RunningEngine(
        upstream.port,
        head_timeout=1,
        keep_alive_timeout=2,
        linger_timeout=1,
        upstream_reply_timeout=2,
        upstream_wait_timeout=1,
    ) as running:
        yield running
