"""Which file modes keep a secret. Knows no file and no process: the numbers are handed in.

The rule is PostgreSQL's for its private key: 0600 or less of a file that is the reader's own, 0640 or less of one that
root owns. So a secret arrives that root hands to a service by its group: systemd's LoadCredential, Kubernetes' secrets
with fsGroup.
"""

from typing import Final

OTHERS: Final = 0o077
OTHERS_OF_ROOTS: Final = 0o037  # the group may read
ROOT: Final = 0


def open_to_others(mode: int, owner: int, reader: int) -> bool:
    """Whether anybody may read or change it but its owner, and the group of a file that root owns.

    `mode`, `owner`: as stat says. `reader`: the effective user id. Root is handed nothing: its files are its own.
    """
    handed = owner == ROOT and reader != ROOT
    return bool(mode & (OTHERS_OF_ROOTS if handed else OTHERS))
