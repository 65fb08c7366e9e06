import os
import socket

from tests.support.sockets import listening


def test_a_listening_socket_is_found_with_its_address_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as four, socket.create_server(("127.0.0.1", 0)) as other:
        found = listening(os.getpid())
        assert found[four.getsockname()] == found[other.getsockname()] == os.getpid()


def test_a_socket_that_was_closed_is_not_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    assert address not in listening(os.getpid())
