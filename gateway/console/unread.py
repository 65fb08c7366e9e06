"""What is logged of a request that is no HTTP: nothing.

aiohttp would write the line that broke, in which a token may stand, and a stack trace, for whoever connects. What else
it logs stays.
"""

import logging
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

LOG: Final = logging.getLogger("nqgate.http")


def server_log() -> logging.Logger:
    """For `web.AppRunner(logger=…)`."""
    LOG.addFilter(_unread)
    return LOG


def _unread(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)
