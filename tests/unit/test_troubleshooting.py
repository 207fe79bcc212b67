"""Every message that the page on troubleshooting quotes exists in the code."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.tier_build.failure import hints

#: It tests files of the project, not its behaviour.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
HEADINGS = re.findall(r"^### (.+)$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
MESSAGES = [heading.strip("`") for heading in HEADINGS if heading.startswith("`")]
#: What stands for a value: in the documentation, and in the texts of the code.
VALUE, ANY = "…", "\0"


def texts(tree: ast.AST) -> Iterator[str]:
    """All texts of a module, with a mark where a value is put in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else ANY for part in node.values)


@functools.cache
def all_texts() -> tuple[str, ...]:
    folders = [ROOT / "plugins", ROOT / "roles"]
    modules = [ast.parse(path.read_text()) for folder in folders for path in folder.rglob("*.py")]
    return tuple(text for module in modules for text in texts(module))


def exists(message: str) -> bool:
    """Whether one text of the code contains the message, with values exactly where the message has them."""
    pattern = re.compile(f"{ANY}+".join(map(re.escape, message.strip(f"{VALUE} ").split(VALUE))))
    return any(pattern.search(text) for text in all_texts())


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_exists(message):
    # For messages of other programs, a failed tier gets a hint.
    assert exists(message) or list(hints(message))


def test_a_message_that_does_not_exist_is_noticed():
    assert exists("no container engine answers at …")
    assert not exists("no container engine replies at …")
    assert not exists("no … engine answers at …")


def test_the_page_says_what_is_seen_before_it_explains():
    assert len(MESSAGES) > 40
    assert len(HEADINGS) > len(MESSAGES)
