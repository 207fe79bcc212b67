"""What makes a tier stale, on a real engine: files outside its role, outside inputs, and the roles of the demo."""

from __future__ import annotations

import http.server
import shutil
import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import elsewhere_names
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.template_usage import TemplateRecorder

from .conftest import DEMO, ROOT

READ_FILES = """
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
def file_chain(small_chain):
    """A chain whose tier `one` reads files from many places."""
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
    small_chain.tier("one", READ_FILES, parent="base").tier("two", TASK.format(name="two"), parent="one")
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


def test_files_outside_the_role_make_its_tier_stale(file_chain):
    file_chain.build().expect()
    parts = labels.stored_parts(file_chain.image("one").labels, "one")
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
    assert elsewhere_names(labels.stored_parts(file_chain.image("two").labels, "two")) == ()
    output = file_chain.build("--check").expect().output
    assert output.count("nothing changed") == len(file_chain.tiers)

    before = {path: file.read_text() for path in CHANGES if (file := file_chain.folder / path).exists()}
    for path, text in CHANGES.items():
        (file_chain.folder / path).write_text(text)
    output = file_chain.build("--check").expect().output
    for line in CHANGED:
        assert line in output
    (file_chain.folder / "conf.d/20").unlink()
    for path, text in before.items():
        (file_chain.folder / path).write_text(text)
    assert file_chain.build("--check").expect().output.count("nothing changed") == len(file_chain.tiers)

    # Different content gives a different image; the old content finds the earlier image again.
    (file_chain.folder / "files/motd.txt").write_text("other\n")
    file_chain.build().expect()
    assert file_chain.run("one", "cat", "/etc/motd") == "other\n"
    (file_chain.folder / "files/motd.txt").write_text(before["files/motd.txt"])
    assert "one    keep   built before as" in file_chain.build("--check").expect().output

    # A second clone is the same project.
    clone = file_chain.folder.parent / f"{file_chain.folder.name} cloned"
    shutil.copytree(file_chain.folder, clone)
    moved = file_chain.playbook("build-chain.yml", "-i", str(clone / "chain.yml"), "--check").expect()
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
    """A web site with content that a test can change."""
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
    env = {"no_proxy": "127.0.0.1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    small_chain.build(env=env).expect()
    assert "two   keep   nothing changed" in small_chain.build("--check", env=env).expect().output

    site.RequestHandlerClass.content = b"two"
    assert "two   keep   nothing changed" in small_chain.build("--check", env=env).expect().output
    check_inputs = ("--check", "-e", "tier_inputs_max_age=0")
    output = small_chain.build(*check_inputs, env=env).expect().output
    assert "one   keep   nothing changed" in output
    assert "two   build  outside input url 127.0.0.1/key.asc changed" in output

    site.RequestHandlerClass.content = b"one"
    small_chain.build(*check_inputs, env=env).expect()
    small_chain.tiers["two"]["tier_inputs"] = [{"url": "http://127.0.0.1:1/key.asc"}]
    failed = small_chain.build("--check", env=env).expect(2)
    assert "tier 'two': tier_inputs names 127.0.0.1/key.asc, which does not answer" in failed.message
    assert "set tier_inputs_pin" in failed.message
    output = small_chain.build("--check", "-e", "tier_inputs_pin=2026-11-01", env=env).expect().output
    assert "tier_inputs_pin is now 2026-11-01" in output


EDITS = [
    ("wordpress", ["wordpress"]),
    ("httpd_php", ["httpd-php", "wordpress"]),
    ("mariadb", ["mariadb"]),
    ("haproxy", ["haproxy"]),
    ("corebuild", ["corebuild", "httpd-php", "mariadb", "haproxy", "wordpress"]),
]


@pytest.fixture(scope="module")
def clone(demo, tmp_path_factory):  # noqa: ARG001 - it must be built before
    """A second clone of this project."""
    folder = tmp_path_factory.mktemp("clone") / "tierwright"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".nox", ".*_cache", ".hypothesis", ".ansible", "dist", "__pycache__"
    )
    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
    return folder


@pytest.mark.once
@pytest.mark.parametrize(("role", "stale"), EDITS, ids=[role for role, _ in EDITS])
def test_one_line_of_a_demo_role_makes_its_branch_stale(clone, playbook, role, stale):
    tasks = clone / f"roles/{role}/tasks/main.yml"
    before = tasks.read_text()
    tasks.write_text(before + "# one more line\n")
    try:
        output = playbook("build-chain.yml", "--check", cwd=clone).expect().output
    finally:
        tasks.write_text(before)
    actions = dict(line.split()[:2] for line in output.splitlines() if line.split()[:1] and line.split()[0] in DEMO)
    assert {tier: action for tier, action in actions.items() if action == "build"} == dict.fromkeys(stale, "build")
    assert set(actions) == set(DEMO)
    assert f"role {role}/tasks/main.yml changed" in output


@pytest.mark.once
def test_the_inventory_can_override_the_outside_inputs_of_the_demo(clone, playbook):
    output = playbook("build-chain.yml", "--check", "-e", '{"tier_inputs": []}', cwd=clone).expect().output
    assert "outside input debian bookworm was removed" in output
    assert "outside input debian bookworm-security was removed" in output


USE_VARIABLES = """
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
def variable_chain(small_chain):
    """A chain whose tier `one` depends on more than the files of its role."""
    for path, text in {
        "roles/one/defaults/main.yml": "one_from_environment: \"{{ lookup('env', 'TW_TEST_VALUE') }}\"\n",
        "roles/one/templates/managed.j2": "# {{ ansible_managed }}\n",
        "filter_plugins/doubled.py": FILTER % 2,
        "play.yml": f"- import_playbook: {ROOT}/build-chain.yml\n",
    }.items():
        (small_chain.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (small_chain.folder / path).write_text(text)
    small_chain.tier("one", USE_VARIABLES, parent="base", protects=["/etc/seen"])
    small_chain.tier("other", TASK.format(name="other"), parent="base")
    small_chain.tiers["one"]["ansible_user_note"] = "a"
    small_chain.tiers["other"]["other_setting"] = 1
    return small_chain


def test_inputs_that_are_not_files_make_the_tier_stale(variable_chain):
    play, env = str(variable_chain.folder / "play.yml"), {"TW_TEST_VALUE": "a", "ANSIBLE_FILTER_PLUGINS": ""}
    env["ANSIBLE_FILTER_PLUGINS"] = str(variable_chain.folder / "filter_plugins")

    def plan(**changed):
        output = variable_chain.build("--check", playbook=play, env={**env, **changed}).expect().output
        return output.partition("TASK [Check every tier")[2].partition("\nok: ")[0]

    output = variable_chain.build(playbook=play, env=env).expect().output
    assert "one: not looked at, so a change does not make the tier stale: lookup pipe, now()" in output
    output = plan()
    assert output.count("nothing changed") == len(variable_chain.tiers), output
    assert "not looked at: lookup pipe, now()" in output

    output = plan(TW_TEST_VALUE="b", ANSIBLE_TIMEOUT="77")
    assert "environment variable TW_TEST_VALUE changed" in output
    assert "setting of Ansible DEFAULT_TIMEOUT changed" in output
    assert "other  keep   nothing changed" in output

    variable_chain.tiers["one"]["ansible_user_note"] = "b"
    variable_chain.tiers["other"]["other_setting"] = 2
    (variable_chain.folder / "filter_plugins/doubled.py").write_text(FILTER % 3)
    variable_chain.tiers["one"]["ansible_managed"] = "by somebody"
    output = plan()
    for line in (
        "variable other_setting of other changed",
        "variable ansible_user_note changed",
        "variable ansible_managed changed",
        "plugin filter_plugins/doubled.py changed",
    ):
        assert line in output, output
    assert "group_names" not in output


DEAF = f"""
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "deaf"

    def v2_playbook_on_start(self, playbook):
        from {TemplateRecorder.__module__} import TemplateRecorder
        TemplateRecorder._record_variable = lambda self, name: None
"""


def test_no_tier_is_built_if_its_inputs_cannot_be_recorded(small_chain):
    (small_chain.folder / "plugins").mkdir()
    (small_chain.folder / "plugins/deaf.py").write_text(DEAF)
    small_chain.tier("one", TASK.format(name="one"), parent="base", image=f"{small_chain.name}/one")
    env = {"ANSIBLE_CALLBACK_PLUGINS": str(small_chain.folder / "plugins"), "ANSIBLE_CALLBACKS_ENABLED": "deaf"}
    failed = small_chain.build(env=env).expect(2)
    assert "is not built, because the inputs of its role cannot be recorded" in failed.message
    assert "{{ group_names }} is not recorded" in failed.message
    assert "TASK [Gather facts]" not in failed.output
    assert not small_chain.released("one")
