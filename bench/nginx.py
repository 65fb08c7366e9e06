"""nginx twice: the upstream, which serves static objects and takes uploads, and the yardstick with `proxy_pass`.

Both serve loopback only, from one folder each, with one worker and no access log, and both ignore the Authorization
header. What is not written in the configuration is nginx's default, because that is the plain proxy people run; the
exceptions are keep-alive without end, and no buffering in files, of replies or of uploads.

The upstream answers an upload when it has come whole, as a store would; `return 200` alone would answer at once. So
`mirror` reads it (and mirrors it to a location that does nothing), then the static module says 405, because it knows no
PUT, and that becomes 200. The body waits in memory and is dropped. In many small chunks it takes time that grows with
their square: of 64 MiB with a trailer, which nginx passes on in chunks of 16 KiB, look at the CPU, not the throughput.
"""

import grp
import os
import pwd
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from bench.child import LOOPBACK, accepts, child, free_port
from bench.contender import Contender
from bench.errors import BenchError
from bench.objects import BUCKET, KEPT
from bench.placement import pinned

SEARCH_PATH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
SOCKET: Final = "s3.sock"

_FRAME: Final = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log warn;
worker_processes 1;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{http}
}}
"""

_STATIC: Final = """\
  map $args $page {{
    default list.xml;
    ~fetch-owner=true list-owners.xml;
  }}
  sendfile on;
  tcp_nopush on;
  open_file_cache max=4096 inactive=3600s;
  open_file_cache_valid 3600s;
  default_type application/octet-stream;
  client_body_buffer_size 65m;
  server {{
    listen {address}:{port} backlog=1024;
    listen unix:{folder}/{socket} backlog=1024;
    root {root};
    add_header x-amz-request-id 0000000000000000;
    mirror /aside;
    error_page 405 =200 /taken;
    location = /aside {{ internal; mirror off; return 204; }}
    location = /taken {{
      internal;
      mirror off;
      add_header x-amz-request-id 0000000000000000;
      add_header ETag '"00000000000000000000000000000000"';
      return 200;
    }}
    location = /{bucket} {{
      default_type application/xml;
      types {{ }}
      try_files /$page =404;
    }}
    location /{bucket}/{kept_prefix}/ {{
      client_body_in_file_only on;
      client_body_temp_path {kept};
    }}
  }}"""
# What is freed stays with the process: else glibc returns 64 MiB to the kernel after each such upload and has them
# cleared for the next, which made the upstream slower than what it measures (60 ms instead of 16 for one).
_KEEP_MEMORY: Final = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}

# By default nginx writes an upload of more than 16 KiB to a file before it passes it on. Without request buffering it
# relays as it reads, 16 KiB at a time (its default): the fair yardstick, without a disk, and the cheaper one.
_PROXY: Final = """\
  proxy_max_temp_file_size 0;
  upstream store {{
    server {address}:{upstream_port};
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
  }}
  server {{
    listen {address}:{port}{tls} backlog=1024;
    location / {{
      proxy_pass http://store;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
    }}
  }}"""

_TLS: Final = """\
  ssl_certificate {certificate};
  ssl_certificate_key {certificate};
  ssl_protocols TLSv1.2 TLSv1.3;
"""


class Upstream(NamedTuple):
    """`kept`: the folder where uploads below the prefix of that name are left, each in a file. `socket`: where it
    listens beside its port."""

    port: int
    kept: Path
    socket: Path

    def endpoint(self, *, here: bool) -> str:
        """By its Unix socket if `here`."""
        return f"unix:{self.socket}" if here else f"http://{LOOPBACK}:{self.port}"


def static_configuration(folder: Path, user: str, port: int, root: Path) -> str:
    """`user` is the complete `user` directive, or empty where nginx must not be given one."""
    static = _STATIC.format(
        address=LOOPBACK,
        port=port,
        root=root,
        bucket=BUCKET,
        kept_prefix=KEPT,
        kept=folder / "kept",
        folder=folder,
        socket=SOCKET,
    )
    return _FRAME.format(folder=folder, user=user, http=static)


def proxy_configuration(folder: Path, user: str, port: int, upstream_port: int, certificate: Path | None = None) -> str:
    """`certificate`: a PEM file with its private key, to listen with TLS."""
    tls = "" if certificate is None else " ssl"
    http = _PROXY.format(address=LOOPBACK, port=port, upstream_port=upstream_port, tls=tls)
    if certificate is not None:
        http = _TLS.format(certificate=certificate) + http
    return _FRAME.format(folder=folder, user=user, http=http)


def nginx_version() -> str:
    """Such as "nginx 1.22.1". Raises BenchError if nginx is not installed."""
    try:
        done = subprocess.run(
            ["nginx", "-v"], env={"PATH": SEARCH_PATH}, capture_output=True, text=True, check=True, timeout=10
        )
    except FileNotFoundError as error:
        raise BenchError("nginx is not installed (Debian: apt-get install nginx)") from error
    return read_version(done.stderr)


def read_version(text: str) -> str:
    """The version in the output of `nginx -v`."""
    found = re.search(r"nginx/(\S+)", text)
    return f"nginx {found[1]}" if found else "nginx"


@contextmanager
def static_upstream(folder: Path, root: Path, cpus: Sequence[int], port: int | None = None) -> Iterator[Upstream]:
    """An nginx that serves the files below `root` and takes uploads, at this port or a free one."""
    port = free_port() if port is None else port
    if accepts(port):
        raise BenchError(f"port {port} of loopback is taken: the upstream cannot listen there")
    configuration = static_configuration(folder, _user(), port, root)
    with _nginx("the upstream nginx", folder, configuration, port, cpus, _KEEP_MEMORY):
        yield Upstream(port, folder / "kept", folder / SOCKET)


@contextmanager
def proxy_pass(
    name: str, folder: Path, upstream_port: int, cpus: Sequence[int], certificate: Path | None = None
) -> Iterator[Contender]:
    """An nginx that relays everything to the upstream and authenticates nobody."""
    port = free_port()
    configuration = proxy_configuration(folder, _user(), port, upstream_port, certificate)
    with _nginx(name, folder, configuration, port, cpus) as pid:
        yield Contender(name, port, pid, nginx_version(), certificate=certificate)


@contextmanager
def _nginx(
    name: str,
    folder: Path,
    configuration: str,
    port: int,
    cpus: Sequence[int],
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[int]:
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(configuration)
    command = pinned(["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(file)], cpus)
    complete = {**os.environ, "PATH": SEARCH_PATH, **environment}
    with child(name, command, folder / "error.log", lambda: accepts(port), complete) as pid:
        yield pid


def _user() -> str:
    # Started by root, nginx's workers become another user, who may not read our folder; only root may say otherwise.
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"
