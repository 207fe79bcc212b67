"""Each source of values that a role can see is handled as docs/inputs.md says."""

# ruff: noqa: ARG001, ARG005 - substitutes of functions take the same arguments
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

from .test_stale_inputs import caches, edit, project, replace  # noqa: F401 - `caches` is a fixture
from .world import World

TEXT = (Path(__file__).parents[3] / "docs/inputs.md").read_text()
ROWS = dict(re.findall(r"^\| ([^|]+) \| (key|told|refused|follows|ignored) \|", TEXT, re.MULTILINE))
INVENTORY = "inventories/shop/chain.yml"


@contextmanager
def recorded_usage(host: str):
    """Record what templates of `host` use."""
    usage: list[tuple[str, str]] = []
    recorder = TemplateRecorder(lambda kind, name: usage.append((kind, name)), lambda: host)
    recorder.start()
    try:
        yield usage
    finally:
        recorder.stop()


def evaluate(world: World, template: str, **extra: Any) -> list[tuple[str, str]]:
    """Evaluate a template as a role of tier `db` would; return the usage that is recorded."""
    hostvars = world.hostvars()
    variables = {**hostvars.raw_get("db"), "hostvars": hostvars, **extra}
    with recorded_usage("db") as usage:
        Templar(DataLoader(), {**variables, "vars": variables}).template(trust_as_template(template))
    return sorted(set(usage))


@dataclass(frozen=True)
class Case:
    """One way in which a role sees a source, and a change of the source."""

    change: Callable[[World], object] | None = None
    #: A template in the role.
    template: str | None = None
    #: Usage that is recorded without a template.
    usage: tuple[tuple[str, str], ...] = ()
    #: Variables in addition to those of the host.
    extra: tuple[tuple[str, Any], ...] = ()
    #: Files that the role read.
    files: tuple[str, ...] = ()


def set_environment(name: str, value: str):
    return lambda world: os.environ.__setitem__(name, value)


def set_configuration(name: str, value: Any):
    def change(world: World) -> None:
        original = constants.config.get_config_value_and_origin

        def answer(setting: str, *args: Any, **kwargs: Any) -> Any:
            return (value, "env: X") if setting == name else original(setting, *args, **kwargs)

        constants.config.get_config_value_and_origin = answer
        setattr(constants, name, value)

    return change


def change_plugin(path: str):
    def change(world: World) -> None:
        world.play["playbook_dir"] = str(world.folder)
        edit(path, "# other\n")(world)

    return change


def move_inventory(world: World) -> None:
    (world.folder / "inventories/shop").rename(world.folder / "inventories/other")
    world.inventory = INVENTORY.replace("shop", "other")


def change_collection(world: World) -> None:
    folder = world.folder / "collection"
    edit("collection/FILES.json", "{}")(world)
    PATCH.setattr(ansible_settings, "_get_collection_path", lambda name: str(folder))


PATCH = pytest.MonkeyPatch()
#: Names for the lookup `first_found`. The first file does not exist; a case creates it in the current folder.
FIRST_FOUND = ["before", "motd.txt"]
HOST_VARS = "inventories/shop/host_vars"
CHANGE_VARIABLES = edit(f"{HOST_VARS}/db.yml", "db_setting: 2\nansible_note: 2\ntier_tag: other\n")
CASES: dict[str, list[Case]] = {
    "variables of the inventory": [
        Case(CHANGE_VARIABLES),
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
    "`include_vars`": [Case(edit("more.yml", "x: 2\n"), files=("more.yml",))],
    "`set_fact` and `register`": [Case(template="{{ found }}", extra=(("found", 1),))],
    "cached facts": [Case(lambda world: world.facts.update(db={"cached": 1}))],
    "`tier_gather_subset`": [
        Case(edit(f"{HOST_VARS}/db.yml", "tier_gather_subset: [all]\n")),
        Case(edit(f"{HOST_VARS}/db.yml", "tier_python_interpreter: /usr/bin/python3\n")),
    ],
    "`tier_*` of the run": [Case(CHANGE_VARIABLES, "{{ tier_tag | default('x') }}", extra=(("tier_tag", "a"),))],
    "`ansible_*` of the inventory": [Case(CHANGE_VARIABLES, "{{ ansible_note }}")],
    "vault passwords": [Case(lambda world: None)],
    "`group_names`": [
        Case(
            replace(
                INVENTORY, "    development:", "    special: {hosts: {db: {tier_team: middleware}}}\n    development:"
            ),
            template,
        )
        for template in ("{{ group_names }}", "{{ 'x' if 'special' in group_names else 'y' }}")
    ],
    "`groups`": [
        Case(
            replace(
                INVENTORY,
                "app: {tier_parent: web}",
                "app: {tier_parent: web}\n        new: {tier_parent: web, tier_role: app}",
            ),
            template,
        )
        for template in ("{{ groups['tiers'] }}", "{{ query('inventory_hostnames', 'tiers') }}", "{{ vars['groups'] }}")
    ],
    "`inventory_dir`": [
        Case(move_inventory, template)
        for template in ("{{ inventory_dir }}", "{{ inventory_file }}", "{{ lookup('vars', 'inventory_dir') }}")
    ],
    "`ansible_version`": [
        Case(lambda world: setattr(world, "ansible", "2.21")),
        Case(CHANGE_VARIABLES, "{{ ansible_version | default(1) }}", extra=(("ansible_version", {"full": "2.19.1"}),)),
    ],
    "`ansible_managed`": [
        Case(
            set_configuration("DEFAULT_MANAGED_STR", "Somebody's"),
            "# {{ ansible_managed }}",
            extra=(("ansible_managed", 1),),
        ),
        Case(edit(f"{HOST_VARS}/db.yml", "ansible_managed: x\n"), "# {{ ansible_managed | default(1) }}"),
    ],
    "`--tags`": [Case(lambda world: world.tags.update(ansible_run_tags=["x"]))],
    "`vars`": [
        Case(CHANGE_VARIABLES, "{{ vars['ansible_note'] }}"),
        Case(CHANGE_VARIABLES, "{{ vars.ansible_note }}"),
        Case(CHANGE_VARIABLES, "{{ query('vars', 'ansible_note') }}"),
        Case(CHANGE_VARIABLES, "{{ vars.get('ansible_note') }}"),
    ],
    "variables of the run": [
        Case(None, f"{{{{ {name} }}}}", extra=((name, ["a"]),))
        for name in ("ansible_play_hosts", "ansible_limit", "ansible_forks", "play_hosts")
    ],
    "`inventory_hostname`": [
        Case(None, f"{{{{ {name} }}}}", extra=((name, "a"),))
        for name in ("inventory_hostname", "role_name", "role_path", "ansible_check_mode")
    ],
    "`hostvars`": [
        Case(edit(f"{HOST_VARS}/app.yml", "app_setting: 2\n"), template)
        for template in (
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
        Case(None, template, extra=(("ansible_facts", {"distribution": "Debian"}), ("ansible_distribution", "Debian")))
        for template in (
            "{{ ansible_facts.distribution }}",
            "{{ ansible_distribution }}",
            "{{ ansible_facts | length }}",
        )
    ],
    "facts of the machine": [
        Case(
            None,
            template,
            extra=(("ansible_facts", {"kernel": "6", "date_time": {"iso8601": "x"}}), ("ansible_kernel", "6")),
        )
        for template in (
            "{{ ansible_facts['kernel'] }}",
            "{{ ansible_facts.kernel }}",
            "{{ ansible_kernel }}",
            "{{ ansible_facts.get('kernel') }}",
            "{{ ansible_facts.date_time.iso8601 }}",
        )
    ],
    "environment variables": [
        Case(
            set_environment("TW_TEST", "b"),
            template,
            extra=(("db_default", trust_as_template("{{ lookup('env', 'TW_TEST') }}")),),
        )
        for template in (
            "{{ lookup('env', 'TW_TEST') }}",
            "{{ query('env', 'TW_TEST', default='x') }}",
            "{{ db_default }}",
            "{{ '$TW_TEST' | expandvars }}",
        )
    ],
    "the whole environment": [],
    "lookup `config`": [Case(set_configuration("DEFAULT_TIMEOUT", 77), "{{ lookup('config', 'DEFAULT_TIMEOUT') }}")],
    "settings that shape values": [
        Case(set_configuration("DEFAULT_HASH_BEHAVIOUR", "merge")),
        Case(set_configuration("DEFAULT_JINJA2_EXTENSIONS", ["x"])),
        Case(set_configuration("INJECT_FACTS_AS_VARS", value=False)),
    ],
    "other settings": [Case(set_configuration("DEFAULT_FORKS", 77))],
    "files": [Case(edit("files/motd.txt", "bye\n"), files=("files/motd.txt",))],
    "whether a file is there": [
        Case(edit("files/flag", ""), "{{ (playbook_dir ~ '/files/flag') is " + test + " }}")
        for test in ("exists", "file")
    ]
    + [
        Case(edit("before", ""), "{{ lookup('first_found', names, errors='ignore') }}", extra=(("names", FIRST_FOUND),))
    ],
    "other lookups": [
        Case(None, template)
        for template in (
            "{{ lookup('pipe', 'true') }}",
            "{{ lookup('random_choice', 1, 2) }}",
            "{{ lookup('lines', 'echo a') }}",
            "{{ lookup('password', '/dev/null') }}",
        )
    ],
    "`now()`": [Case(None, "{{ now().year }}"), Case(None, "{{ now(utc=true) }}")],
    "random filters": [
        Case(None, template)
        for template in (
            "{{ 9 | random }}",
            "{{ [1, 2] | shuffle }}",
            "{{ '%Y' | strftime }}",
            "{{ 'x' | vault('y') }}",
        )
    ],
    "plugins of the project": [
        Case(change_plugin(f"{folder}/mine.py"))
        for folder in ("action_plugins", "filter_plugins", "library", "lookup_plugins", "module_utils", "test_plugins")
    ],
    "plugins of collections": [Case(change_collection, usage=(("collection", "acme.tools"),))],
    "ansible-core": [Case(lambda world: setattr(world, "ansible", "2.21"))],
    "Python and its packages": [Case(lambda world: None)],
    "the user, umask and time zone": [
        Case(set_environment("TZ", "Asia/Tokyo")),
        Case(set_environment("LANG", "de_DE.UTF-8")),
    ],
    "declared inputs": [Case(edit(f"{HOST_VARS}/db.yml", "tier_inputs: [{file: ../../files}]\n"))],
    "undeclared downloads": [Case(None, usage=((FETCHED, "get_url"),))],
    "the parent": [Case(edit("roles/core/tasks/main.yml"))],
    "engine and kernel": [Case(lambda world: None)],
    "delegated tasks": [Case(None, usage=((UNSEEN, "what tasks find on localhost"),))],
}


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """Undo what cases change in the process."""
    monkeypatch.setenv("TW_TEST", "a")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LANG", "C.UTF-8")
    original, values = constants.config.get_config_value_and_origin, dict(vars(constants))
    yield
    PATCH.undo()
    constants.config.get_config_value_and_origin = original
    for name in vars(constants).keys() & values.keys():
        setattr(constants, name, values[name])


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(project(tmp_path / "clone"))
    monkeypatch.chdir(world.folder)
    edit(f"{HOST_VARS}/db.yml", "db_setting: 1\nansible_note: 1\n")(world)
    edit(f"{HOST_VARS}/app.yml", "app_setting: 1\n")(world)
    edit("more.yml", "x: 1\n")(world)
    return world


def test_every_source_in_the_table_has_a_case():
    assert set(ROWS) == set(CASES)


@pytest.mark.parametrize(
    ("source", "case"), [pytest.param(source, case, id=source) for source, cases in CASES.items() for case in cases]
)
def test_a_source_is_handled_as_the_table_says(world, source, case):
    usage = evaluate(world, case.template, **dict(case.extra)) if case.template else list(case.usage)
    projects = world.planner().inventory.projects
    paths = [projects.name(Path(name)) for kind, name in usage if kind == ELSEWHERE]
    current = CurrentValues(world.hostvars(), projects)
    parts = current.key_parts("db", [item for item in usage if item[0] != ELSEWHERE], declared=False)
    world.build({"db": [*case.files, *paths]}, {"db": parts})
    assert world.built() == [], "nothing changed yet"
    decision = ROWS[source]
    if decision in {"told", "follows"}:
        assert bool(world.decide()["db"].unseen) == (decision == "told"), usage
        assert case.change is None
        return
    case.change(world)
    if decision == "refused":
        with pytest.raises(ChainError, match=r"tier_config is set for a whole play; expected in the inventory"):
            world.decide()
    else:
        assert ("db" in world.built()) == (decision == "key"), (usage, parts)


def test_the_recorder_checks_itself_at_the_start(monkeypatch):
    originals = template_usage.AnsibleContext.resolve_or_missing, template_usage.lookup_loader.get, os.environ.__class__
    monkeypatch.setattr(TemplateRecorder, "_record_variable", lambda self, name: None)
    with pytest.raises(RunError, match=r"cannot be recorded .*\(\{\{ group_names \}\} is not recorded"):
        TemplateRecorder(print, lambda: "db").start()
    assert originals == (
        template_usage.AnsibleContext.resolve_or_missing,
        template_usage.lookup_loader.get,
        os.environ.__class__,
    ), "Ansible is restored"


def test_a_function_that_ansible_lacks_is_reported(monkeypatch):
    monkeypatch.delattr(template_usage.JinjaPluginIntercept, "_invoke_plugin")
    with pytest.raises(RunError, match="_invoke_plugin"):
        TemplateRecorder(print, lambda: "db").start()


def test_a_tier_is_not_built_if_its_inputs_cannot_be_recorded(monkeypatch):
    monkeypatch.setattr(task_observer, "_state", task_observer._ProcessState())
    with pytest.raises(
        RunError, match=r"tier 'db' is not built, because the inputs of its role cannot be recorded.*callback"
    ):
        task_observer.check_recording("db")
    assert task_observer.start_recording(SimpleNamespace(recorded=lambda kind: [])) is None
    with pytest.raises(RunError, match="index out of range"):
        task_observer.check_recording("db")


def test_ignored_paths_are_resolved_without_creating_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not any("{{" in path for path in task_observer._ignored_paths(()))
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_copies_the_environment_is_reported(tmp_path):
    source = "import os\ndef copy(): return dict(os.environ)\ndef one(): return os.getenv('TW_TEST')\n"
    namespace: dict[str, Any] = {}
    exec(compile(source, str(tmp_path / "filter_plugins/mine.py"), "exec"), namespace)
    with recorded_usage("db") as usage:
        namespace["copy"]()
        os.environ.get("HOME")
    assert usage == [(UNSEEN, "the whole environment of the controller (mine.py)")]
    with recorded_usage("db") as usage:
        namespace["one"]()
    assert usage == [("environment", "TW_TEST")]


def test_the_project_folder_has_the_same_digest_in_every_clone(tmp_path):
    digests = []
    for name in ("one", "two"):
        clone = World(project(tmp_path / name), inventory="chain.yml")
        edit("chain.yml", (clone.folder / INVENTORY).read_text())(clone)
        current = CurrentValues(clone.hostvars(), clone.planner().inventory.projects)
        digests.append(current.digest("db", ["magic/inventory_dir", "magic/inventory_file"]))
    assert digests[0] == digests[1]
