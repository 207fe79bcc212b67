# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Python's garbage collector in Ansible's main process, and in the workers that are forked from it.

Nearly all objects of a run live until its end: modules, inventory, roles, variables. By default, the collector looks at
them again and again. Each worker does so, too, and then copies every page that it shared with the main process.
"""

from __future__ import annotations

import gc

#: New objects after which the collector looks at them, and how many such looks come before it looks at older ones.
#: The defaults (700, 10, 10) are for programs whose objects come and go.
_THRESHOLDS = (50_000, 20, 50)


def relax() -> None:
    """Let the collector look less often."""
    gc.set_threshold(*_THRESHOLDS)


def keep() -> None:
    """Let the collector ignore all objects that exist now, here and in workers that are forked later."""
    gc.freeze()
