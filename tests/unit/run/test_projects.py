"""Two projects and three users on one engine: no operation changes anything of the other project.

By default, the test runs the same 20 operations in each of ten histories. With TIERWRIGHT_OPERATIONS=200, it runs 200
operations in each of a hundred random histories.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain import tags
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.graph import Chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Tier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release import pruning
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.promotion import promote_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.pruning import remove_chain
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.rollback import plan_rollback
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.tag_transaction import move_all
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.run.lifecycle import begin
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.claim import check_images, volume_name
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.lock import Waiting
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.owner import Home
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import write_plan
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import note_plan, note_run
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.candidates import (
    accept,
    announce,
    drop_all_holds,
    hold,
    propose,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.cleanup import clear_run, container_name
from fake_engine import FakeEngine

LONG = "TIERWRIGHT_OPERATIONS" in os.environ
OPERATIONS = int(os.environ.get("TIERWRIGHT_OPERATIONS", "20"))
USERS = ("anne", "bob", "cleo")
#: Which user works on which project: one user works on both, with one state folder.
PLACES = (("shop", "anne"), ("shop", "bob"), ("blog", "cleo"), ("blog", "anne"))
NAMES = ("shop", "blog", "inventory")
#: Executes every call, for a caller that is alive.
ALIVE = FakeEngine().intercept
REPOSITORIES = ("shop/web", "blog/web", "web")


class KilledError(BaseException):
    """The process was killed: none of its code runs any more."""


def add(engine, image, image_labels, *, project):
    """Add an image to the engine, and record for this test which project it belongs to."""
    if image not in engine.world.images:
        engine.add(image, image_labels, created_by=f"tierwright: tier {image_labels[labels.TIER]}: role x")
        engine.projects[image] = project


def killed_after(engine, tags_left):
    """A function for `FakeEngine.intercept` that kills the caller after it has moved this many tags."""

    def intercept(call):
        if engine.world.names != intercept.seen:
            intercept.seen, intercept.left = dict(engine.world.names), intercept.left - 1
        if intercept.left < 0:
            raise KilledError
        return call()

    intercept.seen, intercept.left = dict(engine.world.names), tags_left
    return intercept


@dataclass
class Project:
    """The contents of an inventory, in all clones of a project."""

    name: str
    tier_chain: str
    repositories: dict[str, str]
    #: All chain names with which a run was ever begun.
    used: set[str] = field(default_factory=set)

    @property
    def chain(self):
        base, *others = self.repositories
        tiers = [Tier(base, "ops", self.repositories[base], "latest", source=Bootstrap("bookworm"))]
        return Chain(tiers + [Tier(name, "ops", self.repositories[name], "latest", base, "x") for name in others])


@dataclass
class Run:
    """A run that has not ended."""

    project: Project
    user: str
    journal: Journal
    chain: Chain


class Projects(RuleBasedStateMachine):
    """Operations of users, in any order."""

    @initialize(old=st.booleans())
    def start(self, old):
        """Begin with nothing, or with images from before chains had their own names: all have the same chain label.

        In the second case, each project has had one run: before that, the owner of an image cannot be determined.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="tierwright-test-"))
        self.engine = FakeEngine()
        self.engine.projects = {}
        self.projects = {
            name: Project(name, name, {"base": f"{name}/base", "web": f"{name}/web", name: f"{name}/{name}"})
            for name in ("shop", "blog")
        }
        self.running: list[Run] = []
        self.moment = datetime(2026, 11, 29, tzinfo=UTC)
        for project, user in PLACES:
            (self.folder / user / project / "inventory").mkdir(parents=True)
        for project in self.projects.values() if old else ():
            self.release_old(project)
            for user in (user for name, user in PLACES if name == project.name):
                self.journal(project, user).end()

    def release_old(self, project):
        for tier in project.chain:
            for number in range(3):
                image = f"sha256:{project.name} inventory {tier.name} {number}"
                image_labels = labels.identity("inventory", tier, {"role": str(number)}, "debian")
                add(self.engine, image, image_labels, project=project.name)
                self.engine.images.tag(image, tier.image, f"key-{number:016x}")
                self.engine.images.tag(image, tier.image, f"release-2026010{number + 1}T000000Z")
                self.engine.images.tag(image, tier.image, "latest")
            add(
                self.engine, f"sha256:{project.name} inventory {tier.name} nameless", image_labels, project=project.name
            )

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # Operations.

    @rule(
        place=st.sampled_from(PLACES),
        content=st.integers(0, 2),
        end=st.sampled_from(["passed", "passed", "failed", "sealing", "holding", "accepted", "promoting", "goes on"]),
    )
    def build(self, place, content, end):
        """Build with this end. ``sealing`` to ``promoting`` are the moments at which the run is killed."""
        project, user = self.projects[place[0]], place[1]
        if any(run.project is project and run.user == user for run in self.running):
            return
        with self.operation(project, user), suppress(KilledError):
            run = self.begin(project, user)
            try:
                self.seal(run, content, killed=end == "sealing")
                if end == "goes on":
                    self.running.append(run)
                else:
                    self.end(run, failed=end == "failed", killed=end)
            except KilledError:
                self.engine.intercept = ALIVE
                kill(run.journal)
                raise

    @precondition(lambda self: self.running)
    @rule(number=st.integers(0, 9), failed=st.booleans())
    def finish(self, number, failed):
        """End a run that continued during other operations."""
        run = self.running.pop(number % len(self.running))
        with self.operation(run.project, run.user):
            self.end(run, failed=failed)

    @precondition(lambda self: self.running)
    @rule(number=st.integers(0, 9))
    def kill(self, number):
        kill(self.running.pop(number % len(self.running)).journal)

    @rule(place=st.sampled_from(PLACES), keep=st.integers(1, 3))
    def prune(self, place, keep):
        project, user = self.projects[place[0]], place[1]
        with self.operation(project, user):
            home = self.home(project, user)
            journal = self.journal(project, user)
            chain = tuple(project.chain)
            wanted = [image for tier in chain if (image := self.engine.world.names.get(tier.release))]
            garbage = pruning.find_garbage(self.engine, project.tier_chain, chain, home, keep=keep, wanted=wanted)
            pruning.remove_garbage(self.engine, project.tier_chain, home, garbage)
            journal.end()

    @rule(place=st.sampled_from(PLACES))
    def roll_back(self, place):
        project, user = self.projects[place[0]], place[1]
        with self.operation(project, user):
            journal = self.journal(project, user)
            try:
                chain, names = project.chain, self.engine.images.snapshot().names
                rollback = plan_rollback(chain, chain.order, names, None, datetime.now(UTC))
                moving = {change.tier: change.was for change in rollback.changes}
                check_images(self.engine, project.tier_chain, self.home(project, user), moving)
                move_all(self.engine, project.tier_chain, rollback.moves)
            finally:
                journal.end()

    @rule(place=st.sampled_from(PLACES))
    def remove(self, place):
        project, user = self.projects[place[0]], place[1]
        if any(run.project is project for run in self.running):
            return
        with self.operation(project, user):
            home = self.home(project, user)
            remove_chain(self.engine, project.tier_chain, home, "test", Waiting(0, print))
            if volume_name(project.tier_chain) not in self.engine.world.volumes:
                project.used.discard(project.tier_chain)  # a different project may take the name now

    @rule(name=st.sampled_from(["shop", "blog"]), to=st.sampled_from(NAMES))
    def rename_chain(self, name, to):
        if not any(run.project.name == name for run in self.running):
            self.projects[name].tier_chain = to

    @rule(name=st.sampled_from(["shop", "blog"]), to=st.sampled_from(REPOSITORIES))
    def rename_images(self, name, to):
        if not any(run.project.name == name for run in self.running):
            self.projects[name].repositories["web"] = to

    @rule(name=st.sampled_from(["shop", "blog"]), number=st.integers(0, 2))
    def rename_tier(self, name, number):
        project = self.projects[name]
        if not any(run.project is project for run in self.running):
            last = list(project.repositories)[-1]
            del project.repositories[last]
            project.repositories[f"{name}-{number}"] = f"{name}/{number}"

    # How the operations are performed.

    def home(self, project, user):
        folder = self.folder / user / project.name / "inventory"
        tiers = tuple(sorted(f"{tier.name} {tier.image}" for tier in project.chain))
        former = "inventory" if project.tier_chain == project.name else ""
        return Home(str(folder), "builder", user, tiers, f"example.org/{project.name}", "", "inventory", former=former)

    def journal(self, project, user):
        os.environ["XDG_STATE_HOME"] = str(self.folder / user / "state")
        chain = project.tier_chain
        journal = begin(self.engine, chain, self.home(project, user), "test", Waiting(0, lambda _line: None))
        project.used.add(chain)
        return journal

    def begin(self, project, user):
        run = Run(project, user, self.journal(project, user), project.chain)
        was = {tier: self.engine.world.names.get(tier.release) for tier in run.chain}
        try:
            check_images(self.engine, project.tier_chain, self.home(project, user), was)
        except RunError:
            run.journal.end()
            raise
        decisions = {
            tier.name: Decision(tier, Action.BUILD, ("asked for",), None, {"role": "x"}, was=was[tier])
            for tier in run.chain
        }
        note_plan(project.tier_chain, decisions, list(decisions))
        for decision in decisions.values():
            write_plan(run.journal, project.tier_chain, decision, "x")
        return run

    def seal(self, run, content, *, killed):
        parent_id = None
        for tier in run.chain:
            parts = {"role": str(content)} | ({"parent": parent_id} if parent_id else {})
            image_labels = labels.identity(run.project.tier_chain, tier, parts, "debian") | {
                labels.CONTENT: str(content)
            }
            parent_id = parent_id or self.id_of(run, tier, content)
            image = self.id_of(run, tier, content)
            container_labels = labels.work(run.journal.run, tier.name) | {labels.CHAIN: run.project.tier_chain}
            name = container_name(run.journal.run, tier.name)
            self.engine.world.add_container(name, container_labels, "stage")

            def make(image=image, image_labels=image_labels, tier=tier):
                announce(run.journal, tier.name, image)
                add(self.engine, image, image_labels, project=run.project.name)
                if killed and tier.parent:
                    raise KilledError
                return self.engine.images.get(image)

            propose(self.engine, run.journal, tier, hold(self.engine, run.journal, tier, make))

    def id_of(self, run, tier, content):
        """Equal inputs give one image, in every clone of a project."""
        return f"sha256:{run.project.name} {run.project.tier_chain} {tier.name} {tier.image} {content}"

    def end(self, run, *, failed=False, killed=""):
        os.environ["XDG_STATE_HOME"] = str(self.folder / run.user / "state")
        if killed == "holding":
            raise KilledError
        last = run.chain[run.chain.order[-1]]
        for tier in run.chain:
            if failed and tier is last:
                image = json.loads((run.journal.folder / f"{tier.name}.candidate.json").read_text())["image"]
                self.engine.images.tag(image, tier.image, tags.failed(f"key-{0:016x}"))
                run.journal.failed(tier.name, "a test failed")
            else:
                accept(self.engine, run.journal, tier)
        if killed == "accepted":
            raise KilledError
        self.engine.intercept = killed_after(self.engine, 3) if killed == "promoting" else ALIVE
        with suppress(RunError):  # a different run has moved a tag in the meantime
            promote_run(self.engine, run.journal)
        self.engine.intercept = ALIVE
        note_run(run.journal)
        clear_run(self.engine, run.journal.run)
        drop_all_holds(self.engine, run.journal)
        run.journal.end()

    # What must always be true.

    @contextmanager
    def operation(self, project, user):
        """Perform an operation of a project. It may be rejected, and must not change anything of the other project."""
        os.environ["XDG_STATE_HOME"] = str(self.folder / user / "state")
        before = self.data_of(self.other(project))
        with suppress(RunError):
            yield
        assert self.data_of(self.other(project)) == before

    def other(self, project):
        return next(candidate for candidate in self.projects.values() if candidate is not project)

    def data_of(self, project):
        """All data of a project: its images, their names, its containers, claims and state files."""
        return {
            "images": {image for image in self.engine.world.images if self.engine.projects[image] == project.name},
            "names": {
                name: image
                for name, image in self.engine.world.names.items()
                if self.engine.projects.get(image) == project.name
            },
            "containers": {
                name
                for name, container in self.engine.world.containers.items()
                if self.belongs_to(project, container.labels)
            },
            "claims": {
                name: volume_labels
                for name, volume_labels in self.engine.world.volumes.items()
                if f"/{project.name}/inventory" in volume_labels[labels.HOME]
            },
            "state": {
                str(path): path.read_bytes()
                for user in USERS
                for name in project.used
                for state in [self.folder / user / "state/tierwright"]
                for path in [*(state / name).rglob("*.json"), *(state / "+homes").glob(f"{name}.json")]
            },
        }

    def belongs_to(self, project, container_labels):
        return container_labels[labels.CHAIN] in project.used and container_labels[labels.TIER] in {
            *project.repositories
        }

    @invariant()
    def no_two_projects_share_a_name(self):
        if hasattr(self, "projects"):
            assert not self.projects["shop"].used & self.projects["blog"].used

    @invariant()
    def running_runs_have_their_images(self):
        for run in getattr(self, "running", ()):
            held = tags.building(run.journal.run)
            assert all(f"{tier.image}:{held}" in self.engine.world.names for tier in run.chain)
            assert all(container_name(run.journal.run, tier.name) in self.engine.world.containers for tier in run.chain)


def kill(journal):
    """Make it look as if the process of the run had died."""
    path = journal.folder / "holder"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"birth": "another"}))


Projects.TestCase.settings = settings(
    max_examples=100 if LONG else 10,
    derandomize=not LONG,
    stateful_step_count=OPERATIONS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.usefixtures("kept_environment")
class TestProjects(Projects.TestCase):
    """Histories that Hypothesis makes."""


@pytest.fixture
def kept_environment(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/nonexistent")
