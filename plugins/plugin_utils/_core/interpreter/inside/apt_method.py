# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A method of apt that asks a cache before the network; build containers run it in place of ``http`` and ``https``.

It stands between apt and the distribution's own method and speaks apt's method interface
(https://salsa.debian.org/apt-team/apt/-/blob/main/doc/method.dbk) with both. Files are known by the SHA-256 that apt
expects of them, which it has from a signed release file. That file itself is expected to have none, so it always comes
from the archive: what is out of date there is never taken from the cache.

The cache can be written by every build container, so nothing in it is believed: a file's digest is computed anew while
it is copied out, and apt gets the copy.

usage: apt_method.py CACHE METHOD
  CACHE   a directory that build containers share
  METHOD  path of the distribution's own method
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

#: The most bytes of a file of which apt does not say how large it may be.
_LARGEST = 4 << 30

#: Seconds that a file stays in the cache after it was used last.
_UNUSED = 30 * 86400

#: What says that the user has credentials for an archive; what they open is nobody else's business.
_CREDENTIALS = ("/etc/apt/auth.conf", "/etc/apt/auth.conf.d")
_CLIENT_CERTIFICATE = re.compile(rb"^Config-Item: Acquire::https::(.*::)?Ssl(Cert|Key)=.", re.IGNORECASE | re.MULTILINE)


class Cache:
    """Files by their SHA-256."""

    def __init__(self, folder: str) -> None:
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def take(self, digest: str, target: str, largest: int) -> int | None:
        """Copy the file with this digest to ``target``, unless it is larger than it can be.

        Returns:
            Its size; ``None`` where there is none, and where it is not what its name says.

        Raises:
            OSError: It cannot be read, or ``target`` cannot be written.
        """
        try:
            # Not a link, and no FIFO that we would wait for: anybody may have put it there.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            source = os.open(digest, flags, dir_fd=self._folder)
        except OSError:
            return None
        about = os.fstat(source)
        if not stat.S_ISREG(about.st_mode) or about.st_size > largest:
            os.close(source)
            return None
        with open(source, "rb") as file, open(target, "wb") as copy:
            found, size = _copy(file, copy, about.st_size)
        if found == digest:
            with contextlib.suppress(OSError):  # somebody else has removed it meanwhile
                os.utime(digest, dir_fd=self._folder, follow_symlinks=False)
            return size
        os.unlink(target)
        with contextlib.suppress(OSError):
            os.unlink(digest, dir_fd=self._folder)
        return None

    def put(self, digest: str, source: str) -> None:
        """Copy a file into the cache if it has this digest; whoever is killed meanwhile leaves nothing."""
        with contextlib.suppress(OSError), open(source, "rb") as file:
            nameless = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o644, dir_fd=self._folder)
            with open(nameless, "wb") as copy:
                found, _size = _copy(file, copy, os.fstat(file.fileno()).st_size)
                copy.flush()
                if found == digest:
                    os.link(f"/proc/self/fd/{nameless}", digest, dst_dir_fd=self._folder, follow_symlinks=True)

    def forget(self) -> None:
        """Remove what has not been used for a long time."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                with contextlib.suppress(OSError):
                    used = os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mtime
                    if used < time.time() - _UNUSED:
                        os.unlink(name, dir_fd=self._folder)


def _copy(source: IO[bytes], target: IO[bytes], most: int) -> tuple[str, int]:
    """Copy at most so many bytes: somebody may write into the file faster than we read."""
    digest, size = hashlib.sha256(), 0
    while piece := source.read(min(_CHUNK, most - size)):
        digest.update(piece)
        target.write(piece)
        size += len(piece)
    return digest.hexdigest(), size


class Method:
    """The conversation between apt, the cache, and the distribution's own method."""

    def __init__(self, cache: Cache, program: str) -> None:
        self._cache = cache
        self._own = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._tell, self._told = cast(IO[bytes], self._own.stdin), cast(IO[bytes], self._own.stdout)
        self._private = any(os.path.isfile(path) or _has_files(path) for path in _CREDENTIALS)
        self._speaking = threading.Lock()
        self._expected: dict[str, str] = {}
        self._stored = False

    def run(self) -> int:
        """Talk until apt has no more questions; returns the exit status."""
        answers = threading.Thread(target=self._listen)
        answers.start()
        try:
            for message in _messages(sys.stdin.buffer):
                if message.startswith(b"601") and _CLIENT_CERTIFICATE.search(message):
                    self._private = True
                if not (message.startswith(b"600") and self._answer(message)):
                    with contextlib.suppress(BrokenPipeError):
                        self._tell.write(message)
                        self._tell.flush()
        finally:  # whatever happened: the other method ends with its input, and so does this one
            with contextlib.suppress(BrokenPipeError):
                self._tell.close()
            answers.join()
        return self._own.wait()

    def _answer(self, message: bytes) -> bool:
        """Answer from the cache, if that has the file."""
        asked = _fields(message)
        address, digest, target = asked.get("uri", ""), asked.get("expected-sha256", ""), asked.get("filename", "")
        if self._private or "@" in address.partition("://")[2].partition("/")[0] or not _DIGEST.fullmatch(digest):
            return False
        try:
            size = self._cache.take(digest, target, int(asked.get("maximum-size") or _LARGEST))
        except (OSError, ValueError):  # a cache that does not work is none; apt must get an answer
            size = None
        if size is None:
            self._expected[address] = digest
            return False
        self._say(f"200 URI Start\nURI: {address}\nSize: {size}\n\n".encode("utf-8", "surrogateescape"))
        self._say(
            f"201 URI Done\nURI: {address}\nFilename: {target}\nSize: {size}\nSHA256-Hash: {digest}\n\n".encode(
                "utf-8", "surrogateescape"
            )
        )
        return True

    def _listen(self) -> None:
        """Pass on what the distribution's own method says, and keep what it fetches."""
        for message in _messages(self._told):
            if message.startswith(b"201"):
                done = _fields(message)
                digest = self._expected.pop(done.get("uri", ""), None)
                if digest is not None:  # before apt is told, for then it moves the file
                    self._keep(digest, done.get("filename", ""))
            self._say(message)

    def _keep(self, digest: str, source: str) -> None:
        if not self._stored:
            self._cache.forget()
            self._stored = True
        self._cache.put(digest, source)

    def _say(self, message: bytes) -> None:
        with self._speaking, contextlib.suppress(BrokenPipeError):
            sys.stdout.buffer.write(message)
            sys.stdout.buffer.flush()


def _has_files(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def _messages(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what is said, a message at a time, each with the empty line at its end."""
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


def main(folder: str, program: str) -> int:
    """Run as apt's method; where the cache cannot be had, the distribution's own takes this process over."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # with it, apt ends the methods that it needs no more
    try:
        cache = Cache(folder)
    except OSError:
        os.execv(program, [program])
    return Method(cache, program).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
