# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action of ``tierwright.chain.tier_plan``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.compatibility.matrix_store import note_variant
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import Engine, connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ChainError,
    TierwrightError,
    described,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.display import say, warn
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.planner import Planner
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.outline import outline
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.actions import (
    ChainAction,
    command,
    planner_of,
    repeat,
    waiting,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import interrupted
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.result import (
    RUNNING,
    RunResult,
    begin_files,
    check_files,
    note_files,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import check_claim, check_images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import FAILED, note_plan


class ActionModule(ChainAction):
    """Plans a run; nothing is built here."""

    _supports_check_mode = True

    def work(self, variables: dict[str, Any]) -> dict[str, Any]:
        files = {} if self._task.check_mode else check_files(self._task.args)
        try:
            return self._run(variables, files)
        except Exception as error:
            told = str(error) if isinstance(error, TierwrightError) else described(error)
            begin_files(files, RunResult(None, None, FAILED, None, None, told, repeat()))
            raise

    def _run(self, task_vars: dict[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
        planner = planner_of(task_vars)
        variant = planner.variant
        engine = connect()
        if self._task.check_mode:
            check_claim(engine, planner.name, planner.home)
            if interrupted(planner.name):
                say("a promotion was interrupted; the next run brings it to an end first")
            return self._plan(planner, engine)[1]

        def try_it() -> None:
            self._decide(planner_of(task_vars), engine)

        wait = waiting(self._task.args, say, first=try_it)
        journal = begin(engine, planner.name, planner.home, command(), wait)
        try:
            note_files(journal, files)
            begin_files(files, RunResult(planner.name, journal.run, RUNNING, None, None, None, repeat()))
            decisions, result = self._plan(planner, engine)
            if variant is not None:
                note_variant(journal, variant)
            for name, decision in decisions.items():
                mine, builds = name in planner.selected, decision.action is Action.BUILD
                write_plan(
                    journal,
                    planner.name,
                    decision,
                    planner.role_name(name) if mine else None,
                    planner.commit(name) if builds else None,
                    roles=planner.role_folders(name) if mine else (),
                    projects=planner.projects.folders,
                    tests=planner.tests(name) if mine else None,
                )
                if builds:
                    journal.write("settings", name, planner.settings(name))
        except BaseException:
            journal.end()
            raise
        return result | {"run": str(journal.folder)}

    def _plan(self, planner: Planner, engine: Engine) -> tuple[dict[str, Decision], dict[str, Any]]:
        decisions = self._decide(planner, engine)
        moving = {each.tier: each.was for each in decisions.values() if _moves(each)}
        check_images(engine, planner.name, planner.home, moving)
        listed = [decisions[name] for name in planner.selected]
        tests = {name: planner.tests(name) for name in planner.selected}
        for line in outline(listed, everything=self._display.verbosity > 0, tests=tests):
            say(line)
        if self._builds:
            note_plan(planner.name, decisions, planner.selected, warn)
        result = _result(planner, decisions, build=not self._task.check_mode)
        if dest := self._task.args.get("dest"):
            _write(Path(str(dest)), {"chain": planner.name, "tiers": result["tiers"]})
        return decisions, result

    def _decide(self, planner: Planner, engine: Engine) -> dict[str, Decision]:
        return planner.decide(engine, self._task.args.get("force")) if self._builds else planner.take(engine)

    @property
    def _builds(self) -> bool:
        return bool(boolean(self._task.args.get("build", True)))


def _moves(decision: Decision) -> bool:
    """Say whether a run is going to move a tier's release tag."""
    built = decision.action is Action.BUILD
    return built or (decision.action is Action.KEEP and not decision.released)


def _write(path: Path, plan: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(plan, indent=2) + "\n")
    except OSError as error:
        raise ChainError(f"tier_plan_file: the plan cannot be written to {path}: {error.strerror}") from error


def _result(planner: Planner, decisions: dict[str, Decision], *, build: bool) -> dict[str, Any]:
    builds = [name for name in planner.selected if build and decisions[name].action is Action.BUILD]
    bases = [name for name in builds if planner.chain[name].parent is None]
    tested = [name for name in planner.selected if build and decisions[name].untested]
    return {
        "changed": False,
        "run": "",
        "bases": bases,
        "builds": [name for name in builds if name not in bases],
        "gate": [name for name in planner.selected if name in {*builds, *tested} - {*bases}],
        "promote": build and any(not decisions[name].released for name in planner.selected),
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
            if name in planner.selected
        },
    }
