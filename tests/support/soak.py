"""How long the proofs go on, and in which order: once and always the same in CI, longer and newly in `make prove`."""

import os
import secrets
from typing import Final

TIMES: Final = int(os.environ.get("SOAK", "1"))
SEED: Final = int(os.environ.get("SEED", "1" if TIMES == 1 else str(secrets.randbits(32))))
