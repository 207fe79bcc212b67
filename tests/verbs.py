"""The help of every verb of `tierwright`, as a page of the documentation.

`python tests/verbs.py` writes docs/verbs.md. A test checks that it is up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright

PAGE = Path(__file__).parents[1] / "docs/verbs.md"
ABOUT = """# Verbs and options

What `tierwright --help` and `tierwright VERB --help` print. [The command](command.md) explains the verbs, and has
examples. `python tests/verbs.py` writes this page.
"""


def _help(command: click.Command, parent: click.Context | None, name: str) -> Iterator[tuple[str, str]]:
    """Title and help of a command, then those of its verbs."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    context.help_option_names = ["-h", "--help"]
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            member = command.get_command(context, verb)
            if member is None:
                raise LookupError(f"{name} lists the verb {verb}, but has no such verb")
            yield from _help(member, context, verb)


def text() -> str:
    """The page."""
    parts = (f"## `{title}`\n\n```text\n{shown}\n```\n" for title, shown in _help(tierwright, None, "tierwright"))
    return "\n".join([ABOUT, *parts])


if __name__ == "__main__":
    PAGE.write_text(text())
