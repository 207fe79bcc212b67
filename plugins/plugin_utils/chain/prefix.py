# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The prefix of the variables in which a role says what its tier is like: ``httpd_php_tier_config``."""

from __future__ import annotations

import re
from pathlib import PurePath

_QUALIFIED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_][\w-]*)+")
_NO_NAME = re.compile(r"\W")


def prefix(role: str) -> str:
    """Make the prefix of a role's variables out of its name.

    It is the last part of a name with dots (``acme.web``, ``acme.site.web``: ``web``) and of a path; what no variable
    can have in its name becomes ``_`` (``httpd-php``: ``httpd_php``; a folder ``web-2.0``: ``web_2_0``).

    Args:
        role: A short name, a name from Galaxy, a fully qualified one, or a path.
    """
    name = PurePath(role).name
    last = name.rpartition(".")[2] if _QUALIFIED.fullmatch(name) else name
    return _NO_NAME.sub("_", last)
