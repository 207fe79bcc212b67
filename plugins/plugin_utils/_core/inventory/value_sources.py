# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the values that a role uses come from: the tables of ``docs/inputs.md``, and reads of environment variables.

:func:`record_environment` records which variables of the controller's environment the plugins of a role read.
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

#: Prefixes of variables that control connections, or that Molecule sets. Such a variable is in the key only if the role
#: reads it.
PREFIXES = ("ansible_", "molecule_")

#: Variables that Ansible sets itself and that do not begin with ``ansible_``.
MAGIC = frozenset(
    {
        "_task",  # since ansible-core 2.21; the keyword `register` reads it
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

#: Variables that contain paths. The key contains the path relative to the project.
PATHS = frozenset({"inventory_dir", "inventory_file", "playbook_dir"})

#: Variables of the run itself. They may differ in the next run although the content is the same. No key contains them.
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

#: Variables that cannot change unless the key changes: the tier's name, the role's files or other parts decide them.
FIXED = frozenset(
    {
        "_task",
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

#: Lookups whose results follow from their terms, or from files and variables that are recorded.
FOLLOWED_LOOKUPS = frozenset(
    {
        *("config", "csvfile", "dict", "env", "file", "fileglob", "first_found", "indexed_items", "ini"),
        *("inventory_hostnames", "items", "list", "nested", "sequence", "subelements", "template", "together"),
        *("unvault", "varnames", "vars"),
    }
)

#: Facts about the building machine, the time or the build container, and not about the content of the image.
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

#: Filters with a random result, and the argument that fixes it: its name, and its position if it has one.
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

#: Settings of Ansible that change the results of variables and templates. The key contains those that differ from the
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

#: Folders of users' plugins: the setting that names them, and the default folder next to a playbook.
PLUGINS = {
    "DEFAULT_ACTION_PLUGIN_PATH": "action_plugins",
    "DEFAULT_FILTER_PLUGIN_PATH": "filter_plugins",
    "DEFAULT_LOOKUP_PLUGIN_PATH": "lookup_plugins",
    "DEFAULT_MODULE_PATH": "library",
    "DEFAULT_MODULE_UTILS_PATH": "module_utils",
    "DEFAULT_TEST_PLUGIN_PATH": "test_plugins",
}

#: Modules that fetch content. A tier that uses one without declaring ``tier_inputs`` gets a note in the plan.
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


#: Records the kind and the name of a source that was read.
RecordUse = Callable[[str, str], None]

_ANSIBLE = Path(ansible.__file__).parent
#: Code of Ansible that reads the environment for a role: plugins of templates, and ``~`` and ``$NAME`` in paths.
_ROLE_CODE = tuple(
    # The filter expandvars is a function of Python itself. The code that wraps it identifies it.
    str(_ANSIBLE / name)
    for name in ("plugins/lookup/", "plugins/filter/", "plugins/test/", "utils/unicode.py")
)
_PATHS = str(_ANSIBLE / "utils/path.py")
#: Code of Python that reads the environment for its caller.
_WRAPPERS = tuple(str(Path(os.__file__).parent / name) for name in ("os.py", "posixpath.py", "_collections_abc.py"))
_COLLECTIONS = f"{os.sep}ansible_collections{os.sep}"
_OWN_CODE = str(Path(__file__).resolve().parents[4])
#: The path of the user's home does not decide the result of a role: the file in it is recorded by itself.
_HOME = "HOME"


class Environment(os._Environ):  # type: ignore[type-arg]  # noqa: SLF001 - there is no public name
    """``os.environ`` that records what is read. It stays the same object, because programs keep references to it."""

    #: Set by :func:`record_environment`. There is one environment, so these are attributes of the class.
    note: RecordUse | None = None
    #: Code that read the whole environment.
    whole: CodeType | None = None

    def __getitem__(self, name: str) -> str:
        code = _reader()
        if code is not None and code is not Environment.whole and not (name == _HOME and _is_in(code, _PATHS)):
            _record(ENVIRONMENT, str(name))
        return super().__getitem__(name)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        # Code that copies the whole environment reads every variable. All of them in the key would make no sense.
        code = _reader()
        if code is not None:
            Environment.whole = code
            _record(UNSEEN, f"the whole environment of the controller ({Path(code.co_filename).name})")
        return super().__iter__()


def record_environment(note: RecordUse) -> Callable[[], None]:
    """Begin to record which environment variables are read.

    Returns:
        A function that ends the recording.
    """
    original_class = os.environ.__class__
    Environment.note = staticmethod(note)
    os.environ.__class__ = Environment

    def stop() -> None:
        Environment.note = None
        os.environ.__class__ = original_class

    return stop


def _record(kind: str, name: str) -> None:
    if Environment.note is not None:
        Environment.note(kind, name)


def _reader() -> CodeType | None:
    """The code of a plugin that reads the environment; ``None`` if Ansible or Python reads it for itself."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the only way to know
    while frame is not None and (_is_in(frame.f_code, *_WRAPPERS) or frame.f_code.co_filename.startswith("<frozen")):
        frame = frame.f_back
    if frame is None:
        return None
    file = frame.f_code.co_filename
    if file == _PATHS or file.startswith(_ROLE_CODE):
        return frame.f_code
    if file.startswith(("<", _OWN_CODE, str(_ANSIBLE), *_own_paths())) and _COLLECTIONS not in file:
        return None
    return None if f"{_COLLECTIONS}tierwright{os.sep}" in file else frame.f_code


def _own_paths() -> tuple[str, ...]:
    return _OWN_PATHS


def _is_in(code: CodeType, *files: str) -> bool:
    return code.co_filename in files


_OWN_PATHS = tuple({f"{path}{os.sep}" for path in sysconfig.get_paths().values() if path})
