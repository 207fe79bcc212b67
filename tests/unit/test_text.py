"""No text that an image, an engine or a test wrote steers a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import errors
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.gate import Suite, _failed_test
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import Journal
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.text import printable, printable_lines

STEERING = "\x1b]0;title\x07\x1b[31mred\x9b1A\u202egnp\r\x00"


def harmless(text):
    return all(each.isprintable() or each in "\n\t" for each in text)


@given(st.text())
def test_what_is_written_is_harmless_and_stays_so(text):
    assert harmless(printable_lines(text))
    assert printable_lines(printable_lines(text)) == printable_lines(text)
    assert printable(text).isprintable()


@pytest.mark.parametrize("kind", [errors.TierwrightError, errors.EngineError, errors.ContractError, errors.SealError])
def test_every_error_is_harmless(kind):
    assert harmless(str(kind(f"the engine says: {STEERING}\nmore")))


def test_what_a_test_says_is_harmless():
    found = _failed_test(Suite(), {"test": f"t.py::{STEERING}", "message": STEERING, "log": f"web:\n{STEERING}"})
    assert harmless(found.test + found.message + found.log)


def test_why_a_tier_failed_is_harmless(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = Journal.begin("demo")
    journal.failed("web", STEERING)
    assert harmless(journal.outcome("web").reason)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x"), r"^it: No such file or directory \(/x\)$"),
        (KeyError("Id"), "^it: 'Id' is missing$"),
        (TypeError("'int' object is not iterable"), "^it: it does not have the expected form"),
        (ValueError(""), "^it: ValueError$"),
        (RecursionError("too deep"), "^it: too deep$"),
    ],
)
def test_errors_of_python_become_sentences(error, told):
    with pytest.raises(errors.ChainError, match=told), errors.wrap_errors("it", errors.ChainError):
        raise error


def test_errors_of_ours_are_told_as_they_are():
    with pytest.raises(errors.SealError, match=r"^ours$"), errors.wrap_errors("it", errors.ChainError):
        raise errors.SealError("ours")
