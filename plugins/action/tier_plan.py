# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_plan``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import note_variant
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ChainError,
    TierwrightError,
    describe_error,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tried_record import note_tried
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say, warn
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.planner import Planner
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.registry_settings import publishes
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision, exit_code
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.outline import outline
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.playbook_answer import Refusal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.suite_answer import SuiteAnswer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    make_planner,
    read_waiting,
    resume_command,
    write_answer,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.module_archives import restore_archives
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile import measuring
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import interrupted
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.result import (
    PASSED,
    RUNNING,
    RunResult,
    begin_files,
    check_files,
    note_files,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import check_claim, check_images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.kept_builds import (
    KeptBuild,
    kept_build,
    resume_build,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import BuildOrigin, write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import FAILED, note_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.keeping import from_task

if TYPE_CHECKING:
    from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.shared_cache import SharedCache

#: For modules that few runs need, and that take long to import.
_LIBRARY = "ansible_collections.tierwright.chain.plugins.plugin_utils._core"

#: The plan of a run that has nothing to try.
_NOTHING = {
    "changed": False,
    "run": "",
    "bases": [],
    "builds": [],
    "gate": [],
    "promote": False,
    "tried": [],
    "tiers": {},
}


class ActionModule(ChainAction):
    """Plans a run; nothing is built here."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        files = {} if self._task.check_mode else check_files(self._task.args)
        try:
            return self._run(variables, files)
        except Exception as error:
            message = str(error) if isinstance(error, TierwrightError) else describe_error(error)
            begin_files(files, RunResult(None, None, FAILED, None, None, message, resume_command()))
            if (dest := self._task.args.get("suite_file")) and isinstance(error, TierwrightError):
                write_answer("tier_suite_file", Path(str(dest)), Refusal.of(error))
            raise

    def _run(self, task_vars: dict[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
        planner = make_planner(task_vars)
        inventory = planner.inventory
        inventory.variant  # noqa: B018 - report a wrong one before an engine that does not answer
        engine = connect()
        self._check_resumed(inventory)
        if self._tries:
            inventory.check_whole_roles()
            if not _import_supply().try_candidates(inventory):
                return self._try_nothing(inventory, files)
        if self._task.check_mode:
            check_claim(engine, inventory.name, inventory.home)
            if interrupted(inventory.name):
                say("a promotion was interrupted; the next run first finishes it or takes it back")
            return self._plan(planner, engine, planner.open_cache(engine))[1]

        def check_inputs() -> None:
            self._decide(make_planner(task_vars), engine, None)

        wait = read_waiting(self._task.args, say, first=check_inputs)
        journal = begin(engine, inventory.name, inventory.home, command(), wait)
        try:
            note_files(journal, files)
            begin_files(files, RunResult(inventory.name, journal.run, RUNNING, None, None, None, resume_command()))
            if measuring.FILE in files:
                from ansible_collections.tierwright.chain.plugins.plugin_utils._core.profile.run_profile import (  # noqa: PLC0415
                    begin_profile,
                )

                begin_profile(files, inventory.name, journal.run)
            if self._tries:  # the run may have waited for hours, and candidates and the lock file change
                planner = make_planner(task_vars)
                inventory = planner.inventory
                if not _import_supply().try_candidates(inventory):
                    journal.end()
                    return self._try_nothing(inventory, files)
            result = self._begin(planner, engine, journal)
        except BaseException:
            journal.end()
            raise
        return result | {"run": str(journal.folder)}

    def _begin(self, planner: Planner, engine: Engine, journal: Journal) -> dict[str, Any]:
        """Plan the run, get the images that it needs from registries, and record the plan."""
        inventory = planner.inventory
        kept = self._find_kept(inventory)
        shared = planner.open_cache(engine)
        decisions, result = self._plan(planner, engine, shared)
        if kept is not None:
            resume_build(journal, kept)
        inventory.policy  # noqa: B018 - report a wrong one, even if it has nothing to check now
        supply = _import_supply().ImageSupply(inventory, engine) if inventory.used or shared is not None else None
        if supply is not None:
            supply.take_followed(decisions.values())
        note_tried(journal, inventory.tried, inventory.locked)
        if not inventory.tried:
            _open_keys(inventory, [name for name, decision in decisions.items() if decision.action is Action.BUILD])
        if supply is not None and shared is not None:
            supply.take_kept(decisions.values(), shared)
        if inventory.variant is not None:
            note_variant(journal, inventory.variant)
        for name, decision in decisions.items():
            selected, builds = name in inventory.selected, decision.action is Action.BUILD
            write_plan(
                journal,
                inventory.name,
                decision,
                next(iter(planner.roles.names(name)), None) if selected else None,
                planner.origin(name) if builds else BuildOrigin(),
                roles=planner.roles.folders(name) if selected else (),
                projects=inventory.projects.folders,
                tests=planner.roles.tests(name) if selected else None,
            )
            if builds:
                journal.write("settings", name, planner.settings(name))
        if result["builds"]:
            restore_archives(folder for name in result["builds"] for folder in planner.roles.folders(name))
        return result

    def _try_nothing(self, inventory: ChainInventory, files: Mapping[str, str]) -> dict[str, Any]:
        """End a run that has nothing to try. Files of an earlier run must not count as its result."""
        say("nothing to try: no followed tier has a candidate that differs from its locked image")
        begin_files(files, RunResult(inventory.name, None, PASSED, None, None, None, resume_command()))
        self._write_plan_file(inventory, {})
        return dict(_NOTHING)

    def _write_plan_file(self, inventory: ChainInventory, tiers: Mapping[str, Any]) -> None:
        if dest := self._task.args.get("dest"):
            write_answer("tier_plan_file", Path(str(dest)), {"chain": inventory.name, "tiers": tiers})

    def _write_suite_file(self, planner: Planner, tests: Mapping[str, Suite]) -> None:
        """Write the tests of one tier for `tierwright test`."""
        dest, name = self._task.args.get("suite_file"), str(self._task.args.get("suite") or "")
        if not dest:
            return
        chain = planner.inventory.chain
        if name not in tests:
            raise ChainError(f"there is no tier {name!r}; tiers are: {', '.join(chain.order)}")
        tier = chain[name]
        neighbours = {each: chain[each].release for each in tier.neighbours}
        write_answer("tier_suite_file", Path(str(dest)), SuiteAnswer(name, tests[name], tier.release, neighbours))

    def _plan(
        self, planner: Planner, engine: Engine, shared: SharedCache | None
    ) -> tuple[dict[str, Decision], dict[str, Any]]:
        inventory, decisions = planner.inventory, self._decide(planner, engine, shared)
        moving = {decision.tier: decision.was for decision in decisions.values() if _moves_tag(decision)}
        if not inventory.tried:
            check_images(engine, inventory.name, inventory.home, moving)
        listed = [decisions[name] for name in inventory.selected]
        tests = {name: planner.roles.tests(name) for name in inventory.selected}
        for line in outline(listed, everything=self._display.verbosity > 0, tests=tests):
            say(line)
        if self._builds and not inventory.tried and not self._resumes:  # the status says how the chain is
            note_plan(inventory.name, decisions, inventory.selected, warn, inventory.followed)
        self._write_suite_file(planner, tests)
        result = _result(inventory, decisions, build=not self._task.check_mode)
        result["promote"] |= publishes(self._task.args.get("publish", False)) and not self._task.check_mode
        if self._resumes:
            result["promote"] = False
        if self._task.check_mode and boolean(self._task.args.get("exit_code", False)):
            result["exit_code"] = exit_code(listed)
        if self._tries:
            result["promote"] = False
            result["tried"] = [name for name in inventory.tried if not self._task.check_mode]
        self._write_plan_file(inventory, result["tiers"])
        return decisions, result

    def _decide(self, planner: Planner, engine: Engine, shared: SharedCache | None) -> dict[str, Decision]:
        if (kept := self._find_kept(planner.inventory)) is not None:
            return planner.resume(engine, kept.tier, kept.parent)
        return planner.decide(engine, self._task.args.get("force"), shared) if self._builds else planner.take(engine)

    def _check_resumed(self, inventory: ChainInventory) -> None:
        """Check that a run that resumes a build works on this tier only, and that there is a build to resume."""
        if not self._resumes:
            return
        if self._resumes not in inventory.chain:
            raise ChainError(
                f"tier_resume is {self._resumes!r}, but there is no such tier; tiers are: "
                f"{', '.join(inventory.chain.order)}"
            )
        if self._tries or not self._builds or list(inventory.selected) != [self._resumes]:
            raise ChainError(
                f"tier_resume is {self._resumes!r}, so this run must build this tier and no other: add --limit "
                f"{self._resumes}, or use `tierwright resume {self._resumes}`"
            )
        self._find_kept(inventory)

    def _find_kept(self, inventory: ChainInventory) -> KeptBuild | None:
        if not self._resumes:
            return None
        kept = kept_build(inventory.name, self._resumes)
        if kept is None:
            raise ChainError(
                f"tier {self._resumes!r}: no container of a failed build is kept, so there is nothing to resume; build "
                "the tier with -e tier_keep_failed=true"
            )
        return from_task(kept, self._task.args.get("resume_from") or None)

    @property
    def _resumes(self) -> str:
        """The tier whose failed build this run resumes; empty if it resumes none."""
        return str(self._task.args.get("resume") or "")

    @property
    def _tries(self) -> bool:
        return bool(boolean(self._task.args.get("try_candidate", False)))

    @property
    def _builds(self) -> bool:
        return bool(boolean(self._task.args.get("build", True)))


def _import_supply() -> Any:
    """Import what gets images from registries. It takes long, and most chains do not need it."""
    return import_module(f"{_LIBRARY}.inventory.image_supply")


def _open_keys(inventory: ChainInventory, tiers: Iterable[str]) -> None:
    """Open the signing keys of tiers that are built: a wrong passphrase must be known before the build, not after."""
    read_signer = import_module(f"{_LIBRARY}.inventory.signing_settings").read_signer  # slow; only builds need it
    for tier in tiers:
        read_signer(inventory.variables(tier), inventory.inventory_folder(tier))


def _moves_tag(decision: Decision) -> bool:
    """Say whether a run can move a tier's release tag."""
    is_built = decision.action is Action.BUILD
    return is_built or (decision.action is Action.KEEP and not decision.released)


def _result(inventory: ChainInventory, decisions: dict[str, Decision], *, build: bool) -> dict[str, Any]:
    builds = [name for name in inventory.selected if build and decisions[name].action is Action.BUILD]
    bases = [name for name in builds if inventory.chain[name].parent is None]
    tested = [name for name in inventory.selected if build and decisions[name].untested]
    return {
        "changed": False,
        "run": "",
        "bases": bases,
        "builds": [name for name in builds if name not in bases],
        "gate": [name for name in inventory.selected if name in {*builds, *tested} - {*bases}],
        "promote": build and any(not decisions[name].released for name in inventory.selected),
        "tiers": {
            name: {
                "action": str(decision.action),
                "image": decision.image,
                "parent": decision.tier.parent,
                "reasons": list(decision.reasons),
                "released": decision.was,
                "team": decision.tier.team,
                "untested": list(decision.untested),
            }
            for name, decision in decisions.items()
            if name in inventory.selected
        },
    }
