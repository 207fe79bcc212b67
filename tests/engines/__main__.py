"""``python -m engines list``, ``fetch [NAME...]``, ``start NAME [COMMAND...]``, ``bare SUITE [COMMAND...]``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from . import machine, roots
from .catalogue import CHOICES
from .roots import NotToBeHadError

_SHELL = ["sh"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for; give the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        match asked.what:
            case "list":
                for choice in CHOICES.values():
                    print(f"{choice.name:22}{choice.suite}")
                return 0
            case "fetch":
                for name in asked.names or CHOICES:
                    print(f"{name}: {roots.fetch(CHOICES[name])}", flush=True)
                return 0
            case "start":
                return machine.run(asked.name, asked.command or _SHELL)
            case _:
                with machine.folder() as data:
                    return subprocess.call(machine.bare(asked.suite, data, asked.command or _SHELL))
    except NotToBeHadError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engines", description="Engines that this machine does not have.")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("list", help="name the engines that can be fetched")
    fetch = commands.add_parser("fetch", help="fetch engines, all where none is named")
    fetch.add_argument("names", nargs="*", type=_known, metavar="NAME")
    start = commands.add_parser("start", help="run a command, or a shell, on a machine with an engine")
    start.add_argument("name", type=_known, metavar="NAME")
    start.add_argument("command", nargs=argparse.REMAINDER)
    bare = commands.add_parser("bare", help="run a command, or a shell, on a bare machine, without an engine")
    bare.add_argument("suite", help="the suite of Debian that it has")
    bare.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _known(name: str) -> str:
    if name not in CHOICES:
        raise argparse.ArgumentTypeError(f"there is no engine {name!r}, but {', '.join(CHOICES)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
