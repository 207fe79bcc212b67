# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a tier failed: the last failed task, hints, and the changes since the last release.

A failure is recorded when a task fails, and printed once at the end of the run. Ansible's variables
``ansible_failed_task`` and ``ansible_failed_result`` are not reliable for this. If an included file does not exist,
they still name an earlier task, whose failure the role rescued.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..build_key.parts import Parts
from ..build_key.rebuild_reasons import differences
from ..chain.graph import Chain
from ..engine.engine import Engine
from ..image import labels
from ..plan.own_images import find_own
from ..state.journal import Journal
from ..state.kept_builds import keep_request
from ..state.tier_records import read_build
from ..text import printable_lines

#: Beginnings of the names of facts that ``setup`` gathers only with the subset ``hardware``.
_HARDWARE = (
    "bios|board|chassis|device|dmi|form_factor|lvm|memfree|memory|memtotal|mounts|processor|product|swap|system_vendor|"
    "uptime"
)

_HIDDEN = "its message is hidden by no_log"

#: Hints for roles that were written for whole machines, each with the patterns of the failures that it helps with.
_HINTS = {
    "an image has no package lists until a task fetches them, and many roles leave that to pre_tasks: put a task "
    "file with `ansible.builtin.apt: {update_cache: true}` next to the inventory, and name it in tier_before": (
        r"No package matching '",
        r"Unable to locate package",
        r"has no installation candidate",
    ),
    "facts about hardware (processors, memory, mounts, devices) are not gathered by default: set "
    "tier_gather_subset: [all]": (
        rf"'ansible_({_HARDWARE})\w*' is undefined",
        rf"has no attribute '(ansible_)?({_HARDWARE})\w*'",
    ),
    "is ansible_user set for all hosts of the site? Set ansible_user: root for the group tiers": (
        r"the build container has no user '",
        r"No start of json char found",
    ),
    "the Python that modules run with is mounted for the build and is not part of the image: install python3-pip and "
    "python3-packaging before this task, in the role or in a task file in tier_before": (
        r"Unable to find any of pip",
        r"No module named '?(pip|packaging|setuptools|venv)\b",
    ),
    "the Python that modules run with is mounted and cannot be written to: install python3 in the role, or set "
    "tier_python_interpreter to the image's own Python": (
        r"Read-only file system.*(python|site-packages)",
        r"(python|site-packages).*Read-only file system",
    ),
    "a build container has no service manager: use ansible.builtin.systemd_service instead of the command systemctl "
    "(it makes the links in the image), or skip this task in a build": (
        r"System has not been booted with systemd",
        r"Failed to connect to bus",
        r"No such file or directory: b?'?systemctl",
        r"systemctl: (command )?not found",
    ),
    "a build starts no services: if this task needs a running one, name it in tier_services, for example "
    "tier_services: {start: [mariadb]} with tier_cage: {capabilities: [KILL]}": (
        r"Can't connect to (local )?(MySQL|MariaDB|server)",
        r"connection to server .* failed",
        r"could not connect to server",
        r"Connection refused.*\b(3306|5432|6379)\b",
    ),
    "mounts and kernel settings belong to the machine that runs containers, and a build container may not change them: "
    "skip this task in a build, with a variable of the role": (
        r"\bu?mount: .*(permission denied|must be superuser|only root can)",
        r"Error mounting ",
        r"sysctl: .*(permission denied|Read-only file system|Operation not permitted)",
    ),
    "this role insists on systemd: set tier_services: {manager: systemd}, which gives it the fact that it expects": (
        r"(service_mgr|systemd) is (required|not supported|unsupported)",
        r"(requires?|needs?|supports? only|only supports?|only works? (on|with)) (a )?systemd",
        r"service_mgr == ['\"]systemd",
    ),
    "does this machine need a proxy to reach the network? tier_proxy: true passes its proxy variables on": (
        r"Temporary failure (in name resolution|resolving)",
        r"Could not resolve",
        r"Network is unreachable",
        r"proxy authentication required",
    ),
    "the engine mounts /etc/hosts, /etc/hostname and /etc/resolv.conf in every container, so no image can contain "
    "them: do not change them in the role, and pass such settings when a container is started (docker run "
    "--add-host, --hostname, --dns)": (r"Errno 16", r"Device or resource busy"),
    "many roles have a variable that turns no_log off; set it for one run to see the message": (re.escape(_HIDDEN),),
    "a company's CA can be installed before the role, by a task file in tier_before": (r"certificate verify failed",),
}


def hints(text: str) -> Iterator[str]:
    """Yield hints about how to solve a failure.

    Args:
        text: The whole output of the failed task.
    """
    for hint, patterns in _HINTS.items():
        if any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns):
            yield hint


#: Kinds of records in the journal.
_KIND, _EXPLANATION = "failing", "told"

#: The largest number of lines of each output that are printed: the last ones.
_MAX_LINES = 20

#: The largest number of failed items of a loop that are printed.
_MAX_ITEMS = 5

#: Fields with outputs of a module, and their titles. A module that crashed has the last two.
_OUTPUTS = {"stderr": "stderr", "stdout": "stdout", "module_stderr": "stderr", "module_stdout": "stdout"}


class TaskFailure(msgspec.Struct, frozen=True):
    """A task that failed."""

    #: Its name.
    task: str
    #: File and line, for example ``web/tasks/main.yml:12``; empty if they are not known.
    file: str
    #: The lines of its message and output.
    said: list[str]

    @property
    def reason(self) -> str:
        """Why it failed, in one line."""
        return f"task {self.task!r}: {self.said[0] if self.said else 'failed'}"

    @property
    def lines(self) -> Iterator[str]:
        """The task, its message and output, and hints, as lines to print."""
        yield f"task {self.task!r}" + (f" ({self.file})" if self.file else "")
        yield from (f"  {line}" for line in self.said)
        yield from (f"hint: {hint}" for hint in hints("\n".join(self.said)))


class Explanation(msgspec.Struct, frozen=True):
    """The explanation to print for a failed tier."""

    lines: list[str]


def note_failed_task(journal: Journal, tier: str, failure: TaskFailure) -> None:
    """Record the last failed task of a tier. The role may still rescue it."""
    journal.write(_KIND, tier, failure)


def last_failed_task(journal: Journal, tier: str) -> TaskFailure | None:
    """Return the last failed task of a tier; ``None`` if no task failed."""
    return journal.read_record(_KIND, tier, TaskFailure)


def give_up(journal: Journal, tier: str, failure: TaskFailure) -> None:
    """Record that a tier failed, and the explanation to print, unless the tier has an outcome already."""
    if journal.outcome(tier) is None:
        # Messages of Tierwright begin with the tier. They need no name of a task.
        own = bool(failure.said) and failure.said[0].startswith(f"tier {tier!r}")
        note_failure(journal, tier, [*(failure.said if own else failure.lines), *_show_parent(journal, tier)])
        journal.failed(tier, failure.said[0] if own else failure.reason)


def _show_parent(journal: Journal, tier: str) -> Iterator[str]:
    """Yield the command to look at the image that the tier was built on. Its build container is removed."""
    build = read_build(journal, tier)
    if build is not None and keep_request(journal, tier) is None:
        yield "to look at the image that it was built on:"
        yield f"  {shell_command(build.to_look_at.removeprefix('sha256:')[:12])}"


def note_failure(journal: Journal, tier: str, lines: Iterable[str]) -> None:
    """Record the explanation to print for a failed tier."""
    journal.write(_EXPLANATION, tier, Explanation(list(lines)))


def shown_failure(journal: Journal, tier: str) -> list[str]:
    """Return the explanation to print for a failed tier, line by line."""
    explanation = journal.read_record(_EXPLANATION, tier, Explanation)
    if explanation is not None:
        return explanation.lines
    outcome = journal.outcome(tier)
    return (outcome.reason if outcome else "the run ended before the tier was finished").splitlines()


def shell_command(image: str) -> str:
    """Return the command that opens a shell in an image."""
    return shlex.join(["docker", "run", "--rm", "--interactive", "--tty", "--entrypoint", "/bin/sh", image])


def error_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the message and output of a failed task, line by line.

    Args:
        result: The result of the task, as a callback gets it: without the values that ``no_log`` hides.
    """
    if "censored" in result or result.get("_ansible_no_log"):
        return [_HIDDEN]
    items = result.get("results")  # the items of a loop; some modules return a list of texts under this name
    if isinstance(items, Sequence) and not isinstance(items, str):
        failed = [item for item in items if isinstance(item, Mapping) and _has_failed(item)]
        if failed:
            return list(_describe_items(failed))
    return list(_describe_result(result))


def _describe_items(failed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for result in failed[:_MAX_ITEMS]:
        first, *more = error_lines(result)
        item = _shorten(result.get("_ansible_item_label", result.get("item")))
        yield first if first == _HIDDEN else f"{first} (item {item})"
        yield from more
    if len(failed) > _MAX_ITEMS:
        yield f"and {len(failed) - _MAX_ITEMS} more items"


def _describe_result(result: Mapping[str, Any]) -> Iterator[str]:
    yield from _split_lines(result.get("msg") or result.get("reason") or "failed")
    if command := result.get("cmd"):
        words = shlex.join(map(str, command)) if isinstance(command, list) else str(command)
        yield f"command: {printable_lines(words)}"
    if result.get("rc") not in {None, "", 0}:
        yield f"exit status: {result['rc']}"
    for name, title in _OUTPUTS.items():
        text = str(result.get(name) or "").strip()
        if text and text not in str(result.get("msg") or ""):
            lines = _split_lines(text)
            yield f"{title}:" + (f" (the last {_MAX_LINES} lines)" if len(lines) > _MAX_LINES else "")
            yield from (f"  {line}" for line in lines[-_MAX_LINES:])


def _has_failed(result: Mapping[str, Any]) -> bool:
    return bool(result.get("failed") or result.get("unreachable"))


def _split_lines(text: object) -> list[str]:
    return printable_lines(str(text)).strip().splitlines() or ["failed"]


def _shorten(value: object, width: int = 60) -> str:
    words = " ".join(printable_lines(str(value)).split())
    return words if len(words) <= width else f"{words[: width - 1]}…"


#: The largest number of differences that are listed for one tier.
_MAX_DIFFERENCES = 6


def suspects(engine: Engine, chain: Chain, tested: str, neighbours: Mapping[str, str]) -> Iterator[str]:
    """Yield the changes since the last release that can be the cause of a failed test.

    They are the changes in the tested image, in its neighbours, and in the ancestors of all of these. For example:
    ``httpd-php: role httpd_php/tasks/install.yml changed``.

    Args:
        engine: The engine.
        chain: The chain.
        tested: ID of the image under test.
        neighbours: By tier, the IDs of the neighbours' images in the test.

    Raises:
        EngineError: The engine does not answer.
    """
    seen: set[str] = set()
    for start_id in (tested, *neighbours.values()):
        image_id: str | None = start_id
        while image_id is not None and image_id not in seen:
            seen.add(image_id)
            image = engine.images.find(image_id)
            if image is None or (name := image.labels.get(labels.TIER, "")) not in chain:
                break
            released = find_own(engine.images.find, chain[name], chain[name].release)
            if released is None:
                yield f"{name}: it was never released"
            elif released.id != image.id:
                for line in _list_differences(released.labels, image.labels, name):
                    yield f"{name}: {line}"
            image_id = image.labels.get(labels.PARENT)


def _list_differences(before: Mapping[str, str], now: Mapping[str, str], tier: str) -> Iterator[str]:
    """List the differences between two images of a tier, except their parents."""
    old, new = _read_own_parts(before, tier), _read_own_parts(now, tier)
    yield from differences(old, new, most=_MAX_DIFFERENCES)


def _read_own_parts(image_labels: Mapping[str, str], tier: str) -> Parts:
    parts = labels.stored_parts(image_labels, tier) or {}
    return {name: value for name, value in parts.items() if name != "parent"}
