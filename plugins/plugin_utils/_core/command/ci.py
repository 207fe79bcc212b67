# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright ci``."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from ..errors import PlanError, UsageError, describe_error, wrap_errors
from ..local_files import write_shared
from ..plan.playbook_answer import ask
from ..records import decode

#: The playbook of this collection that reads the graph of a chain.
PLAYBOOK = "tierwright.chain.outline"

_SYSTEMS = ("github", "gitlab", "jenkins", "tekton")
_DIFFERENT = 1

# `tierwright --help` imports all verbs, and templates need YAML. So the function imports what it needs.


@click.command()
@click.argument("system", type=click.Choice(_SYSTEMS))
@click.argument("options", nargs=-1, metavar="[-- ANSIBLE-PLAYBOOK OPTIONS]")
@click.option("-i", "--inventory", multiple=True, help="The inventory of the chain.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file, if it is a pipeline or new.")
@click.option("--check", is_flag=True, help="With --output: write nothing; exit with 1 if the file is out of date.")
@click.pass_context
def verb(
    ctx: click.Context,
    system: str,
    options: tuple[str, ...],
    *,
    inventory: tuple[str, ...],
    output: Path | None,
    check: bool,
) -> None:
    """Render the pipeline of a chain for a CI system: each tier is a job, after those that it needs.

    Jobs on different machines hand the tiers to each other through the shared cache in the registry. So tier_image
    must name a registry.

    \b
    Example:
      tierwright ci gitlab --output .gitlab-ci.yml
    """  # noqa: D301 - click reads the character
    if check and output is None:
        raise UsageError("--check compares a file; name it with --output")
    arguments = [*(word for path in inventory for word in ("-i", path)), *options]
    text = ask(PLAYBOOK, "tier_outline_file", arguments, lambda line: click.echo(line, err=True))
    names = ("chain.graph", "chain.outline_record", "pipeline.jobs", "pipeline.rendering")
    graph, record, jobs, rendering = (importlib.import_module(f"..{name}", __package__) for name in names)
    with wrap_errors(f"the answer of ansible-playbook {PLAYBOOK}", PlanError):
        answer = decode(text, record.ChainOutline)
    chain = graph.Chain(answer.tiers)
    hosts = jobs.hosts_of(tier.image for tier in chain)
    rendered = rendering.render_pipeline(system, answer.chain, jobs.plan_jobs(chain), hosts)
    if output is None:
        click.echo(rendered, nl=False)
    elif check:
        if _read(output) != rendered:
            click.echo(f"{output} is out of date; `tierwright ci {system} --output {output}` renders it again")
            ctx.exit(_DIFFERENT)
    else:
        _write(output, rendered, rendering.RENDERED)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {describe_error(error)}") from error


def _write(path: Path, rendered: str, mark: str) -> None:
    before = _read(path)
    if before is not None and mark not in before:
        raise UsageError(f"{path} is not a pipeline that `tierwright ci` rendered, so it is not overwritten")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shared(path, rendered)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {describe_error(error)}") from error
    click.echo(f"{path} is {'up to date' if before == rendered else 'written'}")
