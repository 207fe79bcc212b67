"""Text from images, engines and tests cannot control the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import errors
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import _failed_test
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.role_tests import Suite
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.session_result import SessionFailure
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.text import printable, printable_lines

CONTROL_CHARACTERS = "\x1b]0;title\x07\x1b[31mred\x9b1A\u202egnp\r\x00"


def harmless(text):
    return all(character.isprintable() or character in "\n\t" for character in text)


@given(st.text())
def test_printable_text_is_harmless_and_does_not_change_again(text):
    assert harmless(printable_lines(text))
    assert printable_lines(printable_lines(text)) == printable_lines(text)
    assert printable(text).isprintable()


@pytest.mark.parametrize("kind", [errors.TierwrightError, errors.EngineError, errors.ContractError, errors.SealError])
def test_every_error_is_harmless(kind):
    assert harmless(str(kind(f"the engine says: {CONTROL_CHARACTERS}\nmore")))


def test_the_message_of_a_test_is_harmless():
    found = SessionFailure(f"t.py::{CONTROL_CHARACTERS}", CONTROL_CHARACTERS, f"web:\n{CONTROL_CHARACTERS}")
    failure = _failed_test(Suite(), found)
    assert harmless(failure.test + failure.message + failure.log)


def test_the_reason_of_a_failed_tier_is_harmless(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = Journal.begin("demo")
    journal.failed("web", CONTROL_CHARACTERS)
    assert harmless(journal.outcome("web").reason)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x"), r"^it: No such file or directory \(/x\)$"),
        (KeyError("Id"), "^it: 'Id' is missing$"),
        (TypeError("'int' object is not iterable"), "^it: it does not have the expected form"),
        (ValueError(""), "^it: ValueError$"),
        (RecursionError("too deep"), "^it: too deep$"),
    ],
)
def test_errors_of_python_become_messages(error, message):
    with pytest.raises(errors.ChainError, match=message), errors.wrap_errors("it", errors.ChainError):
        raise error


def test_errors_of_the_product_are_unchanged():
    with pytest.raises(errors.SealError, match=r"^ours$"), errors.wrap_errors("it", errors.ChainError):
        raise errors.SealError("ours")
