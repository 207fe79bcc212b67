# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends a run that no result reaches any more, instead of waiting for ever.

The thread of Ansible that takes results from its workers can end with an exception, and nothing starts it again
(https://github.com/ansible/ansible/issues/86027; seen with ansible-core 2.19.0 as a ``KeyError`` between two plays).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

#: Target of that thread, which Python makes a part of its name.
_READER = "results_thread_main"


def end_when_deaf(say: Callable[[str], None]) -> None:
    """Interrupt the main thread, as Ctrl-C does, when the thread that takes results has ended with an exception.

    Args:
        say: Called with a line that says what happened and what to do.
    """
    others = threading.excepthook

    def ended(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or _READER not in args.thread.name:
            others(args)
            return
        told = f"{args.exc_type.__name__}: {args.exc_value}"
        say(f"Ansible lost a task's result ({told}), so this run ends; nothing is lost, start the playbook again")
        _interrupt_main_thread()

    threading.excepthook = ended


def _interrupt_main_thread() -> None:
    """Raise ``KeyboardInterrupt`` there, whoever handles SIGINT.

    In ansible-core 2.19.0 that is a handler which passes the signal on to the newest worker and does nothing else.
    """
    thread = ctypes.c_ulong(threading.main_thread().ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(KeyboardInterrupt))
