# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A method of apt that reads a cache before the network. Build containers use it instead of ``http`` and ``https``.

They also use it instead of ``store``, which unpacks package lists: copying an unpacked list is faster.

It runs between apt and the distribution's own method, and uses apt's method interface with both
(https://salsa.debian.org/apt-team/apt/-/blob/main/doc/method.dbk). Files are identified by their SHA-256, which apt
knows from a signed release file. For the release file itself, apt expects no digest. It always comes from the archive,
so the cache never makes apt use an outdated archive.

Every build container can write to the cache, so its content is not trusted. While a file is copied from the cache, its
digest is computed and checked, and apt gets the copy.

usage: apt_method.py CACHE METHOD [EVENTS]
  CACHE   a directory that build containers share
  METHOD  path of the distribution's own method
  EVENTS  file for a line about each fetched file; see apt_events.py
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, cast

_CHUNK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")

#: Size limit in bytes of a file for which apt gives no limit.
_MAX_SIZE = 4 << 30

#: Seconds that a file stays in the cache after its last use.
_LIFETIME = 30 * 86400

#: With these files, the user has credentials for an archive. Files of such archives are private and are not cached.
_CREDENTIALS = ("/etc/apt/auth.conf", "/etc/apt/auth.conf.d")
_CLIENT_CERTIFICATE = re.compile(rb"^Config-Item: Acquire::https::(.*::)?Ssl(Cert|Key)=.", re.IGNORECASE | re.MULTILINE)


class Cache:
    """Files by their SHA-256."""

    def __init__(self, folder: str) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def take(self, digest: str, target: str, largest: int) -> int | None:
        """Copy the file with this digest to ``target``, unless it has more than ``largest`` bytes.

        Returns:
            The size in bytes; ``None`` if there is no such file, or its content does not have this digest.

        Raises:
            OSError: The file cannot be read, or ``target`` cannot be written.
        """
        try:
            # The file may come from a hostile container: do not follow a link, and do not wait for a FIFO.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            source = os.open(digest, flags, dir_fd=self._folder)
        except OSError:
            return None
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            os.close(source)
            return None
        with open(source, "rb") as file, open(target, "wb") as copy:
            actual, size = _copy(file, copy, status.st_size)
        if actual == digest:
            with contextlib.suppress(OSError):  # a different container may have removed it
                os.utime(digest, dir_fd=self._folder, follow_symlinks=False)
            return size
        os.unlink(target)
        with contextlib.suppress(OSError):
            os.unlink(digest, dir_fd=self._folder)
        return None

    def has(self, digest: str) -> bool:
        """Say whether there is a file with this digest. Its content is not checked."""
        try:
            return stat.S_ISREG(os.stat(digest, dir_fd=self._folder, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def put(self, digest: str, source: str) -> None:
        """Copy a file into the cache if it has this digest. If the process is killed meanwhile, no file is left."""
        with contextlib.suppress(OSError), open(source, "rb") as file:
            unnamed = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o644, dir_fd=self._folder)
            with open(unnamed, "wb") as copy:
                actual, _size = _copy(file, copy, os.fstat(file.fileno()).st_size)
                copy.flush()
                if actual == digest:
                    os.link(f"/proc/self/fd/{unnamed}", digest, dst_dir_fd=self._folder, follow_symlinks=True)

    def forget(self) -> None:
        """Remove files that have not been used for a long time."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                with contextlib.suppress(OSError):
                    used = os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mtime
                    if used < time.time() - _LIFETIME:
                        os.unlink(name, dir_fd=self._folder)


def _copy(source: IO[bytes], target: IO[bytes], limit: int) -> tuple[str, int]:
    """Copy at most ``limit`` bytes: a different container may write to the file faster than this process reads.

    Returns:
        The SHA-256 and the number of the bytes.
    """
    digest, size = hashlib.sha256(), 0
    while piece := source.read(min(_CHUNK, limit - size)):
        digest.update(piece)
        target.write(piece)
        size += len(piece)
    return digest.hexdigest(), size


class Method:
    """The conversation between apt, the cache, and the distribution's own method."""

    def __init__(self, cache: Cache, program: str, events: str = "") -> None:
        self._cache, self._events = cache, events
        self._begun: dict[str, float] = {}
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._requests, self._answers = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self._private = any(os.path.isfile(path) or _has_files(path) for path in _CREDENTIALS)
        self._write_lock = threading.Lock()
        self._expected: dict[str, str] = {}
        self._stored = False

    def run(self) -> int:
        """Answer requests until apt ends its input.

        Returns:
            The exit status.
        """
        answers = threading.Thread(target=self._forward_answers)
        answers.start()
        try:
            for message in _messages(sys.stdin.buffer):
                if message.startswith(b"601") and _CLIENT_CERTIFICATE.search(message):
                    self._private = True
                if not (message.startswith(b"600") and self._answer_from_cache(message)):
                    with contextlib.suppress(BrokenPipeError):
                        self._requests.write(message)
                        self._requests.flush()
        finally:  # in any case: the distribution's method ends when its input ends, and then the thread ends
            with contextlib.suppress(BrokenPipeError):
                self._requests.close()
            answers.join()
        return self._process.wait()

    def _answer_from_cache(self, message: bytes) -> bool:
        """Answer a request if the cache has the file. Return whether it was answered."""
        request = _fields(message)
        address, target = request.get("uri", ""), request.get("filename", "")
        digest = request.get("expected-sha256", "")
        self._begun[address] = time.time()
        if not _DIGEST.fullmatch(digest) or self._private or not self._is_public(address):
            return False
        try:
            size = self._cache.take(digest, target, int(request.get("maximum-size") or _MAX_SIZE))
        except (OSError, ValueError):  # treat a broken cache as empty, because apt must get an answer
            size = None
        if size is None:
            self._expected[address] = digest
            return False
        self._note("fetch-cache", address)
        self._send(f"200 URI Start\nURI: {address}\nSize: {size}\n\n".encode("utf-8", "surrogateescape"))
        self._send(
            f"201 URI Done\nURI: {address}\nFilename: {target}\nSize: {size}\nSHA256-Hash: {digest}\n\n".encode(
                "utf-8", "surrogateescape"
            )
        )
        return True

    def _is_public(self, address: str) -> bool:
        """Say whether a file may be in the cache. An unpacked list may be there if the packed one is there."""
        if not address.startswith("store:"):
            return "@" not in address.partition("://")[2].partition("/")[0]
        try:
            with open(address.partition(":")[2], "rb") as packed:
                return self._cache.has(hashlib.sha256(packed.read()).hexdigest())
        except OSError:
            return False

    def _forward_answers(self) -> None:
        """Forward the answers of the distribution's own method to apt, and store the downloaded files in the cache."""
        for message in _messages(self._answers):
            if message.startswith((b"201", b"400")):
                address = _fields(message).get("uri", "")
                if not address.startswith("store:"):  # unpacking is no download
                    self._note("fetch-network", address)
            if message.startswith(b"201"):
                answer = _fields(message)
                digest = self._expected.pop(answer.get("uri", ""), None)
                if digest is not None:  # before the answer is sent, because then apt moves the file
                    self._store(digest, answer.get("filename", ""))
            self._send(message)

    def _note(self, phase: str, address: str) -> None:
        """Note that a file has been fetched, if anybody wants to know how long that took."""
        began = self._begun.pop(address, None)
        if self._events and began is not None:
            with contextlib.suppress(OSError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
                descriptor = os.open(self._events, flags, 0o644)
                os.write(descriptor, f"{time.time():.3f} {os.getpid()} {phase} - {began:.3f}\n".encode())
                os.close(descriptor)

    def _store(self, digest: str, source: str) -> None:
        if not self._stored:
            self._cache.forget()
            self._stored = True
        self._cache.put(digest, source)

    def _send(self, message: bytes) -> None:
        with self._write_lock, contextlib.suppress(BrokenPipeError):
            sys.stdout.buffer.write(message)
            sys.stdout.buffer.flush()


def _has_files(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def _messages(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the messages of a stream, each with the empty line at its end."""
    lines: list[bytes] = []
    for line in stream:
        lines.append(line)
        if line == b"\n":
            if len(lines) > 1:
                yield b"".join(lines)
            lines = []


def _fields(message: bytes) -> dict[str, str]:
    lines = message.decode("utf-8", "surrogateescape").splitlines()[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}


def main(folder: str, program: str, events: str = "") -> int:
    """Run as a method of apt. If the cache is not available, replace this process by the distribution's own method."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # apt ends methods that it no longer needs with this signal
    try:
        cache = Cache(folder)
    except OSError:
        os.execv(program, [program])
    return Method(cache, program, events).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
