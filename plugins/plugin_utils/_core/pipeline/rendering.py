# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the pipeline of a chain in the language of a CI system."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment

from ..text_templates import open_templates, render
from .jobs import Job

#: The file of a pipeline in a project, by CI system.
PIPELINE_FILES = {
    "github": ".github/workflows/chain.yml",
    "gitlab": ".gitlab-ci.yml",
    "jenkins": "Jenkinsfile",
    "tekton": ".tekton/chain.yaml",
}

#: A part of each rendered pipeline, which says that it may be replaced.
RENDERED = "Rendered by `tierwright ci "

#: How a job builds: the tiers that it needs come from the shared cache, and what it builds goes there. Who may not
#: write there, such as a pull request from a fork, builds what is missing.
_SHARED = "-e tier_shared_cache=write -e tier_publish=cache"
_ALONE = "-e tier_shared_cache=read"
_BUILD = "ansible-playbook build-chain.yml"
_RESULTS = "-e tier_results=results"

#: Prepares a worker. The playbook installs an engine and mmdebstrap only where they are missing.
_SETUP = (
    "command -v tierwright >/dev/null || python3 -m pip install --requirement requirements.txt",
    "ansible-playbook tierwright.chain.engine",
)


def render_pipeline(system: str, chain: str, jobs: Sequence[Job], hosts: Sequence[str]) -> str:
    """Render a pipeline.

    Args:
        system: The CI system, a key of :data:`PIPELINE_FILES`.
        chain: The name of the chain.
        jobs: The jobs; without any, one job builds the whole chain on one machine.
        hosts: The hosts of the registries of the chain.
    """
    return render(
        _templates(),
        system,
        chain=chain,
        jobs=jobs,
        levels=[
            list(group) for _level, group in groupby(sorted(jobs, key=lambda job: job.level), lambda job: job.level)
        ],
        setup=_SETUP,
        login=_login(hosts),
        build=f"{_BUILD} {_RESULTS}",
        build_tier=f'{_BUILD} --limit "$TIERS" $SHARE {_RESULTS}',
        release=f"{_BUILD} {_ALONE} -e tier_publish=true {_RESULTS}",
    )


def _login(hosts: Sequence[str]) -> list[str]:
    """Return shell commands that choose how the cache is used, and write a login file where there is a password.

    The password is in no argument of a process: printf is a part of the shell. The file ends with the job.
    """
    auths = ",".join(f'"{host}":{{"auth":"%s"}}' for host in hosts)
    words = " ".join(['"$AUTH"'] * len(hosts))
    return [
        'if [ -n "${REGISTRY_PASSWORD:-}" ]; then',
        '  REGISTRY_AUTH_FILE="$(mktemp)"',
        "  export REGISTRY_AUTH_FILE",
        "  trap 'rm -f \"$REGISTRY_AUTH_FILE\"' EXIT",
        '  AUTH="$(printf %s:%s "$REGISTRY_USER" "$REGISTRY_PASSWORD" | base64 | tr -d "[:space:]")"',
        f'  printf \'{{"auths":{{{auths}}}}}\' {words} > "$REGISTRY_AUTH_FILE"',
        "  unset REGISTRY_PASSWORD AUTH",
        f'  SHARE="{_SHARED}"',
        "else",
        f'  SHARE="{_ALONE}"',
        "fi",
    ]


@cache
def _templates() -> Environment:
    return open_templates(Path(__file__).parent / "templates")
