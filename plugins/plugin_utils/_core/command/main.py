# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command ``tierwright``: its verbs, its version, and the conversion of errors to messages and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NoReturn

import click

from ..errors import (
    ChainError,
    DamagedError,
    EngineError,
    NotFoundError,
    PlanError,
    TierwrightError,
    TrustError,
    UnsupportedError,
    UsageError,
    describe_error,
)
from ..product_version import version
from ..text import printable
from .progress_line import progress_line

#: Verb to module. A module is imported only when its verb is used.
_VERBS = {
    "init": "init",
    "new": "new",
    "ci": "ci",
    "tree": "tree",
    "layers": "layers",
    "diff": "diff",
    "blame": "blame",
    "waste": "waste",
    "history": "history",
    "custody": "custody",
    "verify": "verify",
    "why": "why",
    "logs": "logs",
    "shell": "shell",
    "resume": "resume",
    "discard": "discard",
    "test": "test",
    "molecule": "molecule",
    "outdated": "outdated",
    "sbom": "sbom",
    "owners": "owners",
    "update": "update",
    "try-candidate": "try_candidate",
    "matrix": "matrix",
    "deployed": "deployed",
    "watch": "watch",
    "runs": "runs",
    "report": "report",
    "doctor": "doctor",
    "keys": "keys",
    "policy": "policy",
    "sign": "sign",
    "records": "records",
}

#: Environment variable that makes the command show the traceback of an unexpected error.
_TRACE = "TIERWRIGHT_TRACEBACK"

#: Exit codes for errors; ``docs/command.md`` explains them. 1 is that of ``--exit-code``, ``--fail`` and ``--check``.
USAGE, NOT_FOUND, DAMAGED, NO_ANSWER, UNSUPPORTED, NO_PLAN, NOT_TRUSTED = range(2, 9)
_BROKEN_PIPE, _INTERRUPTED = 128 + 13, 128 + 2

_CODES: tuple[tuple[type[TierwrightError], int], ...] = (
    (UsageError, USAGE),
    (ChainError, USAGE),
    (NotFoundError, NOT_FOUND),
    (DamagedError, DAMAGED),
    (EngineError, NO_ANSWER),
    (UnsupportedError, UNSUPPORTED),
    (PlanError, NO_PLAN),
    (TrustError, NOT_TRUSTED),
)


class _Verbs(click.Group):
    """The group of verbs. The help lists them in the order of :data:`_VERBS`, the most used first."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _VERBS:
            return None
        verb: click.Command = importlib.import_module(f".{_VERBS[cmd_name]}", __package__).verb
        return verb

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with progress_line():
                return super().invoke(ctx)
        except TierwrightError as error:
            _exit(str(error), next((code for kind, code in _CODES if isinstance(error, kind)), NO_ANSWER))
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discard output that is still buffered
            ctx.exit(_BROKEN_PIPE)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:
            if os.environ.get(_TRACE):
                raise
            _exit(
                f"unexpected error ({type(error).__name__}: {describe_error(error)}); "
                f"please report it, with the output of the same command with {_TRACE}=1 in the environment",
                DAMAGED,
            )


def _exit(message: str, code: int) -> NoReturn:
    click.echo(f"tierwright: {printable(' '.join(message.split()))}", err=True)
    raise SystemExit(code)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version())
def tierwright() -> None:
    """Inspect images: who owns each layer, what an image contains, what changed, and why.

    IMAGE is a name or an ID in the container engine, oci:FOLDER[:TAG], archive:FILE[:NAME], or
    docker://HOST/NAME[:TAG] in a registry. Only try-candidate, watch, resume and molecule build or deploy something.
    Only shell and test start an image, in containers that are removed at the end. No other verb pulls or changes one.
    init, new and ci write the files of a project.
    """
