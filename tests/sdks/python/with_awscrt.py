"""awscrt's own S3 client, which aws-cli v2 and boto3's fast transfers stand on. Low level: requests are written out."""

from __future__ import annotations  # a call is named `list`

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import quote

from awscrt.auth import AwsCredentialsProvider, AwsSignatureType, AwsSignedBodyValue, aws_sign_request
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientTlsContext, TlsConnectionOptions, TlsContextOptions
from awscrt.s3 import (
    S3ChecksumAlgorithm,
    S3ChecksumConfig,
    S3ChecksumLocation,
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    create_default_s3_signing_config,
)

PART = 5 << 20
CRC64 = S3ChecksumConfig(S3ChecksumAlgorithm.CRC64NVME, S3ChecksumLocation.TRAILER)  # as aws-cli v2 asks for


class Client:
    def __init__(self, settings: Any) -> None:
        self._url, self._host = settings.endpoint, settings.host
        provider = AwsCredentialsProvider.new_static(settings.access_key_id, settings.secret_access_key)
        self._signing = {"region": settings.region, "credential_provider": provider}
        secured: dict[str, Any] = {"tls_mode": S3RequestTlsMode.DISABLED}
        if settings.secure:
            options = TlsContextOptions()
            options.override_default_trust_store(Path(settings.ca).read_bytes())
            tls = TlsConnectionOptions(ClientTlsContext(options))
            secured = {"tls_mode": S3RequestTlsMode.ENABLED, "tls_connection_options": tls}
        self._s3 = S3Client(
            region=settings.region,
            signing_config=create_default_s3_signing_config(**self._signing),
            part_size=PART,
            multipart_upload_threshold=PART,
            **secured,
        )

    def _request(self, method: str, target: str, headers: dict[str, str] | None = None) -> HttpRequest:
        fields = {"host": self._host, **(headers or {})}
        return HttpRequest(method, target, HttpHeaders(list(fields.items())))

    def _ask(self, kind: S3RequestType, request: HttpRequest, **more: Any) -> dict[str, str]:
        """The reply's headers."""
        told: dict[str, str] = {}
        made = self._s3.make_request(
            type=kind,
            request=request,
            on_headers=lambda status_code, headers, **_: told.update({name.lower(): value for name, value in headers}),
            **more,
        )
        made.finished_future.result(60)
        return told

    def _do(self, name: str, method: str, target: str, headers: dict[str, str] | None = None) -> tuple[Any, bytes]:
        body = bytearray()

        def take(chunk: bytes, offset: int, **_: Any) -> None:
            body.extend(chunk)

        request = self._request(method, target, headers)
        return self._ask(S3RequestType.DEFAULT, request, operation_name=name, on_body=take), bytes(body)

    def put(self, bucket: str, object_key: str, file: str) -> None:
        size = str(Path(file).stat().st_size)
        request = self._request("PUT", _target(bucket, object_key), {"content-length": size})
        self._ask(S3RequestType.PUT_OBJECT, request, send_filepath=file, checksum_config=CRC64)

    multipart = put  # what is over the threshold goes in parts

    def get(self, bucket: str, object_key: str, file: str) -> None:
        self._ask(S3RequestType.GET_OBJECT, self._request("GET", _target(bucket, object_key)), recv_filepath=file)

    def get_range(self, bucket: str, object_key: str, first: int, last: int, file: str) -> None:
        request = self._request("GET", _target(bucket, object_key), {"range": f"bytes={first}-{last}"})
        self._ask(S3RequestType.GET_OBJECT, request, recv_filepath=file)

    def head(self, bucket: str, object_key: str) -> dict[str, int]:
        headers, _ = self._do("HeadObject", "HEAD", _target(bucket, object_key))
        return {"size": int(headers["content-length"])}

    def copy(self, bucket: str, source: str, object_key: str) -> None:
        self._do("CopyObject", "PUT", _target(bucket, object_key), {"x-amz-copy-source": _target(bucket, source)})

    def list(self, bucket: str, prefix: str) -> list[str | None]:
        found: list[str | None] = []
        token = ""
        while True:
            more = f"&continuation-token={quote(token, safe='')}" if token else ""
            target = f"/{bucket}?list-type=2&max-keys=2&prefix={quote(prefix, safe='')}{more}"
            _, body = self._do("ListObjectsV2", "GET", target)
            document = ET.fromstring(body)
            texts = {node.tag.partition("}")[2]: node.text or "" for node in document}
            found += [node.text for node in document.iter() if node.tag.endswith("}Key")]
            token = texts.get("NextContinuationToken", "")
            if texts["IsTruncated"] != "true":
                return found

    def presign_get(self, bucket: str, object_key: str) -> str:
        return self._presigned("GET", bucket, object_key)

    def presign_put(self, bucket: str, object_key: str) -> str:
        return self._presigned("PUT", bucket, object_key)

    def _presigned(self, method: str, bucket: str, object_key: str) -> str:
        signing = create_default_s3_signing_config(**self._signing).replace(
            signature_type=AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
            expiration_in_seconds=600,
            signed_body_value=AwsSignedBodyValue.UNSIGNED_PAYLOAD,
        )
        request = self._request(method, _target(bucket, object_key))
        return self._url + str(aws_sign_request(request, signing).result(10).path)


def _target(bucket: str, object_key: str) -> str:
    return f"/{bucket}/{quote(object_key, safe='/~')}"
