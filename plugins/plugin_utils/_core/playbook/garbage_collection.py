# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of Python's garbage collector in Ansible's main process, and in the workers that are forked from it.

Nearly all objects of a run live until its end: modules, inventory, roles, variables. By default, the collector scans
them again and again. In a worker, each scan also copies the memory pages that it shares with the main process.
"""

from __future__ import annotations

import gc

#: Number of new objects that starts a collection, and numbers of collections before older objects are scanned as well.
#: The defaults (700, 10, 10) suit programs with many short-lived objects.
_THRESHOLDS = (50_000, 20, 50)


def collect_less_often() -> None:
    """Make the collector run less often."""
    gc.set_threshold(*_THRESHOLDS)


def freeze_objects() -> None:
    """Make the collector ignore all objects that exist now, in this process and in workers that are forked later."""
    gc.freeze()
