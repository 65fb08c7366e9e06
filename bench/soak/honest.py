"""Clients as they should be: they write, read, list, delete, presign and upload in parts, each under a prefix of its
own, and compare every answer with what they know."""

import hashlib
import random
from typing import Any, Final

import urllib3

from bench.soak.ledger import ABSENT, Version
from bench.soak.run import BUCKET, Run

KIB: Final = 1024
MIB: Final = 1 << 20
OBJECTS: Final = 40  # under one prefix
PART: Final = 5 * MIB
LARGEST: Final = 100 * KIB  # of those that are not large
# How often each, beside the others. Large ones are few: a store frees late what was overwritten.
ACTS: Final = {
    "put": 600,
    "get": 720,
    "list": 160,
    "delete": 160,
    "presigned_get": 120,
    "presigned_put": 80,
    "put_large": 6,
    "multipart": 3,
    "multipart_aborted": 3,
}


class Honest:
    """One of them, in a thread of its own. `client`: boto3, without retries."""

    def __init__(self, run: Run, number: int, client: Any, seed: int) -> None:
        self._run = run
        self._prefix = f"honest-{number}/"
        self._client = client
        self._random = random.Random(seed)
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=60.0)

    def go_on(self) -> None:
        names, weights = list(ACTS), list(ACTS.values())
        while not self._run.over.is_set():
            [name] = self._random.choices(names, weights)
            getattr(self, f"_{name}")(f"{self._prefix}{self._random.randrange(OBJECTS)}")
        self._http.clear()

    def _body(self, size: int) -> tuple[bytes, Version]:
        body = self._random.randbytes(size)
        return body, Version(size, hashlib.sha256(body).hexdigest())

    # ---- writing ----

    def _put(self, object_key: str, size: int | None = None, kind: str = "PUT") -> None:
        body, version = self._body(self._random.randrange(LARGEST) if size is None else size)
        self._run.ledger.begin(object_key, version)
        send = self._client.put_object
        if self._run.ask(kind, lambda: send(Bucket=BUCKET, Key=object_key, Body=body)) is not None:
            self._run.ledger.confirmed(object_key, version)

    def _put_large(self, object_key: str) -> None:
        self._put(object_key, self._random.randrange(2 * MIB, 6 * MIB), "PUT, streamed")

    def _presigned_put(self, object_key: str) -> None:
        body, version = self._body(self._random.randrange(50 * KIB))
        self._run.ledger.begin(object_key, version)
        url = self._client.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": object_key})
        reply = self._run.ask("presigned PUT", lambda: self._http.request("PUT", url, body=body))
        if reply is not None and self._expect("presigned PUT", reply.status, 200):
            self._run.ledger.confirmed(object_key, version)

    def _delete(self, object_key: str) -> None:
        self._run.ledger.begin(object_key, ABSENT)
        remove = self._client.delete_object
        if self._run.ask("DELETE", lambda: remove(Bucket=BUCKET, Key=object_key)) is not None:
            self._run.ledger.confirmed(object_key, ABSENT)

    def _multipart(self, object_key: str, *, complete: bool = True) -> None:
        client, where = self._client, {"Bucket": BUCKET, "Key": object_key}
        first, last = self._random.randbytes(PART), self._random.randbytes(self._random.randrange(1, MIB))
        whole = first + last
        begun = self._run.ask("CreateMultipartUpload", lambda: client.create_multipart_upload(**where))
        if begun is None:
            return
        upload = {**where, "UploadId": begun["UploadId"]}
        parts = []
        for number, body in enumerate((first, last), start=1):
            part = {**upload, "PartNumber": number, "Body": body}
            sent = self._run.ask("UploadPart", lambda part=part: client.upload_part(**part))  # type: ignore[misc]
            if sent is None:
                return
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        if not complete:
            self._run.ask("AbortMultipartUpload", lambda: client.abort_multipart_upload(**upload))
            return
        version = Version(len(whole), hashlib.sha256(whole).hexdigest())
        self._run.ledger.begin(object_key, version)
        done = {"MultipartUpload": {"Parts": parts}}
        ended = self._run.ask("CompleteMultipartUpload", lambda: client.complete_multipart_upload(**upload, **done))
        if ended is not None:
            self._run.ledger.confirmed(object_key, version)

    def _multipart_aborted(self, object_key: str) -> None:
        self._multipart(object_key, complete=False)

    # ---- reading ----

    def _get(self, object_key: str) -> None:
        right = self._run.ledger.right(object_key)
        if right == {ABSENT}:
            read = self._client.get_object
            self._run.ask("GET", lambda: read(Bucket=BUCKET, Key=object_key), refused="NoSuchKey")
        elif ABSENT not in right:
            body = self._run.ask("GET", lambda: self._client.get_object(Bucket=BUCKET, Key=object_key)["Body"].read())
            self._compare("GET", object_key, body)

    def _presigned_get(self, object_key: str) -> None:
        if ABSENT in self._run.ledger.right(object_key):
            return
        url = self._client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": object_key})
        reply = self._run.ask("presigned GET", lambda: self._http.request("GET", url))
        if reply is not None and self._expect("presigned GET", reply.status, 200):
            self._compare("presigned GET", object_key, reply.data)

    def _list(self, _: str) -> None:
        ledger = self._run.ledger
        page = self._run.ask("LIST", lambda: self._client.list_objects_v2(Bucket=BUCKET, Prefix=self._prefix))
        if page is None:
            return
        found = {entry["Key"]: entry["Size"] for entry in page.get("Contents", [])}
        for number in range(OBJECTS):
            object_key = f"{self._prefix}{number}"
            if found.get(object_key, -1) not in {version.size for version in ledger.right(object_key)}:
                ledger.fault(f"LIST told {object_key} with {found.get(object_key, -1)} bytes")

    def _compare(self, kind: str, object_key: str, body: bytes | None) -> None:
        if body is not None:
            version = Version(len(body), hashlib.sha256(body).hexdigest())
            if version not in self._run.ledger.right(object_key):
                self._run.ledger.fault(f"{kind} gave {object_key} with {len(body)} bytes that nobody wrote so")

    def _expect(self, kind: str, status: int, wanted: int) -> bool:
        if status != wanted:
            self._run.ledger.fault(f"{kind} was answered {status}, not {wanted}")
        return status == wanted
