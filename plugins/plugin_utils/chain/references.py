# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""References to the parent's environment in a tier's: ``PATH: /opt/app/bin:$PATH``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")

#: What engines take for a container whose image has no ``PATH``.
_USUAL = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def check(text: str) -> None:
    """Make sure that each ``$`` of a value means something.

    Raises:
        ValueError: One does not; with what was expected.
    """
    if "$" in _REFERENCE.sub("", text):
        raise ValueError("$NAME or ${NAME} for a variable of the parent's environment, and $$ for a dollar sign")


def resolve(text: str, parent: Mapping[str, str]) -> str:
    """Put in what the parent's environment has.

    Args:
        text: A value that :func:`check` found right.
        parent: The parent's environment.

    Raises:
        KeyError: The parent's environment has no such variable.
    """
    known = {**_USUAL, **parent}
    return _REFERENCE.sub(lambda found: "$" if found[1] else known[found[2] or found[3]], text)
