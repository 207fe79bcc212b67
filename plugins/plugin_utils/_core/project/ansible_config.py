# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads ``ansible.cfg`` without Ansible, whose import takes long: the inventory that it names."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from ..errors import UsageError

#: The file's name.
CONFIG = "ansible.cfg"


def configured_inventory(config: Path) -> Path | None:
    """Return the inventory that an ansible.cfg names; ``None`` if it names none. It need not exist.

    Raises:
        UsageError: The file cannot be read, or it names several inventories.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";",))
    try:
        parser.read_string(config.read_text(), str(config))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise UsageError(f"{config} cannot be read: {' '.join(str(error).split())}") from error
    value = parser.get("defaults", "inventory", fallback="")
    names = [name.strip() for name in value.split(",") if name.strip()]
    if len(names) > 1:
        raise UsageError(f"{config} names several inventories ({', '.join(names)}); name the one of the chain with -i")
    return config.parent / Path(os.path.expandvars(names[0])).expanduser() if names else None
