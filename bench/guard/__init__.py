"""`make guard`: whether a request costs more of our own work than it did.

Time is noise on a machine that others use; instructions under valgrind are not. What is compared is instructions of a
request / those of a fixed piece of work in the same process, so that another Python moves both.
"""
