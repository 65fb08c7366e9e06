"""Records of slots with some fields changed: what `_replace` is to a named tuple."""

from typing import Any, TypeVar

T = TypeVar("T")


def with_fields(record: T, **fields: Any) -> T:
    """A new one of the same class; its slots are the arguments of its class."""
    slots: tuple[str, ...] = type(record).__slots__  # type: ignore[attr-defined]  # of what has slots
    return type(record)(**{name: getattr(record, name) for name in slots} | fields)
