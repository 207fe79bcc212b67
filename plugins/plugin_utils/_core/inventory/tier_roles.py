# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles of a chain's tiers: their names, folders and commits, and the tests that images must pass."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from ..build_key.repository_source import RepositorySource, RepositorySources
from ..build_key.source_version import Commit, installed_version, last_commit
from ..contract.role_tests import RoleTests, Suite
from ..errors import ChainError
from .chain_inventory import ChainInventory
from .display import warn
from .roles import RoleContent, read_role, read_tests_folder


class TierRoles:
    """The roles of all tiers of an inventory. Each role is read once, at its first use."""

    def __init__(self, inventory: ChainInventory) -> None:
        """Take the inventory that names the roles."""
        self._inventory = inventory
        self._contents: dict[tuple[Path, str], RoleContent] = {}
        self._role_tests: dict[str, RoleTests | None] = {}
        self._followed_contracts: dict[str, tuple[RoleTests, ...]] = {}
        self._commits: dict[Path, Commit | None] = {}
        self._repositories = RepositorySources()

    def read(self, tier: str) -> RoleContent | None:
        """Read the role of a tier; ``None`` for a base.

        Raises:
            ChainError: The role is missing, or a file of it is wrong.
        """
        role = self._inventory.chain[tier].role
        if role is None:
            return None
        key = (self._inventory.inventory_folder(tier), role)
        if key not in self._contents:
            self._contents[key] = read_role(tier, role, key[0])
        return self._contents[key]

    def name(self, tier: str) -> str | None:
        """The name by which ``include_role`` finds a tier's role; ``None`` for a base."""
        content = self.read(tier)
        return None if content is None else content.role.name

    def folders(self, tier: str) -> tuple[Path, ...]:
        """Folders of the roles whose files are in a tier's key; empty for a base."""
        content = self.read(tier)
        return () if content is None else content.folders

    def commit(self, tier: str) -> Commit | None:
        """The last commit that changed a tier's role, or by default the installed version of the role.

        ``None`` for a base, or if neither is known.
        """
        content = self.read(tier)
        if content is None:
            return None
        return self._commit_of(content.role.folder) or installed_version(content.role.folder)

    def source(self, tier: str) -> RepositorySource | None:
        """The Git repository of a tier's role; ``None`` for a base, or if no commit has the role.

        Its changes also count in the roles that it depends on, and in the task files that run around it.
        """
        content = self.read(tier)
        if content is None or self._commit_of(content.role.folder) is None:
            return None
        around = (Path(file) for file in (*self._inventory.chain[tier].before, *self._inventory.chain[tier].after))
        return self._repositories.describe(content.role.folder, (*content.folders, *around))

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
            if self._inventory.chain[name].followed is not None:
                contracts += self._followed(name)
            elif (tests := self._tests_of(name)) is not None:
                contracts.append(tests)
        return Suite(self._tests_of(tier), tuple(contracts))

    def own_folder(self, tier: str) -> Path | None:
        """The folder of the tests of a tier's own role; ``None`` if it has no tests, or is not selected and missing.

        Raises:
            ChainError: The role of a selected tier is missing.
        """
        role = self._inventory.chain[tier].role
        try:
            return read_tests_folder(tier, role, self._inventory.inventory_folder(tier)) if role else None
        except ChainError:
            if tier in self._inventory.selected:
                raise
            return None

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

    def _tests_of(self, tier: str) -> RoleTests | None:
        """The tests in a tier's own role. An ancestor's role may be missing if the run does not build that ancestor."""
        if tier not in self._role_tests:
            try:
                content = self.read(tier)
                folder = content and content.tests
            except ChainError as error:
                if tier in self._inventory.selected:
                    raise
                warn(f"the contracts of tier {tier!r} cannot be tested: {error}")
                folder = None
            team = self._inventory.chain[tier].team
            self._role_tests[tier] = None if folder is None else RoleTests(tier, team, str(folder))
        return self._role_tests[tier]
