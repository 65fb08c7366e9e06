"""Everything is in pyproject.toml but this: with NQGATE_NATIVE=1 the hot path is compiled (mypyc, a C compiler).

The same modules run as they are where there is no compiler. What is compiled is the road of a request, the wire, and
what a request asks of the keystore; the rest of the keystore, configuration, commands and console stay Python.
"""

import os

from setuptools import setup

HOT = """
gateway/authorize.py gateway/forward.py gateway/header_policy.py gateway/pipeline.py gateway/reply_policy.py
gateway/refusals.py gateway/respond.py gateway/spool.py gateway/usage.py gateway/payload/aws_chunked.py
gateway/payload/checksums.py gateway/payload/declared.py
gateway/payload/mode.py gateway/payload/reader.py gateway/payload/reframe.py gateway/payload/verifier.py
gateway/s3/addressing.py gateway/s3/header_names.py gateway/s3/operation.py gateway/s3/request.py gateway/s3/xml.py
gateway/telemetry/request_counts.py gateway/telemetry/request_log.py gateway/telemetry/request_record.py
gateway/sigv4/canonical.py gateway/sigv4/chunk_signing.py gateway/sigv4/claim.py
gateway/sigv4/signing.py gateway/sigv4/terms.py gateway/sigv4/verify.py gateway/wire/bucket.py gateway/wire/buffers.py
gateway/wire/document.py gateway/wire/cutting.py gateway/wire/ending.py gateway/wire/engine.py
gateway/wire/exchange.py gateway/wire/form_upload.py gateway/wire/gathered.py gateway/wire/heads.py
gateway/wire/multipart.py gateway/wire/pool.py gateway/wire/relayed.py gateway/wire/reply.py gateway/wire/roles.py
gateway/wire/server.py gateway/wire/streamed.py gateway/wire/turn.py gateway/wire/upload.py gateway/wire/upstream.py
keystore/access_key.py keystore/bucket_claims.py keystore/directory.py keystore/remembered.py keystore/scope.py
""".split()

if os.environ.get("NQGATE_NATIVE") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify(HOT, opt_level="3"))
else:
    setup()
