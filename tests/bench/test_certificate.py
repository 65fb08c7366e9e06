import ssl
import stat
from pathlib import Path

from bench.certificate import write_certificate


def test_the_certificate_is_for_loopback_and_its_private_key_nobody_elses(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    write_certificate(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=file)
    server.load_cert_chain(file, file)
    [told] = client.get_ca_certs()
    assert told["subjectAltName"] == (("IP Address", "127.0.0.1"),)
