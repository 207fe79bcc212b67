# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a forked child does: become the command that was asked for."""

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

#: Exit statuses of shells for a command that cannot be run, and for one that does not exist.
CANNOT_RUN, NOT_FOUND = 126, 127

#: What an interpreter reads from its environment when it starts; a fork of one that runs already would not.
_READ_AT_START = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_")
_READ_AT_START_NAMES = frozenset({"LANG", "LANGUAGE", "LOCPATH", "TZ", "OPENSSL_CONF", "SSL_CERT_FILE", "SSL_CERT_DIR"})

#: Signals that an interpreter ignores.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


def _coerces() -> bool:
    """Say whether LC_CTYPE is this interpreter's own: it sets it for itself where no locale is named (PEP 538)."""
    with open("/proc/self/environ", "rb") as given:
        return "LC_CTYPE" in os.environ and b"\0LC_CTYPE=" not in b"\0" + given.read()


_coerced = _coerces()


class _RefusedError(Exception):
    """The request cannot be carried out; the message is for the user."""


def run(told: int, streams: tuple[int, int, int], notes: int) -> NoReturn:
    """Wait for a request, and turn this process into the command. It ends here, whatever happens.

    Args:
        told: The request comes in here, as JSON. ``do`` is ``exec`` (``argv``), ``module`` (``interpreter``; the module
            is on standard input), or a function of :mod:`.file_transfer`; ``env`` is added to the environment;
            ``user`` is a
            name or a number, with ``:`` and a group or not, or empty for the one that the agent runs as.
        streams: Standard input, output and error.
        notes: Lines for the controller's log go here.
    """
    request: dict[str, Any] = {"do": "wait", "argv": ["the agent's child"]}
    code = CANNOT_RUN
    try:
        os.setsid()
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        _close_all_but({0, 1, 2, notes, told})
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        request = _wait(told)
        _switch_user(request.get("user") or "")
        os.environ.update(request.get("env") or {})
        code = _DO[request["do"]](request, notes)
    except SystemExit as end:
        code = _exit_code(end)
    except _RefusedError as refused:
        _complain(str(refused))
    except OSError as error:
        _complain(f"{_named(request)}: {error.strerror}")
        if request["do"] in {"exec", "module"}:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        else:
            code = 1
    except BaseException:  # noqa: BLE001 - whatever it is, it must not get into the agent's own loop
        traceback.print_exc()
        code = 1
    _leave(code)


def _wait(told: int) -> dict[str, Any]:
    pieces = []
    while piece := os.read(told, 1 << 16):
        pieces.append(piece)
    os.close(told)
    if not pieces:
        os._exit(0)  # the agent needs this child no more, or has ended
    request: dict[str, Any] = json.loads(b"".join(pieces))
    return request


def _named(request: dict[str, Any]) -> str:
    """What a message about a request begins with: a file or a program."""
    return str(request.get("path") or request.get("interpreter") or request.get("base") or request["argv"][0])


def _close_all_but(kept: set[int]) -> None:
    """Let go of all that is the agent's: its other end must see an end when the agent dies, not when we do."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # the one that the folder was read through
                os.close(int(name))


def _switch_user(user: str) -> None:
    """Become ``user`` as an engine does: groups from the group file, home from the password file."""
    user, _, group = user.partition(":")
    if not user:
        return
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if not user.isdigit():
            raise _RefusedError(
                f"the build container has no user {user!r}, which ansible_user, remote_user or become_user names; "
                "leave ansible_user out for tiers (the default is root), or let the role make the user first"
            ) from None
        uid, gid, name, home = int(user), 0, "", "/"
    else:
        uid, gid, name, home = entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir
    if uid != os.geteuid() or group:
        for stream in (0, 1, 2):
            os.fchown(stream, uid, -1)  # or /dev/stdout could not be opened by name
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
        raise _RefusedError(f"no group {group!r} in the build container; let the role make it first") from None


def _exec(request: dict[str, Any], _notes: int) -> NoReturn:
    if _coerced and "LC_CTYPE" not in (request.get("env") or {}):
        del os.environ["LC_CTYPE"]
    _become(request["argv"])


def _files(request: dict[str, Any], _notes: int) -> int:
    getattr(file_transfer, request["do"])(request)
    return 0


def _module(request: dict[str, Any], notes: int) -> int:
    """Run a module in this very process, or in an interpreter of its own where that would not be the same."""
    program = _buffer(sys.stdin).read()
    module, interpreter = modules.Module(program), request["interpreter"]
    reason = _foreign(interpreter) or _early(request.get("env") or {}) or module.unfit()
    if reason:
        os.write(notes, f"{interpreter} is started for this module: {reason}".encode())
        _start(interpreter, program)
    try:
        module.execute()
    except Exception:  # noqa: BLE001 - a module may raise anything, and an interpreter would print it
        traceback.print_exc()
        return 1
    return 0


def _foreign(interpreter: str) -> str:
    """Say why another interpreter is wanted; empty if it is this one.

    One in another folder is another one even if it is a link to this: it may be a virtual environment's.
    """
    wanted, own = shutil.which(interpreter) or interpreter, preload.own_python()
    if _place(wanted) == _place(own) and os.path.realpath(wanted) == os.path.realpath(own):
        return ""
    return f"the agent runs on {own}"


def _place(path: str) -> str:
    return os.path.realpath(os.path.dirname(path))


def _early(environment: dict[str, str]) -> str:
    """Say which variable an interpreter must see when it starts; empty if none is there."""
    for name in environment:
        if name in _READ_AT_START_NAMES or name.startswith(_READ_AT_START):
            return f"it has to see {name} when it starts"
    return ""


def _start(interpreter: str, program: bytes) -> NoReturn:
    """Become a fresh interpreter that reads ``program`` from its standard input."""
    memory = os.memfd_create("module") if hasattr(os, "memfd_create") else -1
    if memory >= 0:
        os.write(memory, b"")
        with open(memory, "wb", closefd=False) as file:
            file.write(program)
        os.lseek(memory, 0, os.SEEK_SET)
        os.dup2(memory, 0)
        os.close(memory)
    _become([interpreter])


def _become(argv: list[str]) -> NoReturn:
    """Become a program that finds nothing of this interpreter's."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_DFL)
    os.execvp(argv[0], argv)


def _buffer(stream: Any) -> io.BufferedIOBase:
    buffer: io.BufferedIOBase = stream.buffer
    return buffer


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _exit_code(end: SystemExit) -> int:
    """Exit status of an interpreter that ends with ``end`` (https://docs.python.org/3/library/sys.html#sys.exit)."""
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    _complain(str(end.code))
    return 1


def _leave(code: int) -> NoReturn:
    """End as an interpreter does, without the agent's own frames above us being unwound."""
    try:
        with contextlib.suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what an interpreter does at its end
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()  # noqa: SLF001 - the same
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


_DO = {"exec": _exec, "module": _module, **dict.fromkeys(("put", "fetch", "make", "allow", "remove"), _files)}
