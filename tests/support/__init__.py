"""Shared test code: real stores, the real gateway, raw sockets. Imported as `from tests.support.x import y`."""
