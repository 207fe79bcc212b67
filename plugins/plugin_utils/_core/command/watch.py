# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright watch``."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from ..errors import UsageError

_FAILED = 1
#: Options that would wait for somebody who types a password.
_ASKING = frozenset({"-k", "--ask-pass", "-K", "--ask-become-pass", "-J", "--ask-vault-pass", "--ask-vault-password"})


@click.command()
@click.argument("options", nargs=-1, metavar="[-- ANSIBLE-PLAYBOOK OPTIONS]")
@click.option("-i", "--inventory", multiple=True, help="An inventory to watch; several are joined.")
@click.option("-e", "--extra-vars", multiple=True, help="Variables for all playbooks, as ansible-playbook has them.")
@click.option("--vault-password-file", multiple=True, help="A file with a vault password, or a program that prints it.")
@click.option(
    "--once", is_flag=True, help="Compare once, do what has to be done, and exit; with 1 if something failed."
)
@click.pass_context
def verb(
    ctx: click.Context,
    options: tuple[str, ...],
    *,
    inventory: tuple[str, ...],
    extra_vars: tuple[str, ...],
    vault_password_file: tuple[str, ...],
    once: bool,
) -> None:
    """Build what newer images of other teams make necessary, and roll out what is released, as the inventory says.

    The variables watch_follow, watch_candidates and watch_deploy switch this on. SIGTERM or Ctrl-C ends the watcher.
    """
    asking = sorted(_ASKING.intersection(options))
    if asking:
        raise UsageError(f"{asking[0]} asks for a password, but nobody is there to answer; use --vault-password-file")
    for path in inventory:
        if "," not in path and not Path(path).exists():  # with a comma, it is a list of hosts
            raise UsageError(f"the inventory {Path(path).absolute()} does not exist")
    given = (("-i", inventory), ("-e", extra_vars), ("--vault-password-file", vault_password_file))
    words = [word for name, values in given for value in values for word in (name, value)]
    # Imported late, because it imports clients of registries and engines.
    watch = importlib.import_module("..watch.watcher", __package__)
    watcher = watch.InventoryWatcher(watch.Watched(_name(inventory), (*words, *options)), click.echo)
    if not once:
        watcher.watch()
    elif not watcher.once():
        ctx.exit(_FAILED)


def _name(inventories: tuple[str, ...]) -> tuple[str, ...]:
    """Return the inventories as absolute paths, so that they name the watcher wherever it is started."""
    if not inventories:
        return (f"{Path.cwd()}/ansible.cfg",)
    return tuple(str(Path(path).resolve()) if Path(path).exists() else path for path in inventories)
