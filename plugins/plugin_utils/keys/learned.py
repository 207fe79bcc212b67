# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a role was found to use while it was applied, as parts of the build key.

No reading of a role tells which environment variables, files or variables of other hosts it uses, as no reading of a
C file tells its headers. So the image keeps the names, ``<kind>/<name>``, and the next plan looks at the same ones.
"""

from __future__ import annotations

from .parts import Parts

#: A collection whose plugins were used, by its name.
COLLECTION = "collection"
#: A file or a folder outside of the role.
ELSEWHERE = "elsewhere"
#: A variable of the controller's environment.
ENVIRONMENT = "environment"
#: Something that a module fetches, by the module; told where the tier does not declare it.
FETCHED = "fetched"
#: Another host's variable, ``<host>/<name>``.
HOSTVARS = "hostvars"
#: A variable that Ansible sets, or that is left out of the key unless a role reads it.
MAGIC = "magic"
#: A setting of Ansible that the lookup ``config`` read.
SETTING = "setting"
#: Something that nobody looks at; it is only named, in the plan and with the image.
UNSEEN = "unseen"

_KINDS = frozenset({COLLECTION, ELSEWHERE, ENVIRONMENT, HOSTVARS, MAGIC, SETTING, UNSEEN})

#: The "digest" of what nobody looks at.
NOT_LOOKED_AT = "not looked at"


def part(kind: str, name: str) -> str:
    """Name of the key's part for something that a role used."""
    return f"{kind}/{name}"


def learned(parts: Parts) -> tuple[str, ...]:
    """Names of those parts of a key that were found while the role was applied, sorted."""
    return tuple(sorted(name for name in parts if name.partition("/")[0] in _KINDS))


def unseen(parts: Parts) -> tuple[str, ...]:
    """What a role used and nobody looks at, in words, sorted."""
    return tuple(sorted(name.partition("/")[2] for name in parts if name.startswith(f"{UNSEEN}/")))
