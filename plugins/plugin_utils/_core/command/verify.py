# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright verify``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..errors import UsageError
from ..local_files import write_atomically
from .custody import verdict_lines
from .output import json_option, show
from .policy_options import open_named_policy, verifying_options
from .progress_line import say

_FAILED = 1


@click.command()
@click.argument("image", metavar="CONTAINER-or-IMAGE")
@verifying_options
@click.option("--content", is_flag=True, help="Read all layers again and compute their digests; takes seconds.")
@click.option("--sarif", type=click.Path(path_type=Path), metavar="FILE", help="Write the failed links to FILE.")
@json_option
@click.pass_context
def verb(
    ctx: click.Context,
    image: str,
    *,
    policy: Path | None,
    policy_keys: tuple[str, ...],
    content: bool,
    sarif: Path | None,
    as_json: bool,
) -> None:
    """Verify a container or image with the policy, offline: signatures, layers, parents, sources, tests.

    The exit status is 1 if a link does not hold. `tierwright custody` also shows what was signed.
    """
    # These are slow to import, and `tierwright --help` imports all verbs.
    from ..custody.sarif import to_sarif  # noqa: PLC0415
    from .ask_custody import ask_custody  # noqa: PLC0415

    named = open_named_policy(policy, policy_keys)
    if named is None:
        raise UsageError("verifying needs a policy; name it with --policy chain-policy.yml --policy-key KEY.pub")
    answer = ask_custody(image, named, say, content=content)
    links = [*(link for tier in answer.tiers for link in tier.links), *answer.links]
    if sarif is not None:
        write_atomically(sarif, json.dumps(to_sarif(links, answer.name, named.path), indent=2) + "\n")
    show(answer, lambda: verdict_lines(answer), as_json=as_json)
    if not answer.verified:
        ctx.exit(_FAILED)
