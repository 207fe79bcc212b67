# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An event loop, and a connection to the other side that never blocks."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import selectors
import time
from collections import deque
from typing import Callable

from .frames import PIECE, ProtocolError, encode

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

Call = Callable[[], None]


class Loop:
    """An event loop. It calls functions when a file descriptor is ready, or when a time has come."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Call]] = []
        self._order = itertools.count()
        self._running = True

    def watch(self, fd: int, event: int, call: Call) -> None:
        """Call ``call`` whenever ``fd`` is ready for ``event`` (``READ`` or ``WRITE``)."""
        if fd not in self._selector.get_map():
            self._selector.register(fd, event, call)

    def forget(self, fd: int) -> None:
        """Stop watching ``fd``. It need not be watched."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def later(self, seconds: float, call: Call) -> None:
        """Call ``call`` once, after ``seconds``."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), call))

    def stop(self) -> None:
        """Let :meth:`run` return."""
        self._running = False

    def run(self) -> None:
        """Run until :meth:`stop` is called."""
        while self._running:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, _events in self._selector.select(wait):
                # An earlier call in this loop may have closed this descriptor and opened a new one with the same
                # number.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()


#: Number of unsent bytes above which the link is full.
_FULL = 4 * PIECE

#: Seconds between checks of a paused link: was it closed by the other side?
_POLL_SECONDS = 0.5


class FrameLink:
    """A connection for frames, over a pair of descriptors. Both may belong to one socket."""

    def __init__(
        self, loop: Loop, reader: int, writer: int, feed: Callable[[bytes], None], closed: Callable[[], None]
    ) -> None:
        """Watch the descriptors. They must be non-blocking, and are closed with the link.

        Args:
            loop: The event loop.
            reader: Descriptor to read from.
            writer: Descriptor to write to.
            feed: Called with each chunk that arrives; usually the method of a decoder.
            closed: Called once when the link is closed.
        """
        self._loop, self._reader, self._writer = loop, reader, writer
        self._feed = feed
        self._closed = closed
        self._unsent: deque[memoryview] = deque()
        self._unsent_size = 0
        self._drained: list[Callable[[], None]] = []
        self._paused = self._polling = False
        self.open = True
        loop.watch(reader, READ, self._read)

    @property
    def full(self) -> bool:
        """Whether the other side reads more slowly than this side sends."""
        return self._unsent_size > _FULL

    def send(self, channel: int, kind: int, payload: bytes = b"") -> None:
        """Send a frame as soon as possible."""
        self.send_bytes(encode(channel, kind, payload))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that are not a frame."""
        if self.open:
            self._unsent.append(memoryview(data))
            self._unsent_size += len(data)
            self._write()

    def when_drained(self, call: Callable[[], None]) -> None:
        """Call ``call`` once, when everything is sent, or when the link is closed."""
        self._drained.append(call)

    def pause(self) -> None:
        """Stop reading until :meth:`resume`. The link still notices that the other side closed it."""
        self._loop.forget(self._reader)
        self._paused = True
        if not self._polling:
            self._polling = True
            self._loop.later(_POLL_SECONDS, self._poll)

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        if self.open:
            self._loop.watch(self._reader, READ, self._read)

    def close(self) -> None:
        """Close the link now. Unsent data is dropped."""
        if not self.open:
            return
        self.open = False
        self._unsent.clear()
        self._unsent_size = 0
        for fd in {self._reader, self._writer}:
            self._loop.forget(fd)
            os.close(fd)
        calls, self._drained = self._drained, []
        for call in calls:
            call()
        self._closed()

    def finish(self) -> None:
        """Close the link when everything is sent."""
        if self._unsent:
            self.when_drained(self.finish)
        else:
            self.close()

    def _read(self) -> None:
        try:
            data = os.read(self._reader, PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            self._feed(data)
        except ProtocolError:
            data = b""
        if not data:
            self.close()

    def _poll(self) -> None:
        self._polling = False
        if not self.open or not self._paused:
            return
        poll = select.poll()
        poll.register(self._reader, 0)
        if poll.poll(0):
            self.close()
        else:
            self.pause()

    def _write(self) -> None:
        while self._unsent:
            try:
                sent = os.write(self._writer, self._unsent[0])
            except BlockingIOError:
                self._loop.watch(self._writer, WRITE, self._write)
                return
            except OSError:
                self.close()
                return
            self._unsent_size -= sent
            self._unsent[0] = self._unsent[0][sent:]
            if not self._unsent[0]:
                self._unsent.popleft()
        self._loop.forget(self._writer)
        calls, self._drained = self._drained, []
        for call in calls:
            call()
