"""Multipart uploads aborted at the store by a command: the way the gateway signs, with the credential it would use."""

import http.client
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Lock
from typing import Final

from gateway.config import Config
from gateway.forward import plan_abort_upload
from gateway.s3.addressing import check_bucket, check_object_key, check_reference
from gateway.s3.errors import Code, S3Error
from gateway.s3.profile import PROFILES
from gateway.sigv4.signing import UpstreamSigner
from gateway.store_buckets import connected
from gateway.store_errors import store_code
from keystore.derived import StoreCredential
from keystore.uploads import Upload

AT_ONCE: Final = 8  # connections to the store
MAX_FAILURES: Final = 8  # without any answer; then the store is away, and the rest is not waited for, 10 s each
MAX_DOCUMENT: Final = 65536  # bytes of an error of the store
ABORTED: Final = "aborted"
GONE: Final = "gone"  # the store knows no such upload any more
NOT_ASKED: Final = "the store was not asked"


class Aborts:
    """One command's. `told`: called with how many are done, after each, in any thread but never in two at once."""

    def __init__(self, config: Config, credential: StoreCredential, told: Callable[[int], None]) -> None:
        self._config = config
        self._credential = credential
        self._told = told
        self._lock = Lock()
        self._done = 0
        self._failures = 0

    def run(self, uploads: Sequence[Upload]) -> dict[Upload, str]:
        """What became of each: ABORTED, GONE, or for people why it was not aborted."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return dict(zip(uploads, threads.map(self._abort, uploads), strict=True))

    def _abort(self, upload: Upload) -> str:
        if self._failures >= MAX_FAILURES:
            return NOT_ASKED
        failed = 0
        try:
            became = self._ask(upload)
        except S3Error as error:
            became = f"{NOT_ASKED}: {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            became, failed = f"the store did not answer: {error or type(error).__name__}", 1
        with self._lock:
            self._failures += failed
            self._done += 1
            self._told(self._done)
        return became

    def _ask(self, upload: Upload) -> str:
        self._check(upload)
        region = self._config.upstream.region.encode()
        signer = UpstreamSigner(self._credential, region)  # its own: one remembers a second, unlocked
        connection, target = connected(self._config)
        with closing(connection):
            connection.sendall(plan_abort_upload(target, signer, time.time(), *upload).head)
            with http.client.HTTPResponse(connection, method="DELETE") as reply:
                reply.begin()
                if 200 <= reply.status < 300:
                    return ABORTED
                if reply.status == http.HTTPStatus.NOT_FOUND:
                    return GONE
                code = store_code(reply.read(MAX_DOCUMENT))
                return f"the store answered {reply.status} {code}".rstrip()

    def _check(self, upload: Upload) -> None:
        """As any request is: rows stand under no MAC, and without its upload id this would delete an object. S3Error
        for what no gateway has noted."""
        upstream = self._config.upstream
        dot_segments = upstream.dot_segments == "pass"
        check_bucket(upload.bucket.encode(), PROFILES[upstream.profile].reserved)
        check_object_key(upload.object_key, dot_segments=dot_segments)
        check_reference(upload.upload_id, dot_segments=dot_segments)
        if not upload.object_key or not upload.upload_id:
            raise S3Error(Code.INVALID_ARGUMENT, "it names no object or no upload")
