# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's proxies, for the tasks of a build container that want them: ``tier_proxy``."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.parsing.convert_bool import boolean

from ..errors import ChainError

#: Variables of the environment that say which proxy to use, in both spellings that programs read.
_NAMES = tuple(
    spelling for name in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy") for spelling in (name, name.upper())
)


def proxies(tier: str, asked: Any) -> dict[str, str]:
    """The proxy variables of this process's environment, where ``tier_proxy`` asks for them.

    They reach tasks, and no layer and no image's settings.

    Args:
        tier: The tier.
        asked: The value of ``tier_proxy``; ``None`` where it is not set.

    Raises:
        ChainError: It is no truth value, or a proxy's address has a user or a password in it: each task would show it
            to whoever lists the container's processes.
    """
    try:
        wanted = boolean(False if asked is None else asked)
    except TypeError as error:
        raise ChainError(f"tier {tier!r}: tier_proxy is {asked!r}; expected true or false") from error
    found = {name: value for name in _NAMES if (value := os.environ.get(name))} if wanted else {}
    for name, value in found.items():
        if "@" in urlsplit(value if "//" in value else f"//{value}").netloc and not name.lower().startswith("no_"):
            raise ChainError(
                f"tier {tier!r}: tier_proxy is to pass {name} on, but that has a user or a password in it, which every "
                "task would show; use a proxy that needs none, such as one on this machine that logs in at the other"
            )
    return found
