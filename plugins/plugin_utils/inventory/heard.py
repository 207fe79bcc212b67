# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hears which variables of the controller's environment a plugin reads."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType

import ansible

from ..keys.learned import ENVIRONMENT, UNSEEN

#: Takes kind and name of something that was read.
Note = Callable[[str, str], None]

_ANSIBLE = Path(ansible.__file__).parent
#: What of Ansible reads the environment for a role: plugins of templates, and ``~`` and ``$NAME`` in paths.
_FOR_ROLES = tuple(
    # The filter expandvars is a function of Python's, and shows by what it is wrapped in.
    str(_ANSIBLE / name)
    for name in ("plugins/lookup/", "plugins/filter/", "plugins/test/", "utils/unicode.py")
)
_PATHS = str(_ANSIBLE / "utils/path.py")
#: Code that hands a question on for somebody else.
_BETWEEN = tuple(str(Path(os.__file__).parent / name) for name in ("os.py", "posixpath.py", "_collections_abc.py"))
_COLLECTIONS = f"{os.sep}ansible_collections{os.sep}"
_OURS = str(Path(__file__).resolve().parents[3])
#: Where a person's home is does not decide what a role makes of a path in it: that file is heard.
_HOME = "HOME"


class Environment(os._Environ):  # type: ignore[type-arg]  # noqa: SLF001 - it has no other name
    """``os.environ`` that says what is read. It is the same object: programs keep references to it."""

    #: Set by :func:`hear_environment`, for the one environment that there is.
    note: Note | None = None
    whole: CodeType | None = None

    def __getitem__(self, name: str) -> str:
        code = _reader()
        if code is not None and code is not Environment.whole and not (name == _HOME and _is(code, _PATHS)):
            _tell(ENVIRONMENT, str(name))
        return super().__getitem__(name)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        # Who copies all of it gets more than anybody can follow: every variable of a shell would count.
        code = _reader()
        if code is not None:
            Environment.whole = code
            _tell(UNSEEN, f"the whole environment of the controller ({Path(code.co_filename).name})")
        return super().__iter__()


def hear_environment(note: Note) -> Callable[[], None]:
    """Begin to hear; call the result to stop."""
    before = os.environ.__class__
    Environment.note = staticmethod(note)
    os.environ.__class__ = Environment

    def stop() -> None:
        Environment.note = None
        os.environ.__class__ = before

    return stop


def _tell(kind: str, name: str) -> None:
    if Environment.note is not None:
        Environment.note(kind, name)


def _reader() -> CodeType | None:
    """The code that wants to know, if it is a plugin's; what Ansible and Python read for themselves does not count."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the only way to know
    while frame is not None and (_is(frame.f_code, *_BETWEEN) or frame.f_code.co_filename.startswith("<frozen")):
        frame = frame.f_back
    if frame is None:
        return None
    file = frame.f_code.co_filename
    if file == _PATHS or file.startswith(_FOR_ROLES):
        return frame.f_code
    if file.startswith(("<", _OURS, str(_ANSIBLE), *_own_paths())) and _COLLECTIONS not in file:
        return None
    return None if f"{_COLLECTIONS}tierwright{os.sep}" in file else frame.f_code


def _own_paths() -> tuple[str, ...]:
    return _OWN_PATHS


def _is(code: CodeType, *files: str) -> bool:
    return code.co_filename in files


_OWN_PATHS = tuple({f"{path}{os.sep}" for path in sysconfig.get_paths().values() if path})
