# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans a run: decides for each tier of an inventory whether it is built or kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bases.debian_bootstrap import check_tools
from ..chain.names import split_pinned
from ..chain.tier import Bootstrap, Import, Pull, Tier
from ..engine.engine import Engine
from ..errors import ChainError, wrap_errors
from ..image import platform
from ..plan.decision import Action, Decision, decide, decide_tests_only
from ..plan.locked_image import LOCKED, TRIED
from ..plan.shared_images import SharedImages
from ..state.plan_records import BuildOrigin
from .chain_inventory import ChainInventory
from .declared_inputs import DigestedInputs, Inputs, digest_inputs
from .display import warn
from .tier_key_parts import TierKeyParts
from .tier_roles import TierRoles
from .tiers import join_messages, read_builder
from .variable_digests import digest_settings

if TYPE_CHECKING:
    from ..handover.shared_cache import SharedCache


class Planner:
    """Plans one run over the chain of an inventory."""

    def __init__(self, inventory: ChainInventory, ansible_version: str) -> None:
        """Prepare a plan. Nothing is read yet.

        Args:
            inventory: The chain's inventory.
            ansible_version: For example ``2.19``; it is a part of each build key.
        """
        self.inventory = inventory
        self.roles = TierRoles(inventory)
        self._inputs: dict[str, DigestedInputs] = {}
        self._key_parts = TierKeyParts(inventory, self.roles, ansible_version)

    def open_cache(self, engine: Engine) -> SharedCache | None:
        """Return the shared cache; ``None`` if ``tier_shared_cache`` is not set.

        Raises:
            ChainError: A variable about registries or the lock file is wrong.
        """
        if self.inventory.cache_use is None:
            return None

        # Slow imports, for registries
        from ..handover.followed_image import read_locked  # noqa: PLC0415
        from ..handover.shared_cache import SharedCache  # noqa: PLC0415

        followed = {locked.config: (self.inventory.chain[name], locked) for name, locked in self.inventory.used.items()}

        def layers_of(image: str) -> Sequence[str] | None:
            found = engine.images.find(image)
            if found is None and image in followed:
                return read_locked(self.inventory.registries.reader, *followed[image]).document.layers
            return found.layers if found else None

        return SharedCache(self.inventory.registries, self._key_parts.digest_sources, layers_of, warn)

    def decide(self, engine: Engine, force: Any, shared: SharedImages | None = None) -> dict[str, Decision]:
        """Check everything that can be checked without building, and decide for each tier.

        The role of a tier that is kept is not checked again: it has the build key of a role that was.

        Args:
            engine: The engine with the existing images.
            force: The value of ``tier_force``: names of tiers that are built in any case.
            shared: Images that were built elsewhere; ``None`` if the run takes none.

        Returns:
            A decision for each tier of the chain, parents before children.

        Raises:
            ChainError: A variable, a role, or the value of ``tier_force`` is wrong.
            SourceError: The source of a base differs from what the inventory says.
            EngineError: The engine does not answer.
        """
        forced = self._read_force(force)
        followed = {name: {LOCKED: locked.config} for name, locked in self.inventory.locked.items()}
        for name, tried in self.inventory.tried.items():
            followed[name][TRIED] = tried.config
        parts = {**self._read_parts(), **followed}
        images = engine.images.snapshot()
        decisions = decide(
            self.inventory.chain,
            parts,
            images,
            selected=self.inventory.selected,
            forced=forced,
            elsewhere=self._key_parts.read_recorded(images),
            tests=self.roles.test_digests,
            shared=shared,
        )
        built = [decision.tier for decision in decisions.values() if decision.action is Action.BUILD]
        _for_each(built, self._key_parts.check)
        for tier in built:
            _check_source(engine, tier)
        return decisions

    def take(self, engine: Engine) -> dict[str, Decision]:
        """Decide to build nothing, and to test the released images.

        Raises:
            ChainError: A role is missing.
            EngineError: The engine does not answer.
        """
        chain, selected, locked = self.inventory.chain, self.inventory.selected, self._locked_images()
        images, tests = engine.images.snapshot(), self.roles.test_digests
        return decide_tests_only(chain, images, selected=selected, tests=tests, locked=locked)

    def resume(self, engine: Engine, tier: str, parent: str) -> dict[str, Decision]:
        """Decide to go on with the failed build of one tier, whatever changed meanwhile, and to leave all others alone.

        Args:
            engine: The engine.
            tier: Name of the tier. It must be the only selected one.
            parent: ID of the image that its build was started on.

        Raises:
            ChainError: A variable or a role is wrong.
            EngineError: The engine does not answer.
        """
        decisions = self.take(engine)
        parts = {**self._read_parts()[tier], "parent": parent}
        self._key_parts.check(self.inventory.chain[tier])
        reasons = ("its failed build goes on; the result is never released",)
        was = decisions[tier].was
        decisions[tier] = Decision(self.inventory.chain[tier], Action.BUILD, reasons, None, parts, forced=True, was=was)
        return decisions

    def settings(self, tier: str) -> dict[str, str]:
        """Digests of the image settings that the inventory sets for a tier, by variable."""
        return digest_settings(self.inventory.variables(tier))

    def origin(self, tier: str) -> BuildOrigin:
        """Say where the content of a tier comes from, and who builds it.

        What it downloads is known after :meth:`decide`.

        Raises:
            ChainError: ``tier_builder`` is not a name.
        """
        digested = self._inputs.get(tier)
        inputs = () if digested is None else tuple(digested.inputs)
        builder = read_builder(tier, self.inventory.variables(tier))
        more_roles = self.roles.names(tier)[1:]
        return BuildOrigin(self.roles.commit(tier), self.roles.source(tier), inputs, builder, more_roles)

    def _read_force(self, force: Any) -> list[str]:
        if force is not None and not isinstance(force, str | list | tuple):
            raise ChainError(f"tier_force is {force!r}; expected names of tiers: [web, db], or web,db")
        names = force.split(",") if isinstance(force, str) else list(force or ())
        names = [str(name).strip() for name in names if str(name).strip()]
        unknown = [name for name in names if name not in self.inventory.chain]
        if unknown:
            raise ChainError(
                f"tier_force names {', '.join(map(repr, unknown))}, but there is no such tier; tiers are: "
                f"{', '.join(self.inventory.chain.order)}"
            )
        for name in names:
            if (follow := self.inventory.chain[name].followed) is not None:
                raise ChainError(
                    f"tier_force names {name!r}, but this tier follows {follow.reference}, so it is never built here; "
                    f"`tierwright update {name}` looks for a newer image"
                )
        return names

    def _locked_images(self) -> dict[str, str]:
        return {name: locked.config for name, locked in self.inventory.used.items()}

    def _read_parts(self) -> dict[str, dict[str, str]]:
        """Read the key parts of all selected tiers, outside inputs included.

        Raises:
            ChainError: With a line for each problem of each tier.
        """
        parts: dict[str, dict[str, str]] = {}
        inputs: dict[str, Inputs] = {}

        def read(tier: Tier) -> None:
            parts[tier.name] = self._key_parts.read(tier)
            inputs[tier.name] = self._key_parts.read_inputs(tier)

        tiers = [self.inventory.chain[name] for name in self.inventory.selected]
        try:
            _for_each(tiers, read)
        except ChainError:
            _for_each(tiers, self._key_parts.check, read)  # so that all problems are named at once
            raise
        for name, digested in digest_inputs(inputs, warn).items():
            parts[name].update(digested.parts)
            self._inputs[name] = digested
        return parts


def _for_each(tiers: Iterable[Tier], *steps: Callable[[Tier], None]) -> None:
    """Call functions with each tier. The first one that fails ends the steps of that tier.

    Raises:
        ChainError: With a line for each problem of each tier.
    """
    problems = []
    for tier in tiers:
        try:
            with wrap_errors(f"tier {tier.name!r}", ChainError):
                for step in steps:
                    step(tier)
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError(join_messages(problems))


def _check_source(engine: Engine, tier: Tier) -> None:
    match tier.source:
        case Pull(reference):
            if (image := engine.images.find("@".join(split_pinned(reference) or (reference,)))) is not None:
                platform.check(engine, tier.name, reference, image)
        case Bootstrap():
            check_tools(tier.name)
        case Import(archive, checksum):
            from ..bases.base_image import check_checksum  # noqa: PLC0415 - slow import; few bases are imported

            check_checksum(tier.name, Path(archive), checksum)
