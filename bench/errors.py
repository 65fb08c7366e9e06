"""What a bench says when it could not measure, and how its commands end."""

import sys
from collections.abc import Callable


class BenchError(Exception):
    """A measurement that cannot be made or must not be trusted; the text is for the person who started it."""


def exit_code(measure: Callable[[], None]) -> int:
    """0 measured, 1 not measured and why."""
    try:
        measure()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
