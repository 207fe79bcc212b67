"""The documentation of the command names every verb, option, schema and exit code."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright

DOCS = Path(__file__).parents[3] / "docs"
#: Verbs that have no --json: they write files or a document, show the output of a playbook, or are groups of verbs.
WITHOUT_ANSWER = (
    *("init", "new", "ci", "shell", "resume", "discard", "test", "molecule"),
    *("sbom", "try-candidate", "watch", "keys", "policy", "sign", "records"),
)


@pytest.mark.parametrize("name", [*schemas.ANSWERS, *schemas.OTHERS, *schemas.FILES])
def test_the_documented_schemas_match_the_code(name):
    assert schemas.path(name).read_text() == schemas.text(name), "run tests/schemas.py"


def test_the_page_lists_all_schemas():
    assert (schemas.FOLDER / "README.md").read_text() == schemas.index(), "run tests/schemas.py"


def test_every_verb_and_option_is_documented():
    page = (DOCS / "command.md").read_text()
    context = click.Context(tierwright)
    assert [*schemas.ANSWERS, *WITHOUT_ANSWER] == sorted(
        tierwright.list_commands(context), key=lambda name: name in WITHOUT_ANSWER
    )
    for name in tierwright.list_commands(context):
        section = page.partition(f"\n## tierwright {name}")[2].partition("\n## ")[0]
        assert section, name
        for parameter in tierwright.get_command(context, name).params:
            if isinstance(parameter, click.Option) and "--json" not in parameter.opts:
                assert parameter.opts[-1] in section, (name, parameter.opts)


def test_exit_codes_are_documented():
    page = (DOCS / "command.md").read_text()
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 141):
        assert f"\n| {code} |" in page
