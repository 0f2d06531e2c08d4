"""The encrypted read and write path of one connection, on a non-blocking socket.

`EncryptedSocket` stands where a plain connection has its socket, and its `syscalls` where a plain one has the
system calls. So the handshake, the WebSocket and HTTP are the same code on both, with the same bounds.

Why not `trio.SSLStream`: its `send_all` needs a task for each slow reader, and takes no part of a message.
Why not the `ssl` module's sockets: OpenSSL reads from the socket for as long as records without data come, so
one peer that changes its keys all the time would stop the event loop.
"""

from __future__ import annotations

import ssl
from typing import Any, Final, cast

import trio

from tasktree_rt.web.server.syscalls import AcceptedSocket, Socket, Syscalls

PIECE: Final = 4 * 1024
"""Bytes that are encrypted, and read from the socket, in one go. OpenSSL's buffers keep the largest size that
they ever had, so this bounds the memory of an idle connection."""
BATCH: Final = 16 * 1024
"""Bytes that are encrypted for one write to the socket."""
SPARE: Final = 64 * 1024
"""Encrypted bytes without data that a peer may send, before it has to send data again."""
SHARE: Final = 8
"""Such bytes that it may send for each byte of data: a record has some 30 bytes beside its data."""
MAX_ANSWERS: Final = 64 * 1024
"""Encrypted bytes that may wait for a peer that changes its keys and reads nothing."""

_RECEIVED: Final = bytearray(PIECE)
"""The buffer that all connections read encrypted bytes into."""
_RECEIVED_VIEW: Final = memoryview(_RECEIVED)


class EncryptedSocket:
    """Encrypt and decrypt for one socket. Implements `syscalls.AcceptedSocket`.

    What is encrypted cannot be taken back: the hub decides before what a reader gets. At most `BATCH` bytes
    are encrypted that the socket did not take. The last byte of a write counts as taken only when the socket
    has all encrypted bytes: so a caller that writes until all is taken leaves nothing behind, and needs no
    other call to empty it. That byte is never the first of a frame, so the caller has begun that frame, and
    writes its rest first.

    Args:
        base: the system calls below.
    """

    __slots__ = (
        "_base",
        "_credit",
        "_ended",
        "_error",
        "_fd",
        "_held",
        "_incoming",
        "_left",
        "_outgoing",
        "_said_end",
        "_sock",
        "_tls",
        "_unsent",
    )

    def __init__(self, sock: AcceptedSocket, context: ssl.SSLContext, base: Syscalls) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._base = base
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._unsent: bytes | memoryview = b""  # encrypted, and not taken by the socket
        self._held = False  # the next write begins with a byte that is encrypted already
        self._left = b""  # decrypted, and not read yet
        self._credit = SPARE
        self._ended = False  # the peer said that it sends nothing more
        self._said_end = False
        self._error: OSError | None = None

    # --- the handshake ------------------------------------------------------------------------------

    def greets_in_plain(self, first: int) -> bool:
        """Return whether a connection that begins with the byte `first` speaks HTTP without TLS."""
        return ord("A") <= first <= ord("Z")

    async def receive(self) -> int:
        """Read encrypted bytes for `shake_hands`; return the first of them, -1 at the end of the connection.

        Raises:
            OSError: the peer is gone.
        """
        while True:
            await self._base.wait_readable(self._fd)
            try:
                size = self._base.readv(self._fd, (_RECEIVED,))
            except BlockingIOError:
                continue
            if size:
                self._incoming.write(_RECEIVED_VIEW[:size])
            return _RECEIVED[0] if size else -1

    async def shake_hands(self) -> bool:
        """Take the received bytes into the handshake and answer; return whether it is complete.

        Raises:
            ssl.SSLError: the handshake failed; the peer was sent the alert.
            OSError: the peer is gone.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            await self._empty()
            return False
        except ssl.SSLError:
            await self._empty()
            raise
        await self._empty()
        return True

    async def _empty(self) -> None:
        while not self._flush():
            await self._base.wait_writable(self._fd)

    @property
    def has_certificate(self) -> bool:
        """Return whether the client showed a certificate."""
        return self._tls.getpeercert(binary_form=True) is not None

    def syscalls(self) -> Syscalls:
        """Return the system calls of a connection that reads and writes through this object."""
        return Syscalls(
            readv=self._readv,
            write=self._write,
            wait_readable=self._wait_readable,
            wait_writable=self._base.wait_writable,
            sender=self._sender,
            unacknowledged=self._base.unacknowledged,
        )

    # --- writing --------------------------------------------------------------------------------------

    def send(self, data: bytes | memoryview) -> int:
        """Encrypt and write `data`; return how many bytes of it are taken.

        Raises:
            BlockingIOError: the socket takes nothing, and nothing is encrypted.
            OSError: the peer is gone.
        """
        begun = 0
        if self._unsent or self._held:
            if not self._flush():
                raise BlockingIOError
            if self._held:
                begun, self._held = 1, False
                data = memoryview(data)[1:]
                if not data:
                    return 1
        size = len(data)
        if size > PIECE:
            return begun + self._send_batches(memoryview(data))
        self._tls.write(data)
        if self._put(self._outgoing.read()):
            return begun + size
        self._held = True
        return begun + size - 1

    def _send_batches(self, data: memoryview) -> int:
        taken, size = 0, len(data)
        while taken < size:
            batch = data[taken : taken + BATCH]
            pieces = []
            for at in range(0, len(batch), PIECE):
                self._tls.write(batch[at : at + PIECE])
                pieces.append(self._outgoing.read())
            taken += len(batch)
            if not self._put(b"".join(pieces)):
                # The caller writes the rest of `data`, or something in its place: both empty `_unsent` first.
                self._held = taken == size
                return taken - self._held
        return taken

    def _put(self, encrypted: bytes) -> bool:
        """Write to the socket; keep what it does not take. Returns whether it took all."""
        try:
            sent = self._base.write(self._fd, encrypted)
        except BlockingIOError:
            sent = 0
        self._unsent = encrypted[sent:]
        return not self._unsent

    def _flush(self) -> bool:
        """Write the encrypted bytes that wait; return whether none is left."""
        if self._outgoing.pending:
            self._unsent = b"".join((self._unsent, self._outgoing.read()))
        return self._put(bytes(self._unsent)) if self._unsent else True

    def _write(self, fd: int, data: bytes | memoryview) -> int:
        return self.send(data)

    def _sender(self, sock: Socket) -> Any:  # noqa: ANN401
        return self.send

    # --- reading --------------------------------------------------------------------------------------

    def _readv(self, fd: int, into: tuple[bytearray]) -> int:
        """Read and decrypt; return the number of bytes, 0 if the peer said that it sends nothing more.

        Raises:
            BlockingIOError: there is no data yet.
            ConnectionResetError: the connection was cut off, or the peer sends hardly anything but what is no
                data.
            OSError: the peer is gone, or what came is not TLS.
        """
        if self._error is not None:
            raise self._error
        view = memoryview(into[0])
        got = self._decrypt(view)
        self._charge(0, got)
        while got < len(view) and not self._ended and self._error is None:
            size = self._more()
            if not size:
                break
            gained = self._decrypt(view[got:])
            got += gained
            self._charge(size, gained)
            if 2 * gained < size:
                break  # other tasks have their turn: what is no data may take long to decrypt
        if got or self._ended:
            return got
        if self._error is not None:
            raise self._error
        raise BlockingIOError

    def _more(self) -> int:
        """Read encrypted bytes; return their number, 0 if there are none or none will come."""
        try:
            size = self._base.readv(self._fd, (_RECEIVED,))
        except BlockingIOError:
            return 0
        except OSError as error:
            self._error = error
            return 0
        if size:
            self._incoming.write(_RECEIVED_VIEW[:size])
        else:
            self._error = ConnectionResetError("the connection ended without the end of TLS")
        return size

    def _decrypt(self, view: memoryview) -> int:
        """Decrypt what is there, as far as `view` has room; return the number of bytes."""
        got = 0
        if self._left:
            got = min(len(view), len(self._left))
            view[:got], self._left = self._left[:got], self._left[got:]
        try:
            while got < len(view) and (self._incoming.pending or self._tls.pending()):
                size = cast(int, self._tls.read(len(view) - got, view[got:]))
                if not size:
                    self._ended = True
                    break
                got += size
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            self._error = error
        if self._outgoing.pending:
            self._answer()
        return got

    def _answer(self) -> None:
        """Send what TLS itself has to say: an alert, or new keys."""
        try:
            self._flush()
        except OSError as error:
            self._error = error
        if len(self._unsent) > MAX_ANSWERS:
            self._error = ConnectionResetError("the peer changes its keys and reads nothing")

    def _charge(self, size: int, gained: int) -> None:
        """Bound what a peer may send beside data: a change of its keys costs as much as a thousand bytes."""
        self._credit = min(SPARE, self._credit + SHARE * gained - size)
        if self._credit < 0:
            self._error = ConnectionResetError("the peer sends records without data")

    async def _wait_readable(self, fd: int) -> None:
        if self._left or self._incoming.pending or self._tls.pending() or self._error is not None:
            await trio.lowlevel.checkpoint()
        else:
            await self._base.wait_readable(fd)

    # --- the socket -----------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """Tell the peer that nothing more follows, and half-close. Reading goes on.

        Raises:
            BlockingIOError: the socket has no room for that; call it again.
            OSError: the peer is gone.
        """
        if not self._said_end:
            self._said_end = True
            self._say_end()
        if not self._flush():
            raise BlockingIOError
        self._sock.shutdown(how)

    def _say_end(self) -> None:
        # OpenSSL also looks for the peer's end, and would refuse data there: it must find nothing.
        if self._tls.pending():
            self._left += self._tls.read(self._tls.pending())
        waiting = self._incoming.read()
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the peer's end is still to come
        finally:
            self._incoming.write(waiting)

    @property
    def family(self) -> int:
        """Return the address family."""
        return self._sock.family

    def getpeername(self) -> Any:  # noqa: ANN401
        """Return the peer's address."""
        return self._sock.getpeername()

    def getsockname(self) -> Any:  # noqa: ANN401
        """Return the socket's own address."""
        return self._sock.getsockname()

    def fileno(self) -> int:
        """Return the descriptor, to wait for; only this object reads and writes it."""
        return self._sock.fileno()

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option of the socket."""
        self._sock.setsockopt(level, option, value)

    def close(self) -> None:
        """Close the socket, without a word to the peer. Later writes fail."""
        self._fd = -1  # the kernel may give the number to another socket
        self._sock.close()
