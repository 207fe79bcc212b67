# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The distribution of an image, as its ``os-release(5)`` names it."""

from __future__ import annotations

import re

import msgspec

from ..text import printable

#: Paths of the file. The second one counts if there is no first one, which is usually a link to it.
PATHS = ("etc/os-release", "usr/lib/os-release")

_LINE = re.compile(r"""^[ \t]*([A-Z_]+)=["']?([^"'\n]*)["']?[ \t]*$""", re.MULTILINE)


class Distribution(msgspec.Struct, frozen=True):
    """A distribution and its version."""

    #: ``debian``, ``alpine``, ``fedora``; empty if unknown.
    id: str = ""
    #: ``12``, or the code name if it has no number yet: ``forky``; empty if unknown.
    version: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.id, self.version)))


def read_distribution(os_release: bytes) -> Distribution:
    """Read the distribution from the content of ``os-release``. Any content is accepted."""
    fields = dict(_LINE.findall(os_release.decode(errors="replace")))
    version = fields.get("VERSION_ID") or fields.get("VERSION_CODENAME", "")
    return Distribution(printable(fields.get("ID", "").strip().lower()), printable(version.strip()))
