# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright init``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..project import outline as checks
from ..project.outline import NewTier, Outline

if TYPE_CHECKING:
    from ..chain.tier import Bootstrap, Follow, Pull

# `tierwright --help` imports all verbs, and templates need YAML. So functions import what they need.

_ORIGINS = ("debian", "image", "followed")
_SYSTEMS = ("github", "gitlab", "jenkins", "tekton", "none")

#: What an empty line answers.
_SUITE, _TAG, _TEAM, _BASE = "trixie", "latest", "operations", "base"
_TIERS = ("core:{base}", "app:core:development")


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--name", metavar="CHAIN", help="The name of the chain; by default that of the folder.")
@click.option("--from", "origin", type=click.Choice(_ORIGINS), help="What the base is made from; by default debian.")
@click.option("--suite", help=f"With --from debian: the code name of the release; by default {_SUITE}.")
@click.option("--image", help="With --from image: NAME@sha256:…. With --from followed: HOST/NAME in a registry.")
@click.option("--tag", help=f"With --from followed: the tag that its team moves; by default {_TAG}.")
@click.option("--base", metavar="NAME[:TEAM]", help="The name of the base, and its team.")
@click.option("--team", help=f"The team of tiers for which no other is named; by default {_TEAM}.")
@click.option("--tier", "tiers", multiple=True, metavar="NAME:PARENT[:TEAM]", help="A tier; can be repeated.")
@click.option("--registry", metavar="HOST/PATH", help="Where images are published; by default, they stay here.")
@click.option("--ci", type=click.Choice(_SYSTEMS), help="The CI system to write a pipeline for; by default none.")
@click.option("--defaults", is_flag=True, help="Ask nothing, also on a terminal.")
def verb(folder: Path, *, defaults: bool, **options: Any) -> None:
    """Write a new project to FOLDER: a chain with its inventory, roles, tests and settings.

    On a terminal, it asks for what no option says. No file is overwritten: if one exists, nothing is written.

    \b
    Example:
      tierwright init shop --from debian --suite bookworm --team operations \\
        --tier core:base --tier web:core:middleware --ci gitlab
    """  # noqa: D301 - click reads the character
    asks = not defaults and sys.stdin.isatty() and sys.stdout.isatty()
    outline = _read(folder.absolute(), options, _ask if asks else _take_default)
    make_files, write = (
        getattr(importlib.import_module(f"..project.{module}", __package__), name)
        for module, name in (("project_files", "project_files"), ("new_files", "write_new"))
    )
    written = write(folder, make_files(outline))
    click.echo(f"{folder}: {len(written)} files of the chain {outline.chain}, {len(outline.tiers) + 1} tiers")
    click.echo("next:")
    for command in _next_steps(folder, options["origin"]):
        click.echo(f"  {command}")


#: Answers a question: its text, its default, and a check that returns what is wrong with an answer.
_Answer = Callable[[str, str, Callable[[str], str | None]], str]


def _ask(question: str, default: str, problem: Callable[[str], str | None]) -> str:
    def check(text: str) -> str:
        if (wrong := problem(text)) is not None:
            raise click.BadParameter(wrong)
        return text

    return str(click.prompt(question, default=default or None, value_proc=check, show_default=bool(default)))


def _take_default(_question: str, default: str, _problem: Callable[[str], str | None]) -> str:
    return default


def _right(_text: str) -> str | None:
    return None


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str | None]:
    return lambda text: None if text in choices else f"{text!r} is none of {', '.join(choices)}"


def _read(folder: Path, options: dict[str, Any], answer: _Answer) -> Outline:
    """Make the outline of the project from the options, and from answers where options are missing."""
    chain = options["name"] or answer("Name of the chain", checks.default_name(folder) or "", checks.chain_problem)
    if not chain:
        raise UsageError(f"the folder {folder} gives no name for the chain; name it: --name shop")
    options["origin"] = origin = options["origin"] or answer(
        f"What is the base made from ({', '.join(_ORIGINS)})", "debian", _one_of(_ORIGINS)
    )
    _check_options(origin, options)
    source = _read_source(origin, options, answer)
    team = options["team"] or answer("Team that owns the base", _TEAM, checks.team_problem)
    name = options["image"].rpartition("/")[2] if origin == "followed" else _BASE
    base = options["base"] or answer("Name of the base", name, lambda text: checks.base_problem(text.partition(":")[0]))
    base, base_team = checks.read_base(base, team)
    tiers = _read_tiers(options, base, team, answer)
    registry = options["registry"]
    if registry is None and answer is _ask:
        registry = answer("Registry to publish in, or - for none", "-", _registry_problem)
    registry = None if registry in {None, "-"} else registry
    ci = options["ci"] or answer(f"CI system ({', '.join(_SYSTEMS)})", "none", _one_of(_SYSTEMS))
    return Outline(chain, base, source, base_team, tiers, registry, None if ci == "none" else ci)


def _registry_problem(text: str) -> str | None:
    return None if text == "-" else checks.registry_problem(text)


def _check_options(origin: str, options: dict[str, Any]) -> None:
    """Reject options that belong to another origin, instead of ignoring them."""
    for option, origins in {"suite": {"debian"}, "image": {"image", "followed"}, "tag": {"followed"}}.items():
        if options[option] is not None and origin not in origins:
            raise UsageError(f"--{option} has no meaning with --from {origin}; it belongs to {' and '.join(origins)}")


def _read_source(origin: str, options: dict[str, Any], answer: _Answer) -> Bootstrap | Pull | Follow:
    tier = importlib.import_module("..chain.tier", __package__)
    make: Callable[..., Bootstrap | Pull | Follow]
    make = {"debian": tier.Bootstrap, "image": tier.Pull, "followed": tier.Follow}[origin]
    name, question, default = {
        "debian": ("suite", "Release of Debian", _SUITE),
        "image": ("image", "Image, NAME@sha256:…", ""),
        "followed": ("image", "Image in a registry, HOST/NAME", ""),
    }[origin]
    options[name] = options[name] or answer(question, default, lambda text: checks.source_problem(make(text)))
    if not options[name]:
        raise UsageError(f"--from {origin} needs --{name}")
    if origin != "followed":
        return make(options[name])
    options["tag"] = options["tag"] or answer("Tag that its team moves", _TAG, _right)
    return make(options[name], options["tag"])


def _read_tiers(options: dict[str, Any], base: str, team: str, answer: _Answer) -> tuple[NewTier, ...]:
    """Read the tiers of the options, or ask for tiers until the answer is empty."""
    if options["tiers"]:
        return tuple(checks.read_new_tier(text, team) for text in options["tiers"])
    if answer is not _ask:
        return tuple(checks.read_new_tier(text.format(base=base), team) for text in _TIERS)
    known = {base}
    found: list[NewTier] = []

    def problem(text: str) -> str | None:
        if text == "-":
            return None
        try:
            tier = checks.read_new_tier(text, team)
        except UsageError as error:
            return str(error)
        if tier.parent not in known:
            return f"there is no tier {tier.parent!r} yet; there are {', '.join(sorted(known))}"
        taken = f"there is a tier {tier.name!r} already" if tier.name in known else None
        return taken or checks.tier_problem(tier.name) or checks.team_problem(tier.team)

    while (
        text := answer("Tier NAME:PARENT[:TEAM], or - for no more", "-" if found else f"core:{base}", problem)
    ) != "-":
        found.append(checks.read_new_tier(text, team))
        known.add(found[-1].name)
    return tuple(found)


def _next_steps(folder: Path, origin: str) -> list[str]:
    change = [] if folder.resolve() == Path.cwd() else [f"cd {folder}"]
    update = ["tierwright update"] if origin == "followed" else []
    return [*change, "tierwright doctor", *update, "ansible-playbook build-chain.yml"]
