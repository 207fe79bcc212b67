# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the text files that users get: of a project, of a role, of a pipeline.

The files have expressions in double braces for Ansible and for CI systems. So ours are in double brackets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined


def yaml_word(value: str) -> str:
    """Write a string of one line as a scalar of YAML, with quotes where YAML would read something else."""
    try:
        is_plain = yaml.safe_load(f"- {value}") == [value] and yaml.safe_load(f"{value}: 1") == {value: 1}
    except yaml.YAMLError:
        is_plain = False
    return value if is_plain else json.dumps(value)


def open_templates(folder: Path) -> Environment:
    """Open a folder of templates ``NAME.j2``. An unknown variable in one of them is an error.

    Nothing is escaped for a language: names are checked before, and ``| yaml`` quotes a string where necessary.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no template is HTML
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = yaml_word
    return environment


def render(environment: Environment, name: str, **values: Any) -> str:
    """Render the template ``name`` with values."""
    return environment.get_template(f"{name}.j2").render(values)
