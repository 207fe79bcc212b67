# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of a tier, as an Ansible argument specification.

Types, defaults and choices are defined only here. A test compares ``docs/variables.md`` with it.
"""

from __future__ import annotations

from typing import Any

Spec = dict[str, dict[str, Any]]

#: Settings of a tier's image (``tier_config``, or ``<role>_tier_config`` in the role's defaults).
CONFIG_SPEC: Spec = {
    "entrypoint": {"type": "list", "elements": "str"},
    "cmd": {"type": "list", "elements": "str"},
    "user": {"type": "str"},
    "env": {"type": "dict"},
    "working_dir": {"type": "str"},
    "ports": {"type": "list", "elements": "str"},
    "volumes": {"type": "list", "elements": "str"},
    "labels": {"type": "dict"},
    "healthcheck": {
        "type": "dict",
        "options": {
            "test": {"type": "list", "elements": "str", "required": True},
            "interval": {"type": "str"},
            "timeout": {"type": "str"},
            "start_period": {"type": "str"},
            "retries": {"type": "int"},
        },
    },
    "stop_signal": {"type": "str"},
}

#: All variables with the prefix ``tier_`` that describe a tier.
TIER_SPEC: Spec = {
    "tier_parent": {"type": "str"},
    "tier_role": {"type": "str"},
    "tier_roles": {"type": "list", "elements": "str"},
    "tier_team": {"type": "str"},
    "tier_neighbours": {"type": "list", "elements": "str", "default": []},
    "tier_image": {"type": "str"},
    "tier_tag": {"type": "str", "default": "latest"},
    "tier_config": {"type": "dict"},
    "tier_drop": {"type": "list", "elements": "str", "default": []},
    "tier_keep": {"type": "list", "elements": "str", "default": []},
    "tier_protects": {"type": "list", "elements": "str"},
    "tier_source_date_epoch": {"type": "int"},
    "tier_before": {"type": "list", "elements": "str", "default": []},
    "tier_after": {"type": "list", "elements": "str", "default": []},
    "tier_bootstrap": {
        "type": "dict",
        "options": {
            "suite": {"type": "str", "required": True},
            "components": {"type": "list", "elements": "str", "default": ["main"]},
            "packages": {"type": "list", "elements": "str", "default": ["ca-certificates"]},
            "mirror": {"type": "str"},
            "security_mirror": {"type": "str"},
            "suites": {"type": "list", "elements": "str"},
            "keyring": {"type": "str"},
        },
    },
    "tier_import": {
        "type": "dict",
        "options": {
            "archive": {"type": "path", "required": True},
            "checksum": {"type": "str", "required": True},
        },
    },
    "tier_pull": {"type": "str"},
    "tier_follow": {
        "type": "dict",
        "options": {
            "image": {"type": "str", "required": True},
            "tag": {"type": "str", "default": "latest"},
        },
    },
    "tier_inputs": {
        "type": "list",
        "elements": "dict",
        "options": {
            "url": {"type": "str"},
            "checksum": {"type": "str"},
            "file": {"type": "str"},
            "debian": {
                "type": "dict",
                "options": {
                    "suites": {"type": "list", "elements": "str"},
                    "mirror": {"type": "str"},
                    "security_mirror": {"type": "str"},
                },
            },
        },
    },
    "tier_inputs_pin": {"type": "str"},
    "tier_epoch": {"type": "str"},
    "tier_secrets": {"type": "dict", "no_log": True},
    "tier_ssh_agent": {"type": "bool", "default": False},
    "tier_services": {
        "type": "dict",
        "options": {
            "start": {"type": "list", "elements": "str", "default": []},
            "manager": {"type": "str", "choices": ["systemd", "sysvinit"]},
        },
    },
    "tier_cage": {
        "type": "dict",
        "options": {
            "capabilities": {"type": "list", "elements": "str"},
            "memory": {"type": "str"},
            "pids": {"type": "int"},
        },
    },
}

#: Kinds of outside inputs. Each entry of ``tier_inputs`` has exactly one.
INPUTS = ("url", "file", "debian")

#: The variable with the secrets of a build.
SECRETS = "tier_secrets"

#: Length of the shortest secret of a build. Files contain shorter texts by chance, so nothing proves that it is gone.
MIN_SECRET_LENGTH = 6

#: A tier has exactly one of these: a parent, or a source.
ORIGINS = ("tier_parent", "tier_bootstrap", "tier_import", "tier_pull", "tier_follow")

#: The variable that lists other variables of the user with the prefix ``tier_``.
OWN_VARIABLES = "tier_own_variables"

#: How one registry is contacted; an entry of ``tier_registries``.
REGISTRY_SPEC: Spec = {
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "insecure": {"type": "bool"},
    "ca_file": {"type": "path"},
}

#: The value of ``tier_publish`` that publishes only for the shared cache; ``true`` and ``false`` are the others.
PUBLISH_TO_CACHE = "cache"

#: Values of ``tier_shared_cache``: images are only taken from registries, or published for others, too.
CACHE_USES = ("read", "write")

#: Who signs what a tier's team promotes. Their values are secrets: no message has them, and no role may read them.
SIGNING_VARIABLES = ("tier_signing_key", "tier_signing_passphrase", "tier_signing_public_key")

#: Variables that control a run and do not affect the content of a tier.
RUN_VARIABLES = (
    "tier_builder",
    "tier_candidate",
    "tier_chain",
    "tier_consumers",
    "tier_exit_code",
    "tier_force",
    "tier_gather_subset",
    "tier_inputs_max_age",
    "tier_junit_file",
    "tier_keep_failed",
    "tier_keep_releases",
    "tier_lock_timeout",
    "tier_outline_file",
    OWN_VARIABLES,
    "tier_plan_file",
    "tier_policy",
    "tier_policy_keys",
    "tier_profile",
    "tier_proxy",
    "tier_publish",
    "tier_python_interpreter",
    "tier_registries",
    "tier_release",
    "tier_result_file",
    "tier_resume",
    "tier_resume_from",
    "tier_results",
    "tier_shared_cache",
    *SIGNING_VARIABLES,
    "tier_suite",
    "tier_suite_file",
    "tier_test_timeout",
    "tier_try_candidate",
    "tier_update",
    "tier_update_file",
    "tier_variant",
    "tier_verdict_timeout",
    "tier_verdicts",
)
