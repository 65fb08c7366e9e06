"""TLS towards the store, verified, and from clients; 1.2 or newer, HTTP/1.1 only."""

import ssl
from pathlib import Path


def upstream_context(ca_file: Path | None) -> ssl.SSLContext:
    """A client context that verifies chain and name against `ca_file`, or the system's authorities when None.

    Raises OSError or ssl.SSLError when the file cannot be read as certificates.
    """
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def listener_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """A server context. `certificate`: PEM, the chain behind it. Raises OSError or ssl.SSLError when one of the files
    cannot be read or they do not belong together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, private_key)
    return context
