"""Each source of a value that a role can see is decided about as docs/inputs.md says."""

# ruff: noqa: ARG001, ARG005 - what stands for a function takes its arguments
from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import ELSEWHERE, FETCHED, UNSEEN
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, RunError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory import ansible_settings, template_usage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.role_usage import CurrentValues
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.template_usage import TemplateRecorder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook import task_observer

from .test_matrix import caches, edit, project, replace  # noqa: F401 - `caches` is a fixture
from .world import World

TEXT = (Path(__file__).parents[3] / "docs/inputs.md").read_text()
ROWS = dict(re.findall(r"^\| ([^|]+) \| (key|told|refused|follows|ignored) \|", TEXT, re.MULTILINE))
INVENTORY = "inventories/shop/chain.yml"


@contextmanager
def heard(host: str):
    """Hear what templates of `host` use."""
    found: list[tuple[str, str]] = []
    recorder = TemplateRecorder(lambda kind, name: found.append((kind, name)), lambda: host)
    recorder.start()
    try:
        yield found
    finally:
        recorder.stop()


def evaluate(world: World, template: str, **more: Any) -> list[tuple[str, str]]:
    """Evaluate a template as a role of tier `db` would; return what is heard."""
    hostvars = world.hostvars()
    known = {**hostvars.raw_get("db"), "hostvars": hostvars, **more}
    with heard("db") as found:
        Templar(DataLoader(), {**known, "vars": known}).template(trust_as_template(template))
    return sorted(set(found))


@dataclass(frozen=True)
class Case:
    """One way to see a source, and to change it."""

    change: Callable[[World], object] | None = None
    #: What the role has in a template.
    template: str | None = None
    #: What is recorded by other means than a template.
    used: tuple[tuple[str, str], ...] = ()
    #: Variables besides the host's.
    more: tuple[tuple[str, Any], ...] = ()
    #: Files that the role read.
    taken: tuple[str, ...] = ()


def env(name: str, value: str):
    return lambda world: os.environ.__setitem__(name, value)


def configured(name: str, value: Any):
    def change(world: World) -> None:
        data = constants.config.get_config_value_and_origin

        def answer(asked: str, *args: Any, **kwargs: Any) -> Any:
            return (value, "env: X") if asked == name else data(asked, *args, **kwargs)

        constants.config.get_config_value_and_origin = answer
        setattr(constants, name, value)

    return change


def plugin(path: str):
    def change(world: World) -> None:
        world.play["playbook_dir"] = str(world.folder)
        edit(path, "# other\n")(world)

    return change


def move(world: World) -> None:
    (world.folder / "inventories/shop").rename(world.folder / "inventories/other")
    world.inventory = INVENTORY.replace("shop", "other")


def collection(world: World) -> None:
    folder = world.folder / "collection"
    edit("collection/FILES.json", "{}")(world)
    PATCH.setattr(ansible_settings, "_get_collection_path", lambda name: str(folder))


PATCH = pytest.MonkeyPatch()
#: Names that are looked for one after the other; what the first one becomes is in the folder of the process.
FOUND = ["before", "motd.txt"]
HOST_VARS = "inventories/shop/host_vars"
ALSO = edit(f"{HOST_VARS}/db.yml", "db_setting: 2\nansible_note: 2\ntier_tag: other\n")
CASES: dict[str, list[Case]] = {
    "variables of the inventory": [
        Case(ALSO),
        Case(edit("inventories/shop/group_vars/middleware.yml", "shared: 2\n")),
        Case(edit("inventories/shop/group_vars/all.yml", "unread: 2\n")),
    ],
    "extra variables": [Case(lambda world: world.extra.update(said=1))],
    "variables of a play": [Case(lambda world: world.play.update(played=1))],
    "`tier_*` for a play": [Case(lambda world: world.play.update(tier_config={}))],
    "a role's own variables": [
        Case(edit("roles/db/defaults/main.yml", "db_x: 1\n")),
        Case(edit("roles/db/vars/other.yml", "db_x: 1\n")),
        Case(edit("roles/db/meta/main.yml", "dependencies: [other]\n")),
    ],
    "`include_vars`": [Case(edit("more.yml", "x: 2\n"), taken=("more.yml",))],
    "`set_fact` and `register`": [Case(template="{{ found }}", more=(("found", 1),))],
    "cached facts": [Case(lambda world: world.facts.update(db={"cached": 1}))],
    "`tier_gather_subset`": [
        Case(edit(f"{HOST_VARS}/db.yml", "tier_gather_subset: [all]\n")),
        Case(edit(f"{HOST_VARS}/db.yml", "tier_python_interpreter: /usr/bin/python3\n")),
    ],
    "`tier_*` of the run": [Case(ALSO, "{{ tier_tag | default('x') }}", more=(("tier_tag", "a"),))],
    "`ansible_*` of the inventory": [Case(ALSO, "{{ ansible_note }}")],
    "vault passwords": [Case(lambda world: None)],
    "`group_names`": [
        Case(
            replace(
                INVENTORY, "    development:", "    special: {hosts: {db: {tier_team: middleware}}}\n    development:"
            ),
            read,
        )
        for read in ("{{ group_names }}", "{{ 'x' if 'special' in group_names else 'y' }}")
    ],
    "`groups`": [
        Case(
            replace(
                INVENTORY,
                "app: {tier_parent: web}",
                "app: {tier_parent: web}\n        new: {tier_parent: web, tier_role: app}",
            ),
            read,
        )
        for read in ("{{ groups['tiers'] }}", "{{ query('inventory_hostnames', 'tiers') }}", "{{ vars['groups'] }}")
    ],
    "`inventory_dir`": [
        Case(move, read)
        for read in ("{{ inventory_dir }}", "{{ inventory_file }}", "{{ lookup('vars', 'inventory_dir') }}")
    ],
    "`ansible_version`": [
        Case(lambda world: setattr(world, "ansible", "2.21")),
        Case(ALSO, "{{ ansible_version | default(1) }}", more=(("ansible_version", {"full": "2.19.1"}),)),
    ],
    "`ansible_managed`": [
        Case(
            configured("DEFAULT_MANAGED_STR", "Somebody's"), "# {{ ansible_managed }}", more=(("ansible_managed", 1),)
        ),
        Case(edit(f"{HOST_VARS}/db.yml", "ansible_managed: x\n"), "# {{ ansible_managed | default(1) }}"),
    ],
    "`--tags`": [Case(lambda world: world.tags.update(ansible_run_tags=["x"]))],
    "`vars`": [
        Case(ALSO, "{{ vars['ansible_note'] }}"),
        Case(ALSO, "{{ vars.ansible_note }}"),
        Case(ALSO, "{{ query('vars', 'ansible_note') }}"),
        Case(ALSO, "{{ vars.get('ansible_note') }}"),
    ],
    "variables of the run": [
        Case(None, f"{{{{ {name} }}}}", more=((name, ["a"]),))
        for name in ("ansible_play_hosts", "ansible_limit", "ansible_forks", "play_hosts")
    ],
    "`inventory_hostname`": [
        Case(None, f"{{{{ {name} }}}}", more=((name, "a"),))
        for name in ("inventory_hostname", "role_name", "role_path", "ansible_check_mode")
    ],
    "`hostvars`": [
        Case(edit(f"{HOST_VARS}/app.yml", "app_setting: 2\n"), read)
        for read in (
            "{{ hostvars['app'].app_setting }}",
            "{{ hostvars.app['app_setting'] }}",
            "{{ hostvars['app'].get('app_setting', 3) }}",
            "{{ hostvars['app'] | dict2items | length }}",
            "{{ groups['development'] | map('extract', hostvars, 'app_setting') | list }}",
            "{{ (hostvars | dict2items | selectattr('key', 'equalto', 'app') | first).value.app_setting }}",
        )
    ]
    + [Case(edit(f"{HOST_VARS}/db.yml", "ansible_note: 2\n"), "{{ hostvars['db'].ansible_note }}")],
    "facts of another host": [Case(None, "{{ hostvars['app'].ansible_facts | default(1) }}")],
    "facts of the image": [
        Case(None, read, more=(("ansible_facts", {"distribution": "Debian"}), ("ansible_distribution", "Debian")))
        for read in ("{{ ansible_facts.distribution }}", "{{ ansible_distribution }}", "{{ ansible_facts | length }}")
    ],
    "facts of the machine": [
        Case(
            None,
            read,
            more=(("ansible_facts", {"kernel": "6", "date_time": {"iso8601": "x"}}), ("ansible_kernel", "6")),
        )
        for read in (
            "{{ ansible_facts['kernel'] }}",
            "{{ ansible_facts.kernel }}",
            "{{ ansible_kernel }}",
            "{{ ansible_facts.get('kernel') }}",
            "{{ ansible_facts.date_time.iso8601 }}",
        )
    ],
    "environment variables": [
        Case(env("TW_TEST", "b"), read, more=(("db_default", trust_as_template("{{ lookup('env', 'TW_TEST') }}")),))
        for read in (
            "{{ lookup('env', 'TW_TEST') }}",
            "{{ query('env', 'TW_TEST', default='x') }}",
            "{{ db_default }}",
            "{{ '$TW_TEST' | expandvars }}",
        )
    ],
    "the whole environment": [],
    "lookup `config`": [Case(configured("DEFAULT_TIMEOUT", 77), "{{ lookup('config', 'DEFAULT_TIMEOUT') }}")],
    "settings that shape values": [
        Case(configured("DEFAULT_HASH_BEHAVIOUR", "merge")),
        Case(configured("DEFAULT_JINJA2_EXTENSIONS", ["x"])),
        Case(configured("INJECT_FACTS_AS_VARS", value=False)),
    ],
    "other settings": [Case(configured("DEFAULT_FORKS", 77))],
    "files": [Case(edit("files/motd.txt", "bye\n"), taken=("files/motd.txt",))],
    "whether a file is there": [
        Case(edit("files/flag", ""), "{{ (playbook_dir ~ '/files/flag') is " + test + " }}")
        for test in ("exists", "file")
    ]
    + [Case(edit("before", ""), "{{ lookup('first_found', names, errors='ignore') }}", more=(("names", FOUND),))],
    "other lookups": [
        Case(None, read)
        for read in (
            "{{ lookup('pipe', 'true') }}",
            "{{ lookup('random_choice', 1, 2) }}",
            "{{ lookup('lines', 'echo a') }}",
            "{{ lookup('password', '/dev/null') }}",
        )
    ],
    "`now()`": [Case(None, "{{ now().year }}"), Case(None, "{{ now(utc=true) }}")],
    "random filters": [
        Case(None, read)
        for read in ("{{ 9 | random }}", "{{ [1, 2] | shuffle }}", "{{ '%Y' | strftime }}", "{{ 'x' | vault('y') }}")
    ],
    "plugins of the project": [
        Case(plugin(f"{folder}/mine.py"))
        for folder in ("action_plugins", "filter_plugins", "library", "lookup_plugins", "module_utils", "test_plugins")
    ],
    "plugins of collections": [Case(collection, used=(("collection", "acme.tools"),))],
    "ansible-core": [Case(lambda world: setattr(world, "ansible", "2.21"))],
    "Python and its packages": [Case(lambda world: None)],
    "the user, umask and time zone": [Case(env("TZ", "Asia/Tokyo")), Case(env("LANG", "de_DE.UTF-8"))],
    "declared inputs": [Case(edit(f"{HOST_VARS}/db.yml", "tier_inputs: [{file: ../../files}]\n"))],
    "undeclared downloads": [Case(None, used=((FETCHED, "get_url"),))],
    "the parent": [Case(edit("roles/core/tasks/main.yml"))],
    "engine and kernel": [Case(lambda world: None)],
    "delegated tasks": [Case(None, used=((UNSEEN, "what tasks find on localhost"),))],
}


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """What cases change of the process."""
    monkeypatch.setenv("TW_TEST", "a")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LANG", "C.UTF-8")
    kept, values = constants.config.get_config_value_and_origin, dict(vars(constants))
    yield
    PATCH.undo()
    constants.config.get_config_value_and_origin = kept
    for name in vars(constants).keys() & values.keys():
        setattr(constants, name, values[name])


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(project(tmp_path / "clone"))
    monkeypatch.chdir(made.folder)
    edit(f"{HOST_VARS}/db.yml", "db_setting: 1\nansible_note: 1\n")(made)
    edit(f"{HOST_VARS}/app.yml", "app_setting: 1\n")(made)
    edit("more.yml", "x: 1\n")(made)
    return made


def test_each_source_has_a_case():
    assert set(ROWS) == set(CASES)


@pytest.mark.parametrize(
    ("source", "case"), [pytest.param(source, case, id=source) for source, cases in CASES.items() for case in cases]
)
def test_a_source_is_decided_about_as_the_table_says(world, source, case):
    used = evaluate(world, case.template, **dict(case.more)) if case.template else list(case.used)
    projects = world.planner().inventory.projects
    paths = [projects.name(Path(name)) for kind, name in used if kind == ELSEWHERE]
    current = CurrentValues(world.hostvars(), projects)
    parts = current.key_parts("db", [each for each in used if each[0] != ELSEWHERE], declared=False)
    world.build({"db": [*case.taken, *paths]}, {"db": parts})
    assert world.built() == [], "nothing changed yet"
    decision = ROWS[source]
    if decision in {"told", "follows"}:
        assert bool(world.decide()["db"].unseen) == (decision == "told"), used
        assert case.change is None
        return
    case.change(world)
    if decision == "refused":
        with pytest.raises(ChainError, match=r"tier_config is set for a whole play; expected in the inventory"):
            world.decide()
    else:
        assert ("db" in world.built()) == (decision == "key"), (used, parts)


def test_whether_all_is_heard_is_tried(monkeypatch):
    before = template_usage.AnsibleContext.resolve_or_missing, template_usage.lookup_loader.get, os.environ.__class__
    monkeypatch.setattr(TemplateRecorder, "_record_variable", lambda self, name: None)
    with pytest.raises(RunError, match=r"cannot be recorded .*\(\{\{ group_names \}\} is not recorded"):
        TemplateRecorder(print, lambda: "db").start()
    assert before == (
        template_usage.AnsibleContext.resolve_or_missing,
        template_usage.lookup_loader.get,
        os.environ.__class__,
    ), "Ansible is as it was"


def test_a_function_that_ansible_does_not_have_any_more_is_told(monkeypatch):
    monkeypatch.delattr(template_usage.JinjaPluginIntercept, "_invoke_plugin")
    with pytest.raises(RunError, match="_invoke_plugin"):
        TemplateRecorder(print, lambda: "db").start()


def test_no_tier_is_built_where_nothing_is_recorded(monkeypatch):
    monkeypatch.setattr(task_observer, "_state", task_observer._ProcessState())
    with pytest.raises(
        RunError, match=r"tier 'db' is not built, because the inputs of its role cannot be recorded.*callback"
    ):
        task_observer.check_recording("db")
    assert task_observer.start_recording(SimpleNamespace(recorded=lambda kind: [])) is None
    with pytest.raises(RunError, match="index out of range"):
        task_observer.check_recording("db")


def test_a_folder_that_cannot_be_written_to_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not any("{{" in path for path in task_observer._ignored_paths(()))
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_copies_the_whole_environment_is_told(tmp_path):
    source = "import os\ndef copy(): return dict(os.environ)\ndef one(): return os.getenv('TW_TEST')\n"
    known: dict[str, Any] = {}
    exec(compile(source, str(tmp_path / "filter_plugins/mine.py"), "exec"), known)
    with heard("db") as found:
        known["copy"]()
        os.environ.get("HOME")
    assert found == [(UNSEEN, "the whole environment of the controller (mine.py)")]
    with heard("db") as found:
        known["one"]()
    assert found == [("environment", "TW_TEST")]


def test_a_folder_that_is_the_project_is_the_same_in_another_clone(tmp_path):
    digests = []
    for name in ("one", "two"):
        clone = World(project(tmp_path / name), inventory="chain.yml")
        edit("chain.yml", (clone.folder / INVENTORY).read_text())(clone)
        current = CurrentValues(clone.hostvars(), clone.planner().inventory.projects)
        digests.append(current.digest("db", ["magic/inventory_dir", "magic/inventory_file"]))
    assert digests[0] == digests[1]
