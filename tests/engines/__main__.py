"""``python -m engines list``, ``fetch [NAME...]``, ``start NAME [COMMAND...]``, ``bare SUITE [COMMAND...]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from . import machine, roots
from .catalogue import CHOICES
from .roots import UnavailableError

_SHELL = ["sh"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the command, and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        match options.subcommand:
            case "list":
                for choice in CHOICES.values():
                    print(f"{choice.name:22}{choice.suite}")
                return 0
            case "fetch":
                for name in options.names or CHOICES:
                    print(f"{name}: {roots.fetch(CHOICES[name])}", flush=True)
                return 0
            case "start":
                return machine.run(options.name, options.command or _SHELL)
            case _:
                with machine.folder() as data:
                    return subprocess.call(machine.bare(options.suite, data, options.command or _SHELL))
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engines", description="Engines that this machine does not have.")
    commands = parser.add_subparsers(dest="subcommand", required=True)
    commands.add_parser("list", help="list the engines that can be downloaded")
    fetch = commands.add_parser("fetch", help="download engines, by default all")
    fetch.add_argument("names", nargs="*", type=_engine_name, metavar="NAME")
    start = commands.add_parser("start", help="run a command, or a shell, on a machine with an engine")
    start.add_argument("name", type=_engine_name, metavar="NAME")
    start.add_argument("command", nargs=argparse.REMAINDER)
    bare = commands.add_parser("bare", help="run a command, or a shell, on a bare machine, without an engine")
    bare.add_argument("suite", help="the suite of Debian on the machine")
    bare.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _engine_name(name: str) -> str:
    if name not in CHOICES:
        raise argparse.ArgumentTypeError(f"unknown engine {name!r}; expected one of {', '.join(CHOICES)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
