# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a tier failed: last task, hints, suspected changes.

What to do about failures that roles written for whole machines have in a build container.

Why a tier failed, complete: what its last task said, recorded when it failed, and told once at the end of the run.

Ansible's variables ``ansible_failed_task`` and ``ansible_failed_result`` do not do: where a file that is
included is not there, they still name a task that failed earlier and that the role rescued.

What changed since the last release, of all that an image under test stands on and runs with.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..build_key.parts import Parts
from ..build_key.rebuild_reasons import differences
from ..chain.graph import Chain
from ..engine.engine import Engine
from ..image import labels
from ..plan.decision import find_own
from ..state.journal import Journal
from ..text import printable_lines

#: Beginnings of the names of facts that Ansible's ``setup`` has only with ``hardware``.
_HARDWARE = (
    "bios|board|chassis|device|dmi|form_factor|lvm|memfree|memory|memtotal|mounts|processor|product|swap|system_vendor|"
    "uptime"
)

#: What to do, and what a failure says where that is it.
_HINTS = {
    "an image has no package lists until something fetches them, and many roles leave that to pre_tasks: put a task "
    "file with `ansible.builtin.apt: {update_cache: true}` beside the inventory, and name it in tier_before": (
        r"No package matching '",
        r"Unable to locate package",
        r"has no installation candidate",
    ),
    "facts about hardware (processors, memory, mounts, devices) are not gathered unless asked for: set "
    "tier_gather_subset: [all]": (
        rf"'ansible_({_HARDWARE})\w*' is undefined",
        rf"has no attribute '(ansible_)?({_HARDWARE})\w*'",
    ),
    "is ansible_user set for all hosts of the site? Set ansible_user: root for the group tiers": (
        r"the build container has no user '",
        r"No start of json char found",
    ),
    "the Python that modules run with is mounted for the build and no part of the image: install python3-pip and "
    "python3-packaging before this task, with the role or by a task file in tier_before": (
        r"Unable to find any of pip",
        r"No module named '?(pip|packaging|setuptools|venv)\b",
    ),
    "the Python that modules run with is mounted and cannot be written to: let the role install python3, or set "
    "tier_python_interpreter to the image's own": (
        r"Read-only file system.*(python|site-packages)",
        r"(python|site-packages).*Read-only file system",
    ),
    "nothing runs in a build container but the role's tasks, so no service can be started: let the image's entrypoint "
    "start it, and skip such tasks here": (
        r"System has not been booted with systemd",
        r"Failed to connect to bus",
        r"Could not find the requested service",
    ),
    "does this machine reach the network by a proxy? tier_proxy: true passes its proxy variables on": (
        r"Temporary failure (in name resolution|resolving)",
        r"Could not resolve",
        r"Network is unreachable",
        r"proxy authentication required",
    ),
    "the engine mounts /etc/hosts, /etc/hostname and /etc/resolv.conf in every container, so no image can hold them: "
    "let the role leave them alone, and give such settings to containers where they are started (docker run "
    "--add-host, --hostname, --dns)": (r"Errno 16", r"Device or resource busy"),
    "a company's CA can be installed before the role, by a task file in tier_before": (r"certificate verify failed",),
}


def hints(text: str) -> Iterator[str]:
    """Yield what may be done about a failure.

    Args:
        text: All that the task said.
    """
    for hint, patterns in _HINTS.items():
        if any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns):
            yield hint


_KIND, _TOLD = "failing", "told"

#: The last lines of each output that are told.
_LINES = 20

#: Items of a loop that failed and are told.
_ITEMS = 5

_HIDDEN = "what it says is hidden by no_log"

#: Outputs of a module, and what they are called; the second ones are of a module that did not come to its end.
_OUTPUTS = {"stderr": "stderr", "stdout": "stdout", "module_stderr": "stderr", "module_stdout": "stdout"}


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """A task that failed."""

    #: Its name as it is written.
    task: str
    #: File and line: ``web/tasks/main.yml:12``; empty where that is not known.
    file: str
    #: What it said, line by line.
    said: list[str]

    @property
    def reason(self) -> str:
        """Why, in one line."""
        return f"task {self.task!r}: {self.said[0] if self.said else 'failed'}"

    @property
    def lines(self) -> Iterator[str]:
        """Everything, for people."""
        yield f"task {self.task!r}" + (f" ({self.file})" if self.file else "")
        yield from (f"  {line}" for line in self.said)
        yield from (f"hint: {hint}" for hint in hints("\n".join(self.said)))


def note_failing(journal: Journal, tier: str, failure: TaskFailure) -> None:
    """Record the task of a tier that failed last; the role may rescue it."""
    journal.write(_KIND, tier, asdict(failure))


def failing(journal: Journal, tier: str) -> TaskFailure | None:
    """The task of a tier that failed last; ``None`` where none did."""
    content = journal.read(_KIND, tier)
    return None if content is None else TaskFailure(**content)


def give_up(journal: Journal, tier: str, failure: TaskFailure) -> None:
    """Record that a tier failed, and all that is to be told of it, unless it said so itself."""
    if journal.outcome(tier) is None:
        # Our own messages name the tier; those of a role's task are told apart by the task.
        own = bool(failure.said) and failure.said[0].startswith(f"tier {tier!r}")
        note_told(journal, tier, [*(failure.said if own else failure.lines), *_below(journal, tier)])
        journal.failed(tier, failure.said[0] if own else failure.reason)


def _below(journal: Journal, tier: str) -> Iterator[str]:
    """How to look at what the tier was built on: its container is gone, and there is no image of it."""
    build = journal.read("build", tier)
    if build is not None:
        yield "to look at the image that it was built on:"
        yield f"  {look_at(build['to_look_at'].removeprefix('sha256:')[:12])}"


def note_told(journal: Journal, tier: str, lines: Iterable[str]) -> None:
    """Record all that is to be told of a tier that failed."""
    journal.write(_TOLD, tier, {"lines": list(lines)})


def shown_failure(journal: Journal, tier: str) -> list[str]:
    """All that is to be told of a tier that failed, line by line."""
    content = journal.read(_TOLD, tier)
    if content is not None:
        return list(content["lines"])
    outcome = journal.outcome(tier)
    return (outcome.reason if outcome else "the run ended before this tier did").splitlines()


def look_at(image: str) -> str:
    """The command that opens a shell in an image."""
    return shlex.join(["docker", "run", "--rm", "--interactive", "--tty", "--entrypoint", "/bin/sh", image])


def said_by(result: Mapping[str, Any]) -> list[str]:
    """What the result of a task that failed says, line by line.

    Args:
        result: As a callback gets it: what ``no_log`` hides is not there.
    """
    if "censored" in result or result.get("_ansible_no_log"):
        return [_HIDDEN]
    items = result.get("results")  # of a loop; some modules call lists of texts so
    if isinstance(items, Sequence) and not isinstance(items, str):
        failed = [each for each in items if isinstance(each, Mapping) and _failed(each)]
        if failed:
            return list(_of_items(failed))
    return list(_of_one(result))


def _of_items(failed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in failed[:_ITEMS]:
        first, *more = said_by(each)
        item = _short(each.get("_ansible_item_label", each.get("item")))
        yield first if first == _HIDDEN else f"{first} (item {item})"
        yield from more
    if len(failed) > _ITEMS:
        yield f"and {len(failed) - _ITEMS} more items"


def _of_one(result: Mapping[str, Any]) -> Iterator[str]:
    yield from _lines(result.get("msg") or result.get("reason") or "failed")
    if command := result.get("cmd"):
        words = shlex.join(map(str, command)) if isinstance(command, list) else str(command)
        yield f"command: {printable_lines(words)}"
    if result.get("rc") not in {None, "", 0}:
        yield f"exit status: {result['rc']}"
    for name, called in _OUTPUTS.items():
        text = str(result.get(name) or "").strip()
        if text and text not in str(result.get("msg") or ""):
            lines = _lines(text)
            yield f"{called}:" + (f" (its last {_LINES} lines)" if len(lines) > _LINES else "")
            yield from (f"  {line}" for line in lines[-_LINES:])


def _failed(result: Mapping[str, Any]) -> bool:
    return bool(result.get("failed") or result.get("unreachable"))


def _lines(text: object) -> list[str]:
    return printable_lines(str(text)).strip().splitlines() or ["failed"]


def _short(value: object, width: int = 60) -> str:
    words = " ".join(printable_lines(str(value)).split())
    return words if len(words) <= width else f"{words[: width - 1]}…"


#: Differences of one tier that are told, at most.
_SUSPECT_LINES = 6


def suspects(engine: Engine, chain: Chain, tested: str, neighbours: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs from the releases: ``httpd-php: role httpd_php/tasks/install.yml changed``.

    Args:
        engine: The engine.
        chain: The chain.
        tested: ID of the image under test.
        neighbours: IDs of the images that it was tested with, by tier.

    Raises:
        EngineError: The engine does not answer.
    """
    seen: set[str] = set()
    for first in (tested, *neighbours.values()):
        image: str | None = first
        while image is not None and image not in seen:
            seen.add(image)
            found = engine.images.find(image)
            if found is None or (name := found.labels.get(labels.TIER, "")) not in chain:
                break
            release = find_own(engine.images.find, chain[name], chain[name].release)
            if release is None:
                yield f"{name}: it was never released"
            elif release.id != found.id:
                for line in _changed(release.labels, found.labels, name):
                    yield f"{name}: {line}"
            image = found.labels.get(labels.PARENT)


def _changed(before: Mapping[str, str], now: Mapping[str, str], tier: str) -> Iterator[str]:
    """What differs between two images of a tier, but for the image that they stand on."""
    old, new = _own(before, tier), _own(now, tier)
    yield from differences(old, new, most=_SUSPECT_LINES)


def _own(said: Mapping[str, str], tier: str) -> Parts:
    return {name: value for name, value in (labels.stored_parts(said, tier) or {}).items() if name != "parent"}
