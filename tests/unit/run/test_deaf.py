import signal
import threading

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.run.deaf import end_when_deaf


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(threading, "excepthook", lambda args: lines.append(f"other: {args.exc_value}"))
    end_when_deaf(lines.append)
    return lines


def fail():
    raise KeyError("base")


def elsewhere(signum, frame):
    """What ansible-core 2.19.0 has for SIGINT once it started a worker: that one alone gets it."""


@pytest.mark.parametrize("handler", [signal.default_int_handler, elsewhere])
def test_a_run_that_hears_no_more_results_is_interrupted(said, handler):
    def results_thread_main():
        fail()

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(results_thread_main)
    finally:
        signal.signal(signal.SIGINT, before)
    (line,) = said
    assert line.startswith("Ansible lost a task's result (KeyError: 'base')")


def test_other_threads_end_as_they_did(said):
    run(fail)
    assert said == ["other: 'base'"]


def run(target):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    for _ in range(100):
        pass  # an interrupt reaches the main thread between two of its instructions
