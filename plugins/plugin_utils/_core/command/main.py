# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verbs, exit codes and the version.

Which version this is, however it was installed.

The verbs, and the one place where errors become sentences and exit codes.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from ..errors import (
    DamagedError,
    EngineError,
    NotFoundError,
    PlanError,
    TierwrightError,
    UnsupportedError,
    UsageError,
    described,
)
from ..text import printable

_COLLECTION = Path(__file__).parents[4]


def version(collection: Path = _COLLECTION) -> str:
    """Read the collection's version: from ``MANIFEST.json`` where ansible-galaxy installed it, else ``galaxy.yml``.

    Args:
        collection: The collection's folder.

    Returns:
        The version; ``unknown`` where neither file tells.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((collection / "MANIFEST.json").read_text())["collection_info"]["version"])
    with suppress(OSError):
        found = re.search(r"^version: *(\S+)$", (collection / "galaxy.yml").read_text(), re.MULTILINE)
        return found[1] if found else "unknown"
    return "unknown"


#: Verb to module. A verb is imported when it is asked for.
_VERBS = {
    "tree": "tree",
    "layers": "layers",
    "diff": "diff",
    "blame": "blame",
    "waste": "waste",
    "history": "history",
    "why": "why",
    "outdated": "outdated",
    "matrix": "matrix",
    "report": "report",
    "doctor": "doctor",
}

#: Set this in the environment to see where an error came from that nobody thought of.
_TRACE = "TIERWRIGHT_TRACEBACK"

#: Exit codes besides 0, and 1 of ``--exit-code`` and ``--fail``; ``docs/command.md`` explains them.
USAGE, NOT_FOUND, DAMAGED, NOBODY_ANSWERS, UNSUPPORTED, NO_PLAN = range(2, 8)
_BROKEN_PIPE, _INTERRUPTED = 128 + 13, 128 + 2

_CODES: tuple[tuple[type[TierwrightError], int], ...] = (
    (UsageError, USAGE),
    (NotFoundError, NOT_FOUND),
    (DamagedError, DAMAGED),
    (EngineError, NOBODY_ANSWERS),
    (UnsupportedError, UNSUPPORTED),
    (PlanError, NO_PLAN),
)


class _Verbs(click.Group):
    """The verbs, in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _VERBS:
            return None
        verb: click.Command = importlib.import_module(f".{_VERBS[cmd_name]}", __package__).verb
        return verb

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TierwrightError as error:
            _leave(str(error), next((code for kind, code in _CODES if isinstance(error, kind)), NOBODY_ANSWERS))
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush goes nowhere
            ctx.exit(_BROKEN_PIPE)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:
            if os.environ.get(_TRACE):
                raise
            _leave(
                f"this failed for a reason that Tierwright does not know ({type(error).__name__}: {described(error)}); "
                f"please report it with what {_TRACE}=1 shows",
                DAMAGED,
            )


def _leave(sentence: str, code: int) -> NoReturn:
    click.echo(f"tierwright: {printable(' '.join(sentence.split()))}", err=True)
    raise SystemExit(code)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version())
def tierwright() -> None:
    """Look at images: whose layer is it, what is in it, what changed, and what for.

    IMAGE is a name or an ID in the container engine, oci:FOLDER[:TAG], archive:FILE[:NAME], or
    docker://HOST/NAME[:TAG] in a registry. Nothing is pulled, written or started.
    """
