"""What a connection asks of the kernel."""

from __future__ import annotations

import socket

from tasktree_rt.web.server.syscalls import unacknowledged


def test_bytes_that_a_slow_peer_takes_show_before_its_socket_is_writable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        hub, _ = listener.accept()
        with peer, hub:
            hub.setblocking(False)
            piece = bytes(65_536)
            while True:
                try:
                    hub.send(piece)
                except BlockingIOError:
                    break
            before = unacknowledged(hub.fileno())
            assert before > 0
            taken = 0
            while unacknowledged(hub.fileno()) >= before:
                taken += len(peer.recv(65_536))
            assert taken < before


def test_a_closed_socket_has_nothing_unacknowledged() -> None:
    one, other = socket.socketpair()
    number = one.fileno()
    one.close()
    other.close()
    assert unacknowledged(number) == 0
