"""Which TCP addresses a process and its children listen on, read from /proc."""

import os
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

LISTEN = "0A"


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return [pid]
    return [pid, *(member for child in children for member in family(int(child)))]


def workers_of(pid: int) -> list[int]:
    """Those of its descendants that serve: not the process that reads the whole keystore, which comes and goes."""
    return sorted(member for member in family(pid) if _serves(member))


def listening(pid: int) -> dict[tuple[str, int], int]:
    """(address, port) → the process of the family that holds the socket."""
    holders = {inode: member for member in family(pid) for inode in _socket_inodes(member)}
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTEN and words[9] in holders:
                address, _, port = words[1].partition(":")
                found[_address(address), int(port, 16)] = holders[words[9]]
    return found


def _socket_inodes(pid: int) -> set[str]:
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def _address(text: str) -> str:
    # The kernel prints addresses as 32-bit words in the machine's own byte order.
    raw = b"".join(bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8))
    return str(IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw))


def _serves(pid: int) -> bool:
    try:
        return b"gateway.workers.worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
