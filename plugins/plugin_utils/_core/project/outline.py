# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a new project shall contain: its chain, its base, its tiers and their teams. All of it is checked here.

The names must be valid for the chain itself. They must also be valid in the files that are written: a tier is a host,
an image and a role, and a team is a group of Ansible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import msgspec

from ..chain.graph import Chain
from ..chain.names import default_chain_name, is_repository, name_problem, split_registry
from ..chain.tier import Bootstrap, Follow, Pull, Tier
from ..chain.tier_names import (
    ARCHIVE_FORMATS,
    GROUPS_OF_ALL,
    MAX_TIER_LENGTH,
    is_followed_image,
    is_pinned_image,
    is_release_tag,
    is_team_name,
    is_tier_name,
)
from ..errors import ChainError, UsageError

_ROLE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_GROUP = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)

#: Names of roles whose variables would look like those of Tierwright or Ansible.
_PREFIXES = ("ansible", "tier")


class NewTier(msgspec.Struct, frozen=True):
    """A tier that is to be written, with its role."""

    name: str
    parent: str
    team: str
    #: The name of its role.
    role: str


class Outline(msgspec.Struct, frozen=True):
    """A new project."""

    #: The name of the chain.
    chain: str
    #: The name of the base, its source, and the team that owns it.
    base: str
    source: Bootstrap | Pull | Follow
    team: str
    #: Parents come before their children.
    tiers: tuple[NewTier, ...]
    #: Where images are published: the host of a registry, and a path there; ``None`` if they stay on the engine.
    registry: str | None
    #: The CI system: ``gitlab``, ``github``, ``jenkins``, ``tekton``; ``None`` for no CI file.
    ci: str | None

    @property
    def image_prefix(self) -> str:
        """The beginning of the names of all images, without a slash at its end."""
        return self.registry or self.chain

    @property
    def teams(self) -> tuple[str, ...]:
        """The teams; the team of the base comes first."""
        return tuple(dict.fromkeys([self.team, *(tier.team for tier in self.tiers)]))


def check_outline(outline: Outline) -> Chain:
    """Check a new project.

    Returns:
        Its chain.

    Raises:
        ChainError: With a line for each name that is wrong, or for what is wrong with the graph.
    """
    problems = list(_problems(outline))
    if problems:
        raise ChainError("; ".join(dict.fromkeys(problems)))
    names = [outline.base, *(tier.name for tier in outline.tiers)]
    images = {name: f"{outline.image_prefix}/{name}" for name in names}
    base = Tier(outline.base, outline.team, images[outline.base], "latest", None, None, outline.source)
    return Chain(
        [base]
        + [Tier(new.name, new.team, images[new.name], "latest", new.parent, new.role, None) for new in outline.tiers]
    )


def sort_tiers(outline: Outline) -> tuple[NewTier, ...]:
    """Return the tiers of a new project, parents before children, and otherwise in their order.

    Raises:
        ChainError: As :func:`check_outline`.
    """
    chain = check_outline(outline)
    depth = {name: len(chain.ancestors(name)) for name in chain.order}
    return tuple(sorted(outline.tiers, key=lambda tier: depth[tier.name]))


def default_name(folder: PurePath) -> str | None:
    """Return the name of a chain for a folder, absolute; ``None`` if the folder's name is generic or no image name."""
    name = default_chain_name(folder)
    return name if name is not None and chain_problem(name) is None else None


def read_new_tier(text: str, team: str) -> NewTier:
    """Read ``NAME:PARENT[:TEAM]``.

    Args:
        text: The text.
        team: The team, if the text has none.

    Raises:
        UsageError: The text has another form.
    """
    parts = text.split(":")
    if len(parts) not in {2, 3} or not all(parts):
        raise UsageError(f"the tier is {text!r}; expected NAME:PARENT or NAME:PARENT:TEAM, such as web:base:middleware")
    name, parent, *rest = parts
    return NewTier(name, parent, rest[0] if rest else team, role_of(name))


def read_base(text: str, team: str) -> tuple[str, str]:
    """Read ``NAME[:TEAM]``: the name of the base, and the team that owns it, by default ``team``.

    Raises:
        UsageError: The text has another form.
    """
    name, *rest = text.split(":")
    if not name or len(rest) > 1 or not all(rest):
        raise UsageError(f"the base is {text!r}; expected NAME or NAME:TEAM, such as base:operations")
    return name, rest[0] if rest else team


def role_of(tier: str) -> str:
    """Return the name of a tier's role, if ``tier_role`` is not set."""
    return tier.replace("-", "_")


def chain_problem(name: str) -> str | None:
    """Return why a project's chain cannot have this name; ``None`` if it can."""
    if name_problem(name) is None and is_repository(name) and "/" not in name:
        return None
    return (
        f"the name of the chain is {name!r}; expected a name that images can have, too: lower-case letters and digits, "
        "joined by single '.', '_' or '-', such as shop"
    )


def tier_problem(name: str) -> str | None:
    """Return why no tier with this name, and a role of its own, can be written; ``None`` if it can."""
    if not is_tier_name(name) or not _ROLE.fullmatch(role_of(name)) or "_" in name:
        return (
            f"the tier is {name!r}; expected at most {MAX_TIER_LENGTH} lower-case letters, digits and single '-', "
            "beginning with a letter, such as httpd-php"
        )
    return role_problem(role_of(name))


def role_problem(role: str) -> str | None:
    """Return why no role with this name can be written; ``None`` if it can."""
    if not _ROLE.fullmatch(role) or len(role) > MAX_TIER_LENGTH:
        return (
            f"the role is {role!r}; expected lower-case letters, digits and single '_', beginning with a letter, such "
            "as httpd_php"
        )
    if role in _PREFIXES or role.startswith(tuple(f"{prefix}_" for prefix in _PREFIXES)):
        return f"the role would be {role!r}, and its variables would look like those of Tierwright or Ansible"
    return None


def base_problem(name: str) -> str | None:
    """Return why no base with this name can be written; ``None`` if it can."""
    if not is_tier_name(name) or not is_repository(name) or "/" in name or name == "localhost":
        return (
            f"the base is {name!r}; expected at most {MAX_TIER_LENGTH} lower-case letters and digits, joined by single "
            "'.', '_' or '-', such as base"
        )
    return None


def team_problem(name: str) -> str | None:
    """Return why a team cannot have this name, which is also the name of a group; ``None`` if it can."""
    if not is_team_name(name) or not _GROUP.fullmatch(name) or name in GROUPS_OF_ALL:
        return (
            f"the team is {name!r}; expected letters, digits and '_', not beginning with a digit, and none of the "
            f"groups {', '.join(sorted(GROUPS_OF_ALL))}"
        )
    return None


def registry_problem(registry: str) -> str | None:
    """Return why images cannot be published there; ``None`` if they can."""
    if not is_repository(registry) or split_registry(registry) is None:
        return (
            f"the registry is {registry!r}; expected the host of a registry and a path there, such as "
            "registry.example.org/shop"
        )
    return None


def source_problem(source: Bootstrap | Pull | Follow) -> str | None:
    """Return why a base cannot be made from this source; ``None`` if it can."""
    if isinstance(source, Bootstrap):
        pattern, expected = ARCHIVE_FORMATS["suite"]
        return None if pattern.fullmatch(source.suite) else f"the suite is {source.suite!r}; expected {expected}"
    if isinstance(source, Pull):
        if is_pinned_image(source.reference):
            return None
        return (
            f"the image is {source.reference!r}; expected an image by digest, name@sha256:… (`docker images --digests` "
            "shows it), because a tag may name a different image tomorrow"
        )
    if not is_followed_image(source.image):
        return (
            f"the followed image is {source.image!r}; expected the host of a registry and a name there, without a tag, "
            "such as registry.example.org/operations/corebuild"
        )
    if not is_release_tag(source.tag):
        return f"the followed tag is {source.tag!r}; expected a tag that its team moves, such as stable"
    return None


def _problems(outline: Outline) -> Iterator[str]:
    found = [
        chain_problem(outline.chain),
        None if outline.registry is None else registry_problem(outline.registry),
        base_problem(outline.base),
        source_problem(outline.source),
        *(team_problem(team) for team in outline.teams),
        *(tier_problem(tier.name) for tier in outline.tiers),
    ]
    yield from (problem for problem in found if problem is not None)
    yield from _find_clashes([outline.base, *(tier.name for tier in outline.tiers)], outline.teams)
    yield from _find_long_names(outline)


def _find_clashes(tiers: Sequence[str], teams: Sequence[str]) -> Iterator[str]:
    for name in sorted(set(tiers) & set(teams)):
        yield f"{name!r} is a tier and a team; Ansible cannot tell a host from a group of the same name"


def _find_long_names(outline: Outline) -> Iterator[str]:
    for name in (outline.base, *(tier.name for tier in outline.tiers)):
        image = f"{outline.image_prefix}/{name}"
        if not is_repository(image) and is_repository(outline.image_prefix) and is_repository(name):
            yield f"the image of tier {name!r} would be {image!r}, which is too long for the name of an image"
