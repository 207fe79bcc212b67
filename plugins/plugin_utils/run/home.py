# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a chain lives, and whether another place that claims its name is the same project.

One project has many places: clones, worktrees, checkouts of CI that are new each time. Nothing that is in an image may
depend on the place, so what tells is the Git repository, the folder, and the tiers.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAMED = 5
_LISTS = ("tiers", "roots")


@dataclass(frozen=True, slots=True)
class Home:
    """Where a chain lives."""

    #: Folder of its inventory, absolute.
    inventory: str
    #: The machine.
    host: str
    user: str
    #: Its tiers, and those that it had: name and repository of the images, with a space between.
    tiers: tuple[str, ...]
    #: Where its Git repository was cloned from; empty where from nowhere.
    origin: str = ""
    #: Folder of its Git repository; empty where there is none.
    repository: str = ""
    #: The inventory's path in that.
    within: str = ""
    #: First commits of its Git repository; none where they are not known.
    roots: tuple[str, ...] = ()
    #: The name that the chain had before this version, which took it from the inventory's folder; empty for none.
    former: str = ""

    @classmethod
    def read(cls, text: str) -> Home | None:
        """Read what :meth:`written` wrote; ``None`` where it is nothing of the kind."""
        try:
            told: dict[str, Any] = json.loads(text)
            home = cls(**{**told, **{name: tuple(told.get(name, ())) for name in _LISTS}})
        except (ValueError, TypeError, KeyError):
            return None
        texts = [getattr(home, field.name) for field in dataclasses.fields(cls) if field.name not in _LISTS]
        return home if all(isinstance(each, str) for each in (*texts, *home.tiers, *home.roots)) else None

    def written(self) -> str:
        """All that another place has to know, as text."""
        return json.dumps(dataclasses.asdict(dataclasses.replace(self, former="")), sort_keys=True)

    def with_tiers(self, tiers: Collection[str]) -> Home:
        """The same place, with more tiers."""
        return dataclasses.replace(self, tiers=tuple(sorted({*self.tiers, *tiers})))

    @property
    def repositories(self) -> dict[str, set[str]]:
        """Repositories of its tiers' images, by tier, those that it had before as well."""
        found: dict[str, set[str]] = {}
        for each in self.tiers:
            tier, _, repository = each.partition(" ")
            found.setdefault(tier, set()).add(repository)
        return found

    def is_project_of(self, other: Home) -> bool:
        """Say whether both are certainly one project.

        Clones of one repository are, whatever their tiers. Where only the history is one, forks are too; there the
        tiers tell as well.
        """
        if self._shares_repository(other):
            return self.within == other.within or self.has_place_of(other)
        if self._shares_history(other) and self.within == other.within and self._has_tiers_of(other):
            return True
        return self.has_place_of(other) and not (self.origin and other.origin)

    def claims_with(self, other: Home) -> bool:
        """Say whether two places that claim one name are one project.

        A copy that no Git tells of, or that was cloned from another address, is known by its tiers: those of one place
        are among those of the other.
        """
        if self.is_project_of(other):
            return True
        foreign = self.origin and other.origin and self.inventory != other.inventory and not self._shares_history(other)
        return not foreign and self._has_tiers_of(other)

    def has_place_of(self, other: Home) -> bool:
        """Say whether this is the other place, or came after it was left."""
        return self.host == other.host and (self.inventory == other.inventory or _is_missing(other.inventory))

    def _shares_repository(self, other: Home) -> bool:
        """A clone of a clone on one machine comes from the folder of that one."""
        local = self.host == other.host
        mine = {self.origin, self.repository if local else ""} - {""}
        return not mine.isdisjoint({other.origin, other.repository if local else ""})

    def _shares_history(self, other: Home) -> bool:
        """Say whether both began with one commit: clones from two addresses do, and so do forks."""
        return not set(self.roots).isdisjoint(other.roots)

    def _has_tiers_of(self, other: Home) -> bool:
        """Say whether the tiers of one place are among those of the other."""
        mine, others = set(self.tiers), set(other.tiers)
        return bool(mine and others) and (mine <= others or others <= mine)

    def __str__(self) -> str:
        names = [each.partition(" ")[0] for each in self.tiers]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"{self.inventory} (user {self.user} on {self.host}; tiers {', '.join(names[:_NAMED])}{more})"


def _is_missing(path: str) -> bool:
    """Say whether a path is certainly not there; a folder that we may not look into is."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
