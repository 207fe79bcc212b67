"""Generates a chain of 1,000 tiers, as a large company could have it. It is the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

#: Number of tiers at each level, 1,000 in total. All tiers of level ``_WIDE`` have the same parent.
LEVELS = (1, 3, 100, 100, 120, 130, 140, 140, 140, 126)
_WIDE = 2
ROLES = 36
TEAMS = 12
#: Number of files in ``files`` of each role, and of variables of each role, team and tier.
FILES, ROLE_VARIABLES, TEAM_VARIABLES, TIER_VARIABLES = 30, 30, 20, 5

#: The name of the chain.
CHAIN = "tierwright-bench"
_PASSWORD = "the bench's own"


def write(folder: Path) -> None:
    """Write the inventory, variables, roles and vault password into an empty folder."""
    _write(folder / "ansible.cfg", "[defaults]\ninventory = chain.yml\nvault_password_file = password\n")
    _write(folder / "password", _PASSWORD)
    (folder / "password").chmod(0o600)
    _write_yaml(folder / "chain.yml", _inventory())
    _write(folder / "group_vars/tiers.yml", _secret())
    for team in range(TEAMS):
        _write_yaml(folder / f"group_vars/{_team(team)}.yml", _variables(_team(team), TEAM_VARIABLES))
    for role in range(ROLES):
        _write_role(folder / "roles" / _role(role), _role(role))


def parents() -> Iterator[tuple[str, str | None]]:
    """Yield the name of each tier and of its parent, parents first."""
    yield _tier(0, 0), None
    for level, (count_below, count) in enumerate(pairwise(LEVELS), 1):
        parent_count = 1 if level == _WIDE else count_below
        yield from ((_tier(level, position), _tier(level - 1, position % parent_count)) for position in range(count))


def _inventory() -> dict[str, Any]:
    teams: dict[str, Any] = {_team(number): {"hosts": {}} for number in range(TEAMS)}
    for number, (tier, parent) in enumerate(parents()):
        settings: dict[str, Any] = {"tier_pull": f"example.org/base@sha256:{0:064}"}
        if parent is not None:
            settings = {"tier_parent": parent, "tier_role": _role(number % ROLES), **_variables(tier, TIER_VARIABLES)}
        teams[_team(number % TEAMS)]["hosts"][tier] = {"tier_image": f"{CHAIN}/{tier}", **settings}
    return {"all": {"vars": {"tier_chain": CHAIN}}, "tiers": {"children": teams}}


def _write_role(folder: Path, name: str) -> None:
    variables = _variables(name, ROLE_VARIABLES)
    tasks = [
        {"name": f"Write {number}", "ansible.builtin.copy": {"src": f"{number}.conf", "dest": f"/etc/{name}/{number}"}}
        for number in range(FILES)
    ]
    _write_yaml(folder / "tasks/main.yml", tasks)
    _write_yaml(folder / "defaults/main.yml", variables)
    options = {variable: {"type": "str", "description": f"Setting {variable}."} for variable in variables}
    _write_yaml(folder / "meta/argument_specs.yml", {"argument_specs": {"main": {"options": options}}})
    for number in range(FILES):
        _write(folder / f"files/{number}.conf", f"# {name}\n" + f"setting = {number}\n" * 40)


def _variables(owner: str, count: int) -> dict[str, Any]:
    """Variables, every third of which is a template, as in real inventories."""
    prefix = f"of_{owner.replace('-', '_')}"  # variables that begin with tier_ belong to Tierwright
    return {
        f"{prefix}_{number}": f"{{{{ {prefix}_{number - 1} }}}}/{number}" if number % 3 == 2 else f"value {number}"
        for number in range(count)
    }


def _secret() -> str:
    vault = VaultLib([("default", VaultSecret(_PASSWORD.encode()))])
    text = vault.encrypt(b"a secret that all tiers have").decode()
    return "all_password: !vault |\n" + "".join(f"  {line}\n" for line in text.splitlines())


def _tier(level: int, position: int) -> str:
    return f"tier-{level}-{position:03}"


def _team(number: int) -> str:
    return f"team_{number:02}"


def _role(number: int) -> str:
    return f"role_{number:02}"


def _write_yaml(path: Path, content: object) -> None:
    _write(path, yaml.safe_dump(content, sort_keys=False))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
