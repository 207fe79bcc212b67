# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to do about failures that roles written for whole machines have in a build container."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Beginnings of the names of facts that Ansible's ``setup`` has only with ``hardware``.
_HARDWARE = (
    "bios|board|chassis|device|dmi|form_factor|lvm|memfree|memory|memtotal|mounts|processor|product|swap|system_vendor|"
    "uptime"
)

#: What to do, and what a failure says where that is it.
_HINTS = {
    "an image has no package lists until something fetches them, and many roles leave that to pre_tasks: put a task "
    "file with `ansible.builtin.apt: {update_cache: true}` beside the inventory, and name it in tier_before": (
        r"No package matching '",
        r"Unable to locate package",
        r"has no installation candidate",
    ),
    "facts about hardware (processors, memory, mounts, devices) are not gathered unless asked for: set "
    "tier_gather_subset: [all]": (
        rf"'ansible_({_HARDWARE})\w*' is undefined",
        rf"has no attribute '(ansible_)?({_HARDWARE})\w*'",
    ),
    "is ansible_user set for all hosts of the site? Set ansible_user: root for the group tiers": (
        r"the build container has no user '",
        r"No start of json char found",
    ),
    "the Python that modules run with is mounted for the build and no part of the image: install python3-pip and "
    "python3-packaging before this task, with the role or by a task file in tier_before": (
        r"Unable to find any of pip",
        r"No module named '?(pip|packaging|setuptools|venv)\b",
    ),
    "the Python that modules run with is mounted and cannot be written to: let the role install python3, or set "
    "tier_python_interpreter to the image's own": (
        r"Read-only file system.*(python|site-packages)",
        r"(python|site-packages).*Read-only file system",
    ),
    "nothing runs in a build container but the role's tasks, so no service can be started: let the image's entrypoint "
    "start it, and skip such tasks here": (
        r"System has not been booted with systemd",
        r"Failed to connect to bus",
        r"Could not find the requested service",
    ),
    "does this machine reach the network by a proxy? tier_proxy: true passes its proxy variables on": (
        r"Temporary failure (in name resolution|resolving)",
        r"Could not resolve",
        r"Network is unreachable",
        r"proxy authentication required",
    ),
    "the engine mounts /etc/hosts, /etc/hostname and /etc/resolv.conf in every container, so no image can hold them: "
    "let the role leave them alone, and give such settings to containers where they are started (docker run "
    "--add-host, --hostname, --dns)": (r"Errno 16", r"Device or resource busy"),
    "a company's CA can be installed before the role, by a task file in tier_before": (r"certificate verify failed",),
}


def hints(text: str) -> Iterator[str]:
    """Yield what may be done about a failure.

    Args:
        text: All that the task said.
    """
    for hint, patterns in _HINTS.items():
        if any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns):
            yield hint
