# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright test``."""

from __future__ import annotations

from functools import partial

import click

from ..contract.gate import run_in_foreground
from ..engine.engine import connect
from ..errors import NotFoundError, PlanError, wrap_errors
from ..plan.playbook_answer import ask
from ..plan.suite_answer import SuiteAnswer
from ..plan.suite_subject import subject_of
from ..records import decode
from .tier_options import inventory_arguments

#: The playbook of this collection that tests released images.
PLAYBOOK = "tierwright.chain.test_chain"


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("tier")
@click.argument("options", nargs=-1, metavar="[-- PYTEST OPTIONS]")
@click.option("-k", "expression", metavar="EXPR", help="Only the tests that this expression of pytest selects.")
@click.option("-i", "--inventory", multiple=True, help="The inventory of the chain.")
@click.option("--image", metavar="REF", help="Test this image, for example web:failed-…, in place of the released one.")
@click.option("--limit-to-own", "own", is_flag=True, help="Leave out the contracts of the tiers below.")
@click.pass_context
def verb(
    ctx: click.Context,
    tier: str,
    options: tuple[str, ...],
    *,
    expression: str | None,
    inventory: tuple[str, ...],
    image: str | None,
    own: bool,
) -> None:
    """Run the tests of TIER on its released image, with the output and the exit status of pytest.

    These are the tests of its role, and the contracts of the tiers below it. No tag moves, and nothing is recorded.

    Example: tierwright test httpd-php -k start -- --maxfail 1
    """
    say = partial(click.echo, err=True)
    variables = {"tier_suite": tier}
    arguments = ["--check", *inventory_arguments(inventory)]
    text = ask(PLAYBOOK, "tier_suite_file", arguments, say, more=variables)
    with wrap_errors(f"the answer of ansible-playbook {PLAYBOOK}", PlanError):
        answer = decode(text, SuiteAnswer)
    if not answer.suite:
        raise NotFoundError(f"tier {tier!r} has no tests: its role has none, and no tier below it has contracts")
    subject = subject_of(connect(), answer, image)
    words = [*(["-k", expression] if expression else []), *options]
    ctx.exit(run_in_foreground(answer.suite, subject, words, say, own=own))
