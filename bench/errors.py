"""The one error of the bench."""


class BenchError(Exception):
    """A measurement that cannot be made or must not be trusted; the text is for the person who started it."""
