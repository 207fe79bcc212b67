# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a new project, and of the role of a new tier, as text by path."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment

from ..chain.graph import Chain
from ..chain.tier import Bootstrap, Pull
from ..pipeline.jobs import hosts_of, plan_jobs
from ..pipeline.rendering import PIPELINE_FILES, render_pipeline
from ..product_version import version
from ..text_templates import open_templates, render
from .outline import NewTier, Outline, check_outline, role_of, sort_tiers

#: Text files by their path in the project.
Files = dict[str, str]

#: The inventory of a project.
INVENTORY = "inventory/chain.yml"

_FOLDER = Path(__file__).parent / "templates"

#: The files of a project, by the name of their template.
_PROJECT = {
    "README.md": "README.md",
    "ansible-lint": ".ansible-lint",
    "ansible.cfg": "ansible.cfg",
    "build-chain.yml": "build-chain.yml",
    "chain.yml": INVENTORY,
    "gitignore": ".gitignore",
    "requirements.txt": "requirements.txt",
    "requirements.yml": "requirements.yml",
    "yamllint": ".yamllint",
}

#: The files of a role, by the name of their template.
_ROLE = {
    "README.md": "README.md",
    "argument_specs.yml": "meta/argument_specs.yml",
    "defaults.yml": "defaults/main.yml",
    "meta.yml": "meta/main.yml",
    "molecule.yml": "molecule/default/molecule.yml",
    "tasks.yml": "tasks/main.yml",
    "test_role.py": "tests/test_{role}.py",
}

_UNKNOWN_VERSION = "unknown"
_KINDS = {Bootstrap: "debian", Pull: "image"}


def project_files(outline: Outline) -> Files:
    """Return the files of a new project.

    Args:
        outline: The project.

    Raises:
        ChainError: A name is wrong, or the tiers are no chain.
    """
    chain = check_outline(outline)
    pipeline = _pipeline(outline, chain)
    kind = _KINDS.get(type(outline.source), "followed")
    values = {
        "outline": outline,
        "tiers": sort_tiers(outline),
        "kind": kind,
        "origin": _describe_source(outline),
        "version": "0" if version() == _UNKNOWN_VERSION else version(),
        "ci_file": next(iter(pipeline), None),
    }
    files = {path: render(_templates("project"), name, **values) for name, path in _PROJECT.items()}
    for tier in outline.tiers:
        files |= role_files(tier, is_debian=kind == "debian")
    return files | pipeline


def role_files(tier: NewTier, *, is_debian: bool) -> Files:
    """Return the files of the role of a new tier.

    Args:
        tier: The tier.
        is_debian: Whether the base of its chain comes from Debian's archive, so that a change of the archive can make
            the tier stale.
    """
    # The scenario of Molecule finds its tier by the name of the role, or names it.
    named = tier.role == role_of(tier.name)
    values = {"tier": tier, "role": tier.role, "is_debian": is_debian, "is_named_after_tier": named}
    folder = f"roles/{tier.role}"
    return {
        f"{folder}/{path.format(role=tier.role)}": render(_templates("role"), name, **values)
        for name, path in _ROLE.items()
    }


def _pipeline(outline: Outline, chain: Chain) -> Files:
    if outline.ci is None:
        return {}
    jobs = plan_jobs(chain) if outline.registry else []
    hosts = hosts_of(tier.image for tier in chain)
    return {PIPELINE_FILES[outline.ci]: render_pipeline(outline.ci, outline.chain, jobs, hosts)}


def _describe_source(outline: Outline) -> str:
    source = outline.source
    if isinstance(source, Bootstrap):
        return f"Debian {source.suite}"
    return f"`{source.reference}`"


@cache
def _templates(kind: str) -> Environment:
    return open_templates(_FOLDER / kind)
