"""`unix:/PATH`: how a socket on this machine is named where an address is expected. Pure: whether it is there is not
known here.
"""

from typing import Final

PREFIX: Final = "unix:"
# unix(7): sun_path has 108 bytes, and its last is the NUL that ends the path.
MAX_PATH: Final = 107


def unix_path(address: str) -> str | None:
    """The path of the socket; None for an address of another kind."""
    return address.removeprefix(PREFIX) if address.startswith(PREFIX) else None


def check_unix_path(path: str) -> None:
    """ValueError for what can be no socket's path."""
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError("must be unix: and an absolute path, for example unix:/run/nqgate/s3.sock")
    if not path.isprintable() or '"' in path or "\\" in path:
        raise ValueError("the path of a Unix socket must hold no control character, quotation mark or backslash")
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > MAX_PATH:
        raise ValueError(f"the path of a Unix socket has at most {MAX_PATH} bytes, this one {size}")
