"""nginx twice: the upstream with static objects, and the yardstick with `proxy_pass`.

Both serve loopback only, from one folder each, with one worker and no access log, and both ignore the Authorization
header. What is not written in the configuration is nginx's default, because that is the plain proxy people run; the
exceptions are keep-alive without end, and no buffering of replies in files.
"""

import grp
import os
import pwd
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.child import LOOPBACK, accepts, child, free_port
from bench.contender import Contender
from bench.errors import BenchError
from bench.placement import pinned

SEARCH_PATH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

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
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{http}
}}
"""

_STATIC: Final = """\
  sendfile on;
  tcp_nopush on;
  open_file_cache max=4096 inactive=3600s;
  open_file_cache_valid 3600s;
  default_type application/octet-stream;
  server {{
    listen {address}:{port} backlog=1024;
    root {root};
    add_header x-amz-request-id 0000000000000000;
  }}"""

_PROXY: Final = """\
  proxy_max_temp_file_size 0;
  upstream store {{
    server {address}:{upstream_port};
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
  }}
  server {{
    listen {address}:{port} backlog=1024;
    location / {{
      proxy_pass http://store;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}"""


def static_configuration(folder: Path, user: str, port: int, root: Path) -> str:
    """`user` is the complete `user` directive, or empty where nginx must not be given one."""
    return _FRAME.format(folder=folder, user=user, http=_STATIC.format(address=LOOPBACK, port=port, root=root))


def proxy_configuration(folder: Path, user: str, port: int, upstream_port: int) -> str:
    http = _PROXY.format(address=LOOPBACK, port=port, upstream_port=upstream_port)
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
def static_upstream(folder: Path, root: Path, cpus: Sequence[int]) -> Iterator[int]:
    """The port of an nginx that serves the files below `root`."""
    port = free_port()
    with _nginx("the upstream nginx", folder, static_configuration(folder, _user(), port, root), port, cpus):
        yield port


@contextmanager
def proxy_pass(name: str, folder: Path, upstream_port: int, cpus: Sequence[int]) -> Iterator[Contender]:
    """An nginx that relays everything to the upstream and authenticates nobody."""
    port = free_port()
    with _nginx(name, folder, proxy_configuration(folder, _user(), port, upstream_port), port, cpus) as pid:
        yield Contender(name, port, pid, nginx_version())


@contextmanager
def _nginx(name: str, folder: Path, configuration: str, port: int, cpus: Sequence[int]) -> Iterator[int]:
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(configuration)
    command = pinned(["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(file)], cpus)
    environment = {**os.environ, "PATH": SEARCH_PATH}
    with child(name, command, folder / "error.log", lambda: accepts(port), environment) as pid:
        yield pid


def _user() -> str:
    # Started by root, nginx's workers become another user, who may not read our folder; only root may say otherwise.
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"
