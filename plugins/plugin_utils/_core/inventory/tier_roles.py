# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles of a chain's tiers: their names, folders and commits, and the tests that images must pass."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from ..build_key.repository_source import RepositorySource, RepositorySources
from ..build_key.source_version import Commit, installed_version, last_commit
from ..contract.role_tests import RoleTests, Suite
from ..errors import ChainError
from .chain_inventory import ChainInventory
from .display import warn
from .roles import RoleContent, digest_roles, read_role, read_tests_folder


class TierRoles:
    """The roles of all tiers of an inventory. Each role is read once, at its first use."""

    def __init__(self, inventory: ChainInventory) -> None:
        """Take the inventory that names the roles."""
        self._inventory = inventory
        self._contents: dict[tuple[Path, str], RoleContent] = {}
        self._role_tests: dict[str, tuple[RoleTests, ...]] = {}
        self._followed_contracts: dict[str, tuple[RoleTests, ...]] = {}
        self._commits: dict[Path, Commit | None] = {}
        self._repositories = RepositorySources()

    def read(self, tier: str) -> tuple[RoleContent, ...]:
        """Read the roles of a tier, in the order in which they are applied; empty for a base.

        Raises:
            ChainError: A role is missing, or a file of it is wrong.
        """
        folder = self._inventory.inventory_folder(tier)
        for role in self._inventory.chain[tier].roles:
            if (folder, role) not in self._contents:
                self._contents[folder, role] = read_role(tier, role, folder)
        return tuple(self._contents[folder, role] for role in self._inventory.chain[tier].roles)

    def names(self, tier: str) -> tuple[str, ...]:
        """The names by which ``include_role`` finds a tier's roles; empty for a base."""
        return tuple(content.role.name for content in self.read(tier))

    def folders(self, tier: str) -> tuple[Path, ...]:
        """Folders of the roles whose files are in a tier's key; empty for a base."""
        return tuple(dict.fromkeys(folder for content in self.read(tier) for folder in content.folders))

    def files(self, tier: str) -> Mapping[str, str]:
        """Digests of the files in these folders, by the name of the key part."""
        contents = self.read(tier)
        return contents[0].files if len(contents) == 1 else digest_roles(self.folders(tier))

    def commit(self, tier: str) -> Commit | None:
        """The last commit that changed a tier's roles, or by default the installed version of the first role.

        ``None`` for a base, or if neither is known.
        """
        contents = self.read(tier)
        commits = [commit for content in contents if (commit := self._commit_of(content.role.folder)) is not None]
        if commits:
            return max(commits, key=lambda commit: commit.date)
        return installed_version(contents[0].role.folder) if contents else None

    def source(self, tier: str) -> RepositorySource | None:
        """The Git repository of a tier's roles; ``None`` for a base, or if no commit has a role.

        Of several roles, the one with the last commit counts. Its repository's changes also count in the roles that
        they depend on, and in the task files that run around them.
        """
        newest, folders = self.commit(tier), [content.role.folder for content in self.read(tier)]
        folder = next((folder for folder in folders if newest and self._commit_of(folder) == newest), None)
        if folder is None:
            return None
        around = (Path(file) for file in (*self._inventory.chain[tier].before, *self._inventory.chain[tier].after))
        return self._repositories.describe(folder, (*self.folders(tier), *around))

    def _commit_of(self, folder: Path) -> Commit | None:
        if folder not in self._commits:
            self._commits[folder] = last_commit(folder)
        return self._commits[folder]

    def tests(self, tier: str) -> Suite:
        """The tests that a tier's image must pass: its own, and the contracts of all its ancestors.

        A followed tier has none: its team has tested it. Its contracts, and those of the tiers above it, are tests of
        the tiers that are based on it.

        Raises:
            ChainError: A role is missing, or the lock file or a contract of another team.
            EngineError: A registry rejected a request, or does not answer.
        """
        contracts: list[RoleTests] = []
        for name in self._inventory.chain.ancestors(tier):
            is_followed = self._inventory.chain[name].followed is not None
            contracts += self._followed(name) if is_followed else self._tests_of(name)
        own = self._tests_of(tier)
        return Suite(own[0] if own else None, tuple(contracts), own[1:])

    def own_folder(self, tier: str) -> Path | None:
        """The folder of the tests of a tier's own role; ``None`` if it has no tests, or is not selected and missing.

        Raises:
            ChainError: The role of a selected tier is missing, or several roles of the tier have tests.
        """
        roles, inventory_folder = self._inventory.chain[tier].roles, self._inventory.inventory_folder(tier)
        try:
            folders = [folder for role in roles if (folder := read_tests_folder(tier, role, inventory_folder))]
        except ChainError:
            if tier in self._inventory.selected:
                raise
            return None
        if len(folders) > 1:
            raise ChainError(
                f"tier {tier!r}: several of its roles have tests ({', '.join(map(str, folders))}), and only one folder "
                "of tests travels with a published image; keep the contracts of the tier in one of its roles"
            )
        return folders[0] if folders else None

    @cached_property
    def test_digests(self) -> dict[str, str]:
        """Digests of the tests of the selected tiers. A tier without tests is not included."""
        suites = {name: self.tests(name) for name in self._inventory.selected}
        return {name: suite.digest() for name, suite in suites.items() if suite}

    def _followed(self, tier: str) -> tuple[RoleTests, ...]:
        from .followed_contracts import followed_contracts  # noqa: PLC0415 - slow import; most chains follow nobody

        if tier not in self._followed_contracts:
            locked, connect = self._inventory.used[tier], self._inventory.registries.reader
            self._followed_contracts[tier] = followed_contracts(tier, locked, connect)
        return self._followed_contracts[tier]

    def _tests_of(self, tier: str) -> tuple[RoleTests, ...]:
        """The tests in a tier's own roles. Those of an ancestor may be missing if the run does not build it."""
        if tier not in self._role_tests:
            try:
                folders = [content.tests for content in self.read(tier) if content.tests is not None]
            except ChainError as error:
                if tier in self._inventory.selected:
                    raise
                warn(f"the contracts of tier {tier!r} cannot be tested: {error}")
                folders = []
            team = self._inventory.chain[tier].team
            self._role_tests[tier] = tuple(RoleTests(tier, team, str(folder)) for folder in folders)
        return self._role_tests[tier]
