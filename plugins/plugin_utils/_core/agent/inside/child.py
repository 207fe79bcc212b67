# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The forked child process: it waits for a request, and becomes the command."""

from __future__ import annotations

import atexit
import contextlib
import grp
import io
import json
import os
import pwd
import shutil
import signal
import sys
import threading
import traceback
from typing import Any, NoReturn

from . import file_transfer, modules, preload

#: Exit statuses of a shell for a command that cannot be run, and for a command that does not exist.
CANNOT_RUN, NOT_FOUND = 126, 127

#: Prefixes of environment variables that an interpreter reads only when it starts. A fork would ignore them.
_READ_AT_START = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_")
#: Names of such variables.
_READ_AT_START_NAMES = frozenset({"LANG", "LANGUAGE", "LOCPATH", "TZ", "OPENSSL_CONF", "SSL_CERT_FILE", "SSL_CERT_DIR"})

#: Signals that a Python interpreter ignores.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


def _coerces() -> bool:
    """Say whether this interpreter itself has set LC_CTYPE, as it does if no locale is set (PEP 538)."""
    with open("/proc/self/environ", "rb") as file:
        return "LC_CTYPE" in os.environ and b"\0LC_CTYPE=" not in b"\0" + file.read()


_coerced = _coerces()


class _RequestError(Exception):
    """The request cannot be executed. The message is for the user."""


def run(request_pipe: int, streams: tuple[int, int, int], notes: int) -> NoReturn:
    """Wait for a request, and turn this process into the command. The process ends here, even after an error.

    Keys of a request: ``do`` is ``exec`` (with ``argv``), ``module`` (with ``interpreter``; the module is on standard
    input), or the name of a function of :mod:`.file_transfer`. ``env`` is added to the environment. ``user`` is
    ``name``, ``uid``, ``name:group`` or ``uid:gid``, or empty for the user of the agent.

    Args:
        request_pipe: Descriptor from which the request is read, as JSON.
        streams: Descriptors of standard input, output and error.
        notes: Descriptor for lines for the controller's log.
    """
    request: dict[str, Any] = {"do": "wait", "argv": ["the agent's child"]}
    code = CANNOT_RUN
    try:
        os.setsid()
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        _close_all_except({0, 1, 2, notes, request_pipe})
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        request = _read_request(request_pipe)
        _switch_user(request.get("user") or "")
        os.environ.update(request.get("env") or {})
        code = _DO[request["do"]](request, notes)
    except SystemExit as end:
        code = _exit_code(end)
    except _RequestError as error:
        _print_error(str(error))
    except OSError as error:
        _print_error(f"{_subject(request)}: {error.strerror}")
        if request["do"] in {"exec", "module"}:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        else:
            code = 1
    except BaseException:  # noqa: BLE001 - no error may reach the event loop of the agent
        traceback.print_exc()
        code = 1
    _leave(code)


def _read_request(pipe: int) -> dict[str, Any]:
    chunks = []
    while chunk := os.read(pipe, 1 << 16):
        chunks.append(chunk)
    os.close(pipe)
    if not chunks:
        os._exit(0)  # the agent does not need this child, or has ended
    request: dict[str, Any] = json.loads(b"".join(chunks))
    return request


def _subject(request: dict[str, Any]) -> str:
    """Return the file or program of a request, as the beginning of a message."""
    return str(request.get("path") or request.get("interpreter") or request.get("base") or request["argv"][0])


def _close_all_except(kept: set[int]) -> None:
    """Close the agent's descriptors. Otherwise its connections would stay open until this child ends."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # the descriptor of /proc/self/fd itself
                os.close(int(name))


def _switch_user(user: str) -> None:
    """Switch to ``user`` as an engine does: with groups from the group file, and home from the password file."""
    user, _, group = user.partition(":")
    if not user:
        return
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if not user.isdigit():
            raise _RequestError(
                f"the build container has no user {user!r}, which ansible_user, remote_user or become_user names; "
                "leave ansible_user out for tiers (the default is root), or let the role make the user first"
            ) from None
        uid, gid, name, home = int(user), 0, "", "/"
    else:
        uid, gid, name, home = entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir
    if uid != os.geteuid() or group:
        for stream in (0, 1, 2):
            os.fchown(stream, uid, -1)  # otherwise the command could not open /dev/stdout
        if name:
            os.initgroups(name, gid)
        else:
            os.setgroups([])
        os.setgid(_group(group) if group else gid)
        os.setuid(uid)
    os.environ["HOME"] = home


def _group(group: str) -> int:
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise _RequestError(f"the build container has no group {group!r}; let the role make it first") from None


def _exec(request: dict[str, Any], _notes: int) -> NoReturn:
    if _coerced and "LC_CTYPE" not in (request.get("env") or {}):
        del os.environ["LC_CTYPE"]
    _execute(request["argv"])


def _files(request: dict[str, Any], _notes: int) -> int:
    sys.stdout.write(getattr(file_transfer, request["do"])(request))
    return 0


def _module(request: dict[str, Any], notes: int) -> int:
    """Run a module in this process. If the result could differ, run it in a new interpreter."""
    program = _buffer(sys.stdin).read()
    module, interpreter = modules.Module(program), request["interpreter"]
    reason = _differs_from_own(interpreter) or _needed_at_start(request.get("env") or {}) or module.why_unsuitable()
    if reason:
        os.write(notes, f"{interpreter} is started for this module: {reason}".encode())
        _start_interpreter(interpreter, program)
    try:
        module.execute()
    except Exception:  # noqa: BLE001 - a module may raise anything, and an interpreter would print it
        traceback.print_exc()
        return 1
    return 0


def _differs_from_own(interpreter: str) -> str:
    """Return a reason if ``interpreter`` is not the running interpreter; empty if it is.

    A link to it in a different folder counts as different, because it may belong to a virtual environment.
    """
    wanted, own = shutil.which(interpreter) or interpreter, preload.own_python()
    if _real_folder(wanted) == _real_folder(own) and os.path.realpath(wanted) == os.path.realpath(own):
        return ""
    return f"the agent runs on {own}"


def _real_folder(path: str) -> str:
    return os.path.realpath(os.path.dirname(path))


def _needed_at_start(environment: dict[str, str]) -> str:
    """Return a reason if an interpreter reads one of the variables only when it starts; empty otherwise."""
    for name in environment:
        if name in _READ_AT_START_NAMES or name.startswith(_READ_AT_START):
            return f"{name} must be set when it starts"
    return ""


def _start_interpreter(interpreter: str, program: bytes) -> NoReturn:
    """Replace this process by a new interpreter that reads ``program`` from its standard input."""
    memory = os.memfd_create("module") if hasattr(os, "memfd_create") else -1
    if memory >= 0:
        os.write(memory, b"")
        with open(memory, "wb", closefd=False) as file:
            file.write(program)
        os.lseek(memory, 0, os.SEEK_SET)
        os.dup2(memory, 0)
        os.close(memory)
    _execute([interpreter])


def _execute(argv: list[str]) -> NoReturn:
    """Replace this process by a program, with default handling of signals."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    os.execvp(argv[0], argv)


def _buffer(stream: Any) -> io.BufferedIOBase:
    buffer: io.BufferedIOBase = stream.buffer
    return buffer


def _print_error(text: str) -> None:
    print(text, file=sys.stderr)


def _exit_code(end: SystemExit) -> int:
    """Return the exit status of an interpreter that ends with ``end`` (https://docs.python.org/3/library/sys.html#sys.exit)."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    _print_error(str(end.code))
    return 1


def _leave(code: int) -> NoReturn:
    """End as an interpreter does, but without unwinding the stack frames of the agent."""
    try:
        with contextlib.suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - an interpreter does this when it ends
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()  # noqa: SLF001 - the same
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


_DO = {"exec": _exec, "module": _module, **dict.fromkeys(("put", "fetch", "make", "allow", "remove"), _files)}
