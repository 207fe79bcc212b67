"""Commands in the documentation exist: verbs and options of `tierwright`, playbooks, and variables of a run."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_variables import (
    RUN_VARIABLES,
    TIER_SPEC,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from written_steps import Command, steps

#: It tests files of the project, not its behaviour.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "roles/*/README.md", "inventories/*/README.md", "tests/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
#: Words that end a command in a shell.
_ENDS = {"|", "||", "&&", ";", "#", ">", "2>"}
_CODE = re.compile(r"`(tierwright [a-z][^`]*|ansible-playbook [^`]*)`")
_OWN = re.compile(r"tierwright\.chain\.\w+")


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a page, as words: those in blocks, and those in tables and sentences."""
    written = [step.text for step in steps(text) if isinstance(step, Command)]
    for command in [*written, *_CODE.findall(text)]:
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        while words and "=" in words[0] and not words[0].startswith("-"):
            words = words[1:]
        end = next((number for number, word in enumerate(words) if word in _ENDS or "…" in word), len(words))
        yield words[:end]


def problems(words: list[str]) -> Iterator[str]:
    """What a command names that does not exist."""
    match words:
        case ["tierwright", *arguments] if arguments:
            yield from _verb_problems(arguments)
        case ["ansible-playbook", *arguments]:
            yield from _playbook_problems(arguments)


def _verb_problems(arguments: list[str]) -> Iterator[str]:
    command: click.Command = tierwright
    context = click.Context(tierwright, info_name="tierwright", help_option_names=["-h", "--help"])
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        found = command.get_command(context, arguments[0])
        if found is None:
            # A verb in capitals stands for any verb.
            yield from [] if arguments[0].isupper() else [f"the verb {arguments[0]}"]
            return
        command, arguments = found, arguments[1:]
    if command.context_settings.get("ignore_unknown_options"):
        return  # the options are those of another program
    known = {name for option in command.get_params(context) for name in (*option.opts, *option.secondary_opts)}
    for argument in arguments[: arguments.index("--") if "--" in arguments else None]:
        option = argument.partition("=")[0]
        if re.fullmatch(r"--?[a-z][a-z-]*", option) and option not in known:
            yield f"the option {option}"


def _playbook_problems(arguments: list[str]) -> Iterator[str]:
    for word in arguments:
        if word.startswith("playbooks/") or word == "build-chain.yml":
            yield from [] if (ROOT / word).is_file() else [word]
        elif _OWN.fullmatch(word):
            path = ROOT / f"playbooks/{word.rpartition('.')[2]}.yml"
            yield from [] if path.is_file() else [f"the playbook {word}"]
    for option, value in itertools.pairwise(arguments):
        variable = re.match(r"tier_\w+", value)
        if option in {"-e", "--extra-vars"} and variable and variable[0] not in {*RUN_VARIABLES, *TIER_SPEC}:
            yield f"the variable {variable[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documented_commands_exist(page):
    assert [(words, list(problems(words))) for words in commands(page.read_text()) if list(problems(words))] == []


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("tierwright tree --up wordpress", []),
        ("tierwright keys show x.pub --json", []),
        ("tierwright why wordpress --now -- --limit x", []),
        ("tierwright tre", ["the verb tre"]),
        ("tierwright keys forget", ["the verb forget"]),
        ("tierwright tree --sideways", ["the option --sideways"]),
        ("ansible-playbook tierwright.chain.deploy -i site.yml", []),
        ("ansible-playbook playbooks/undo.yml", ["playbooks/undo.yml"]),
        ("ansible-playbook build-chain.yml -e tier_forse=web", ["the variable tier_forse"]),
        ("docker run --rm it", []),
    ],
)
def test_what_does_not_exist_is_found(command, missing):
    (words,) = commands(f"It:\n\n```console\n$ {command}   # a comment\n```\n")
    assert list(problems(words)) == missing
