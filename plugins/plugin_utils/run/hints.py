# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What to say to a failure whose own words are the kernel's."""

from __future__ import annotations

_BUSY = ("Errno 16", "Device or resource busy")

#: As :data:`..image.mounted.FILES`, as people write them.
_MOUNTED = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def explained(message: str) -> str:
    """Add a sentence to a task's message where it can be known what lies behind it."""
    if any(words in message for words in _BUSY):
        named = [path for path in _MOUNTED if path in message]
        what = " and ".join(named) or "a path that is mounted, as /etc/hosts, /etc/hostname and /etc/resolv.conf are,"
        return (
            f"{message}. In a build container, {what} cannot be replaced, moved or removed: the engine mounts it "
            "there, as in every container, so no image can hold it either. Let the role leave it alone in an image, "
            "and give such settings to containers where they are started (docker run --add-host, --hostname, --dns)"
        )
    return message
