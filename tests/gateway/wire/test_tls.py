import ssl
from pathlib import Path

import pytest

from gateway.wire.tls import upstream_context


def test_the_store_is_verified_by_chain_and_name() -> None:
    context = upstream_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_missing_authority_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        upstream_context(tmp_path / "none.pem")
