"""What makes a tier stale, on the real engine: files from elsewhere, outside inputs, and the demo's own roles."""

from __future__ import annotations

import http.server
import shutil
import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import elsewhere_names
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.template_usage import TemplateRecorder

from .conftest import DEMO, ROOT

TAKES = """
- name: Copy a file from beside the inventory
  ansible.builtin.copy: {src: "{{ inventory_dir }}/files/motd.txt", dest: /etc/motd, mode: "0644"}

- name: Look a file up
  ansible.builtin.copy: {content: "{{ lookup('file', here ~ '/files/looked.txt') }}", dest: /etc/a, mode: "0644"}
  vars: {here: "{{ inventory_dir }}"}

- name: Read variables
  ansible.builtin.include_vars: {file: "{{ inventory_dir }}/vars/more.yml"}

- name: Render a template that includes another
  ansible.builtin.template: {src: "{{ inventory_dir }}/templates/outer.j2", dest: /etc/b, mode: "0644"}

- name: Include a role that a variable names
  ansible.builtin.include_role: {name: "{{ inventory_dir }}/roles/{{ which }}"}

- name: Include tasks from elsewhere
  ansible.builtin.include_tasks: {file: "{{ inventory_dir }}/shared/tasks.yml"}

- name: Use what is in a folder
  ansible.builtin.copy: {content: "{{ lookup('fileglob', inventory_dir ~ '/conf.d/*') }}", dest: /etc/c, mode: "0644"}
"""
TASK = "- name: Write\n  ansible.builtin.copy: {{content: x, dest: /etc/{name}, mode: '0644'}}\n"


@pytest.fixture
def taking(small_chain):
    """A chain whose tier `one` takes files from everywhere."""
    for path, text in {
        "files/motd.txt": "hello\n",
        "files/looked.txt": "looked\n",
        "vars/more.yml": "which: shared\nmore: 1\n",
        "templates/inner.j2": "inner\n",
        "templates/outer.j2": "{% include 'inner.j2' %}\n",
        "roles/shared/tasks/main.yml": TASK.format(name="shared"),
        "shared/tasks.yml": TASK.format(name="tasks"),
        "conf.d/10": "",
    }.items():
        (small_chain.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (small_chain.folder / path).write_text(text)
    small_chain.tier("one", TAKES, parent="base").tier("two", TASK.format(name="two"), parent="one")
    small_chain.tier("other", TASK.format(name="other"), parent="base")
    return small_chain


CHANGES = {
    "conf.d/20": "",
    "files/looked.txt": "other\n",
    "files/motd.txt": "other\n",
    "roles/shared/tasks/main.yml": TASK.format(name="other"),
    "shared/tasks.yml": TASK.format(name="other"),
    "templates/inner.j2": "other\n",
    "vars/more.yml": "which: shared\nmore: 2\n",
}
CHANGED = (
    "one    build  list of files in folder conf.d changed",
    "file files/looked.txt changed",
    "file files/motd.txt changed",
    "role roles/shared changed",
    "file shared/tasks.yml changed",
    "and 2 more files",
    "two    build  parent one is built",
    "other  keep   nothing changed",
)


def test_files_from_elsewhere_make_the_tier_stale_that_took_them(taking):
    taking.build().expect()
    parts = labels.stored_parts(taking.image("one").labels, "one")
    assert elsewhere_names(parts) == (
        "conf.d/",
        "files/looked.txt",
        "files/motd.txt",
        "roles/shared/**",
        "shared/tasks.yml",
        "templates/inner.j2",
        "templates/outer.j2",
        "vars/more.yml",
    )
    assert elsewhere_names(labels.stored_parts(taking.image("two").labels, "two")) == ()
    kept = taking.build("--check").expect().output
    assert kept.count("nothing changed") == len(taking.tiers)

    before = {path: file.read_text() for path in CHANGES if (file := taking.folder / path).exists()}
    for path, text in CHANGES.items():
        (taking.folder / path).write_text(text)
    told = taking.build("--check").expect().output
    for line in CHANGED:
        assert line in told
    (taking.folder / "conf.d/20").unlink()
    for path, text in before.items():
        (taking.folder / path).write_text(text)
    assert taking.build("--check").expect().output.count("nothing changed") == len(taking.tiers)

    # With another file it is another image; going back finds the earlier one.
    (taking.folder / "files/motd.txt").write_text("other\n")
    taking.build().expect()
    assert taking.run("one", "cat", "/etc/motd") == "other\n"
    (taking.folder / "files/motd.txt").write_text(before["files/motd.txt"])
    assert "one    keep   built before as" in taking.build("--check").expect().output

    # Another clone of the project is the same project.
    clone = taking.folder.parent / f"{taking.folder.name} cloned"
    shutil.copytree(taking.folder, clone)
    moved = taking.playbook("build-chain.yml", "-i", str(clone / "chain.yml"), "--check").expect()
    assert "one    keep   built before as" in moved.output
    assert "other  keep   nothing changed" in moved.output


class Site(http.server.BaseHTTPRequestHandler):
    content = b"one"

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    """A web site whose content can be set."""
    handler = type("Handler", (Site,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.once
def test_an_outside_input_makes_its_tier_stale(small_chain, site, tmp_path):
    address = f"http://127.0.0.1:{site.server_port}/key.asc"
    small_chain.tier("one", TASK.format(name="one"), parent="base")
    small_chain.tier("two", TASK.format(name="two"), parent="base", inputs=[{"url": address}])
    near = {"no_proxy": "127.0.0.1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    small_chain.build(env=near).expect()
    assert "two   keep   nothing changed" in small_chain.build("--check", env=near).expect().output

    site.RequestHandlerClass.content = b"two"
    assert "two   keep   nothing changed" in small_chain.build("--check", env=near).expect().output
    asked = ("--check", "-e", "tier_inputs_max_age=0")
    told = small_chain.build(*asked, env=near).expect().output
    assert "one   keep   nothing changed" in told
    assert "two   build  outside input url 127.0.0.1/key.asc changed" in told

    site.RequestHandlerClass.content = b"one"
    small_chain.build(*asked, env=near).expect()
    small_chain.tiers["two"]["tier_inputs"] = [{"url": "http://127.0.0.1:1/key.asc"}]
    unknown = small_chain.build("--check", env=near).expect(2)
    assert "tier 'two': tier_inputs names 127.0.0.1/key.asc, which does not answer" in unknown.message
    assert "set tier_inputs_pin" in unknown.message
    pinned = small_chain.build("--check", "-e", "tier_inputs_pin=2026-11-01", env=near).expect().output
    assert "tier_inputs_pin is now 2026-11-01" in pinned


EDITS = [
    ("wordpress", ["wordpress"]),
    ("httpd_php", ["httpd-php", "wordpress"]),
    ("mariadb", ["mariadb"]),
    ("corebuild", ["corebuild", "httpd-php", "mariadb", "wordpress"]),
]


@pytest.fixture(scope="module")
def clone(demo, tmp_path_factory):  # noqa: ARG001 - it is built when this looks at it
    """Another clone of this project."""
    folder = tmp_path_factory.mktemp("clone") / "tierwright"
    left = shutil.ignore_patterns(".git", ".venv", ".nox", ".*_cache", ".hypothesis", ".ansible", "dist", "__pycache__")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=left)
    return folder


@pytest.mark.once
@pytest.mark.parametrize(("role", "stale"), EDITS, ids=[role for role, _ in EDITS])
def test_one_line_of_a_demo_role_makes_its_branch_stale(clone, playbook, role, stale):
    tasks = clone / f"roles/{role}/tasks/main.yml"
    before = tasks.read_text()
    tasks.write_text(before + "# one more line\n")
    try:
        told = playbook("build-chain.yml", "--check", cwd=clone).expect().output
    finally:
        tasks.write_text(before)
    actions = dict(line.split()[:2] for line in told.splitlines() if line.split()[:1] and line.split()[0] in DEMO)
    assert {tier: action for tier, action in actions.items() if action == "build"} == dict.fromkeys(stale, "build")
    assert set(actions) == set(DEMO)
    assert f"role {role}/tasks/main.yml changed" in told


@pytest.mark.once
def test_the_inventory_can_turn_off_what_the_demo_declares(clone, playbook):
    told = playbook("build-chain.yml", "--check", "-e", '{"tier_inputs": []}', cwd=clone).expect().output
    assert "outside input debian bookworm was removed" in told
    assert "outside input debian bookworm-security was removed" in told


USES = """
- name: Write what the role sees
  ansible.builtin.copy:
    dest: /etc/seen
    mode: "0644"
    content: |
      {{ one_from_environment }}
      {{ hostvars['other'].other_setting }}
      {{ group_names }}
      {{ lookup('config', 'DEFAULT_TIMEOUT') }}
      {{ ansible_user_note }}
      {{ 'a' | doubled }}

- name: Render a template
  ansible.builtin.template: {src: managed.j2, dest: /etc/managed, mode: "0644"}

- name: Use what nobody can look at
  ansible.builtin.copy: {content: "{{ now() }} {{ lookup('pipe', 'date') }}", dest: /etc/moment, mode: "0644"}
"""
FILTER = "class FilterModule:\n    def filters(self):\n        return {'doubled': lambda text: text * %d}\n"


@pytest.fixture
def using(small_chain):
    """A chain whose tier `one` uses what no file of its role shows."""
    for path, text in {
        "roles/one/defaults/main.yml": "one_from_environment: \"{{ lookup('env', 'TW_TEST_VALUE') }}\"\n",
        "roles/one/templates/managed.j2": "# {{ ansible_managed }}\n",
        "filter_plugins/doubled.py": FILTER % 2,
        "play.yml": f"- import_playbook: {ROOT}/build-chain.yml\n",
    }.items():
        (small_chain.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (small_chain.folder / path).write_text(text)
    small_chain.tier("one", USES, parent="base", protects=["/etc/seen"])
    small_chain.tier("other", TASK.format(name="other"), parent="base")
    small_chain.tiers["one"]["ansible_user_note"] = "a"
    small_chain.tiers["other"]["other_setting"] = 1
    return small_chain


def test_what_a_role_uses_and_no_file_shows_makes_its_tier_stale(using):
    play, env = str(using.folder / "play.yml"), {"TW_TEST_VALUE": "a", "ANSIBLE_FILTER_PLUGINS": ""}
    env["ANSIBLE_FILTER_PLUGINS"] = str(using.folder / "filter_plugins")

    def plan(**changed):
        said = using.build("--check", playbook=play, env={**env, **changed}).expect().output
        return said.partition("TASK [Check every tier")[2].partition("\nok: ")[0]

    told = using.build(playbook=play, env=env).expect().output
    assert "one: not looked at, so a change does not make the tier stale: lookup pipe, now()" in told
    kept = plan()
    assert kept.count("nothing changed") == len(using.tiers), kept
    assert "not looked at: lookup pipe, now()" in kept

    told = plan(TW_TEST_VALUE="b", ANSIBLE_TIMEOUT="77")
    assert "environment variable TW_TEST_VALUE changed" in told
    assert "setting of Ansible DEFAULT_TIMEOUT changed" in told
    assert "other  keep   nothing changed" in told

    using.tiers["one"]["ansible_user_note"] = "b"
    using.tiers["other"]["other_setting"] = 2
    (using.folder / "filter_plugins/doubled.py").write_text(FILTER % 3)
    using.tiers["one"]["ansible_managed"] = "by somebody"
    told = plan()
    for line in (
        "variable other_setting of other changed",
        "variable ansible_user_note changed",
        "variable ansible_managed changed",
        "plugin filter_plugins/doubled.py changed",
    ):
        assert line in told, told
    assert "group_names" not in told


DEAF = f"""
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "deaf"

    def v2_playbook_on_start(self, playbook):
        from {TemplateRecorder.__module__} import TemplateRecorder
        TemplateRecorder._record_variable = lambda self, name: None
"""


def test_nothing_is_built_where_what_a_role_uses_cannot_be_recorded(small_chain):
    (small_chain.folder / "plugins").mkdir()
    (small_chain.folder / "plugins/deaf.py").write_text(DEAF)
    small_chain.tier("one", TASK.format(name="one"), parent="base", image=f"{small_chain.name}/one")
    env = {"ANSIBLE_CALLBACK_PLUGINS": str(small_chain.folder / "plugins"), "ANSIBLE_CALLBACKS_ENABLED": "deaf"}
    failed = small_chain.build(env=env).expect(2)
    assert "is not built, because the inputs of its role cannot be recorded" in failed.message
    assert "{{ group_names }} is not recorded" in failed.message
    assert "TASK [Gather facts]" not in failed.output
    assert not small_chain.released("one")
