"""`make bench-scale`: what the gateway costs as connections, readers, keys and requests grow in number.

It draws and asserts nothing. Growth within one run is a statement about the gateway; a bare time, about the machine.
"""
