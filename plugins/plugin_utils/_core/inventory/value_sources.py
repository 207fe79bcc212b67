# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a value may come from: tables, and reads of the environment.

Where a value that a role uses may come from, and what is done about each: the tables of ``docs/inputs.md``.

Hears which variables of the controller's environment a plugin reads.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType

import ansible

from ..build_key.parts import ENVIRONMENT, UNSEEN

#: What says how Ansible connects, and what Molecule puts into its inventories: no part of the key unless it is read.
PREFIXES = ("ansible_", "molecule_")

#: Set by Ansible itself, besides what begins with ``ansible_``.
MAGIC = frozenset(
    {
        "environment",
        "group_names",
        "groups",
        "hostvars",
        "inventory_dir",
        "inventory_file",
        "inventory_hostname",
        "inventory_hostname_short",
        "omit",
        "play_hosts",
        "playbook_dir",
        "role_names",
        "vars",
    }
)

#: Variables with the names of folders and files; they count by their place in the project.
PATHS = frozenset({"inventory_dir", "inventory_file", "playbook_dir"})

#: Variables of the run itself. The next run may have others for the same content, so they cannot be in a key.
OF_THE_RUN = frozenset(
    {
        "ansible_config_file",
        "ansible_diff_mode",
        "ansible_forks",
        "ansible_inventory_sources",
        "ansible_limit",
        "ansible_play_batch",
        "ansible_play_hosts",
        "ansible_play_hosts_all",
        "ansible_playbook_python",
        "ansible_verbosity",
        "play_hosts",
        "role_uuid",
    }
)

#: Variables that are the same whenever the key is: by the tier's name, the role's files, or choices in the key.
FIXED = frozenset(
    {
        "ansible_check_mode",  # nothing is built with --check
        "ansible_collection_name",
        "ansible_connection",
        "ansible_dependent_role_names",
        "ansible_facts",
        "ansible_loop",
        "ansible_loop_var",
        "ansible_index_var",
        "ansible_parent_role_names",
        "ansible_parent_role_paths",
        "ansible_play_name",
        "ansible_play_role_names",
        "ansible_python3_interpreter",
        "ansible_python_interpreter",
        "ansible_remote_tmp",
        "ansible_role_name",
        "ansible_role_names",
        "ansible_run_tags",
        "ansible_search_path",
        "ansible_skip_tags",
        "environment",
        "hostvars",
        "inventory_hostname",
        "inventory_hostname_short",
        "omit",
        "role_name",
        "role_names",
        "role_path",
        "vars",
    }
)

#: Lookups whose results follow from their terms, or from files and variables that are heard.
FOLLOWED_LOOKUPS = frozenset(
    {
        *("config", "csvfile", "dict", "env", "file", "fileglob", "first_found", "indexed_items", "ini"),
        *("inventory_hostnames", "items", "list", "nested", "sequence", "subelements", "template", "together"),
        *("unvault", "varnames", "vars"),
    }
)

#: Facts of the machine that builds, of the moment, or of the build container, and not of what is in the image.
MACHINE_FACTS = frozenset(
    {
        *("all_ipv4_addresses", "all_ipv6_addresses", "apparmor", "bios_date", "bios_vendor", "bios_version"),
        *("board_asset_tag", "board_name", "board_serial", "board_vendor", "board_version", "chassis_asset_tag"),
        *("chassis_serial", "chassis_vendor", "chassis_version", "cmdline", "date_time", "default_ipv4"),
        *("default_ipv6", "device_links", "devices", "dns", "domain", "env", "fips", "form_factor", "fqdn"),
        *("hostname", "hostnqn", "interfaces", "iscsi_iqn", "is_chroot", "kernel", "kernel_version", "loadavg"),
        *("locally_reachable_ips", "lvm", "machine", "machine_id", "memfree_mb", "memory_mb", "memtotal_mb"),
        *("mounts", "nodename", "numa_nodes", "proc_cmdline", "processor", "processor_cores", "processor_count"),
        *("processor_nproc", "processor_threads_per_core", "processor_vcpus", "product_name", "product_serial"),
        *("product_uuid", "product_version", "real_group_id", "real_user_id", "selinux", "ssh_host_key_dsa_public"),
        *("ssh_host_key_ecdsa_public", "ssh_host_key_ed25519_public", "ssh_host_key_rsa_public", "swapfree_mb"),
        *("swaptotal_mb", "system_vendor", "systemd", "uptime_seconds", "virtualization_role"),
        *("virtualization_tech_guest", "virtualization_tech_host", "virtualization_type"),
    }
) - {"machine", "real_group_id", "real_user_id", "systemd", "is_chroot"}

#: Filters that give something else each time, unless an argument (by name, or by its place) fixes the result.
RANDOM_FILTERS = {
    "password_hash": ("salt", 3),
    "random": ("seed", None),
    "shuffle": ("seed", None),
    "strftime": ("second", 2),
    "vault": ("salt", 3),
}

#: Tests that look at a path of the controller.
PATH_TESTS = frozenset(
    {
        *("directory", "exists", "file", "is_dir", "is_file", "is_link", "is_mount", "is_same_file", "link"),
        *("link_exists", "mount", "same_file"),
    }
)

#: Settings of Ansible that decide what values and templates come out as. They are in the key where they are not the
#: default.
SETTINGS = (
    "ALLOW_BROKEN_CONDITIONALS",
    "ALLOW_EMBEDDED_TEMPLATES",
    "DEFAULT_ALLOW_UNSAFE_LOOKUPS",
    "DEFAULT_BECOME",
    "DEFAULT_BECOME_METHOD",
    "DEFAULT_BECOME_USER",
    "DEFAULT_EXECUTABLE",
    "DEFAULT_FORCE_HANDLERS",
    "DEFAULT_HASH_BEHAVIOUR",
    "DEFAULT_JINJA2_EXTENSIONS",
    "DEFAULT_JINJA2_NATIVE",
    "DEFAULT_NULL_REPRESENTATION",
    "DEFAULT_PRIVATE_ROLE_VARS",
    "DEFAULT_UNDEFINED_VAR_BEHAVIOR",
    "FACTS_MODULES",
    "INJECT_FACTS_AS_VARS",
    "PLAYBOOK_VARS_ROOT",
    "STRING_TYPE_FILTERS",
    "YAML_FILENAME_EXTENSIONS",
)

#: Where users keep plugins: the setting that names folders, and the folder beside a playbook.
PLUGINS = {
    "DEFAULT_ACTION_PLUGIN_PATH": "action_plugins",
    "DEFAULT_FILTER_PLUGIN_PATH": "filter_plugins",
    "DEFAULT_LOOKUP_PLUGIN_PATH": "lookup_plugins",
    "DEFAULT_MODULE_PATH": "library",
    "DEFAULT_MODULE_UTILS_PATH": "module_utils",
    "DEFAULT_TEST_PLUGIN_PATH": "test_plugins",
}

#: Modules that fetch something: told of a tier that does not declare it in ``tier_inputs``.
FETCHING = frozenset(
    {
        *("apk", "apt", "apt_key", "apt_repository", "bower", "composer", "cpanm", "deb822_repository", "dnf", "dnf5"),
        *(
            "flatpak",
            "gem",
            "get_url",
            "git",
            "maven_artifact",
            "npm",
            "package",
            "pip",
            "rpm_key",
            "snap",
            "subversion",
        ),
        *("uri", "yarn", "yum", "yum_repository", "zypper"),
    }
)


#: Takes kind and name of something that was read.
Note = Callable[[str, str], None]

_ANSIBLE = Path(ansible.__file__).parent
#: What of Ansible reads the environment for a role: plugins of templates, and ``~`` and ``$NAME`` in paths.
_FOR_ROLES = tuple(
    # The filter expandvars is a function of Python's, and shows by what it is wrapped in.
    str(_ANSIBLE / name)
    for name in ("plugins/lookup/", "plugins/filter/", "plugins/test/", "utils/unicode.py")
)
_PATHS = str(_ANSIBLE / "utils/path.py")
#: Code that hands a question on for somebody else.
_BETWEEN = tuple(str(Path(os.__file__).parent / name) for name in ("os.py", "posixpath.py", "_collections_abc.py"))
_COLLECTIONS = f"{os.sep}ansible_collections{os.sep}"
_OURS = str(Path(__file__).resolve().parents[4])
#: Where a person's home is does not decide what a role makes of a path in it: that file is heard.
_HOME = "HOME"


class Environment(os._Environ):  # type: ignore[type-arg]  # noqa: SLF001 - it has no other name
    """``os.environ`` that says what is read. It is the same object: programs keep references to it."""

    #: Set by :func:`hear_environment`, for the one environment that there is.
    note: Note | None = None
    whole: CodeType | None = None

    def __getitem__(self, name: str) -> str:
        code = _reader()
        if code is not None and code is not Environment.whole and not (name == _HOME and _is(code, _PATHS)):
            _tell(ENVIRONMENT, str(name))
        return super().__getitem__(name)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        # Who copies all of it gets more than anybody can follow: every variable of a shell would count.
        code = _reader()
        if code is not None:
            Environment.whole = code
            _tell(UNSEEN, f"the whole environment of the controller ({Path(code.co_filename).name})")
        return super().__iter__()


def hear_environment(note: Note) -> Callable[[], None]:
    """Begin to hear; call the result to stop."""
    before = os.environ.__class__
    Environment.note = staticmethod(note)
    os.environ.__class__ = Environment

    def stop() -> None:
        Environment.note = None
        os.environ.__class__ = before

    return stop


def _tell(kind: str, name: str) -> None:
    if Environment.note is not None:
        Environment.note(kind, name)


def _reader() -> CodeType | None:
    """The code that wants to know, if it is a plugin's; what Ansible and Python read for themselves does not count."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the only way to know
    while frame is not None and (_is(frame.f_code, *_BETWEEN) or frame.f_code.co_filename.startswith("<frozen")):
        frame = frame.f_back
    if frame is None:
        return None
    file = frame.f_code.co_filename
    if file == _PATHS or file.startswith(_FOR_ROLES):
        return frame.f_code
    if file.startswith(("<", _OURS, str(_ANSIBLE), *_own_paths())) and _COLLECTIONS not in file:
        return None
    return None if f"{_COLLECTIONS}tierwright{os.sep}" in file else frame.f_code


def _own_paths() -> tuple[str, ...]:
    return _OWN_PATHS


def _is(code: CodeType, *files: str) -> bool:
    return code.co_filename in files


_OWN_PATHS = tuple({f"{path}{os.sep}" for path in sysconfig.get_paths().values() if path})
