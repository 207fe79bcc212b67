"""``python -m engines list``, ``fetch [NAME...]``, ``start NAME [COMMAND...]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from . import machine, roots
from .catalogue import CHOICES
from .roots import NotToBeHadError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m engines", description="Engines that this machine does not have.")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("list", help="name the engines that can be fetched")
    fetch = commands.add_parser("fetch", help="fetch engines, all where none is named")
    fetch.add_argument("names", nargs="*", metavar="NAME")
    start = commands.add_parser("start", help="run a command, or a shell, on a machine with an engine")
    start.add_argument("name", choices=CHOICES, metavar="NAME")
    start.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(getattr(asked, "names", ())) - set(CHOICES)):
        parser.error(f"no such engine: {', '.join(unknown)}; there are {', '.join(CHOICES)}")
    try:
        match asked.what:
            case "list":
                for choice in CHOICES.values():
                    print(f"{choice.name:22}{choice.suite}")
            case "fetch":
                for name in asked.names or CHOICES:
                    print(f"{name}: {roots.fetch(CHOICES[name])}", flush=True)
            case "start":
                return machine.run_with(asked.name, asked.command or [os.environ.get("SHELL", "sh")])
    except NotToBeHadError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
