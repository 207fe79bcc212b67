# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a value that a role uses may come from, and what is done about each: the tables of ``docs/inputs.md``."""

from __future__ import annotations

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
