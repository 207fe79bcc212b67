# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records what templates use, except a tier's own variables, while the role is applied.

Ansible has no interface for this. Therefore some of its functions are wrapped, in the main process, before tasks are
forked from it. Each start checks that the wrappers work: with a version of Ansible that works differently, the run must
fail and not silently record too little.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import BuiltinMethodType, MethodType
from typing import Any

from ansible._internal._templating._jinja_bits import AnsibleContext, AnsibleEnvironment
from ansible._internal._templating._jinja_plugins import JinjaPluginIntercept
from ansible.parsing import dataloader
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar, trust_as_template
from ansible.vars.hostvars import HostVarsVars

from ..build_key.parts import COLLECTION, ELSEWHERE, ENVIRONMENT, HOSTVARS, MAGIC, SETTING, UNSEEN
from ..errors import RunError
from .value_sources import (
    FIXED,
    FOLLOWED_LOOKUPS,
    MACHINE_FACTS,
    OF_THE_RUN,
    PATH_TESTS,
    PREFIXES,
    RANDOM_FILTERS,
    RecordUse,
    record_environment,
)
from .variable_digests import LEFT_OUT

#: Stands for the names of all variables of a host.
ALL = "*"
_BUILTIN = ("ansible.builtin.", "ansible.legacy.")
_FACTS = "ansible_facts"
#: The functions of Ansible that search a file by its name, and their source file.
_SEARCH_FILE, _SEARCH_FUNCTIONS = dataloader.__file__, frozenset({"path_dwim_relative", "path_dwim_relative_stack"})
_VIEWS = (_FACTS, "vars")
#: Functions of templates with a different result at each call.
_NONDETERMINISTIC = frozenset({"lipsum", "now"})
_OWN_COLLECTION = "tierwright.chain."


class TemplateRecorder:
    """Wraps functions of Ansible, and records what templates use."""

    def __init__(self, note: RecordUse, current_host: Callable[[], str | None]) -> None:
        """Prepare the recording.

        Args:
            note: Called with the kind and the name of each source, as in a key part; for a file, with its path.
            current_host: Returns the name of the host for which this process works; ``None`` pauses the recording.
        """
        self._note, self._current_host = note, current_host
        self._undo = ExitStack()
        #: More than 0 while a variable of a host is read. Variables in its templates are not recorded one by one.
        self._depth = 0
        #: The latest objects of ``ansible_facts`` and ``vars``, by name.
        self._views: dict[str, object] = {}

    def start(self) -> None:
        """Begin to record.

        Raises:
            RunError: This version of Ansible works differently, and the recording would be incomplete.
        """
        try:
            self._wrap(AnsibleContext, "resolve_or_missing", self._resolve)
            self._wrap(AnsibleEnvironment, "getattr", self._get_member)
            self._wrap(AnsibleEnvironment, "getitem", self._get_member)
            self._wrap(AnsibleEnvironment, "call", self._call)
            self._wrap(HostVarsVars, "__getitem__", self._get_host_variable)
            self._wrap(HostVarsVars, "__contains__", self._get_host_variable)
            self._wrap(HostVarsVars, "__iter__", self._iterate_host_variables)
            self._wrap(JinjaPluginIntercept, "_invoke_plugin", self._invoke_plugin, static=True)
            self._wrap(lookup_loader, "get", self._get_lookup)
            self._wrap(os.path, "exists", self._exists)
            self._undo.callback(record_environment(self._record))
            self._check_recording()
        except (AttributeError, RunError) as error:
            self.stop()
            raise RunError(
                f"what a role uses cannot be recorded with this version of Ansible ({error}), so an image would be "
                "kept although one of its inputs changed. Use a version of ansible-core with which Tierwright is "
                "tested: 2.19 to 2.21"
            ) from error

    def stop(self) -> None:
        """End the recording, and restore the functions of Ansible."""
        self._undo.close()

    def _wrap(self, owner: Any, name: str, wrapper: Callable[..., Any], *, static: bool = False) -> None:
        """Replace a function by ``wrapper``, which is called with the original function and the arguments."""
        is_own = name in vars(owner)
        original, attribute = getattr(owner, name), vars(owner).get(name)

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs)

        setattr(owner, name, staticmethod(wrapped) if static else wrapped)
        self._undo.callback(lambda: setattr(owner, name, attribute) if is_own else delattr(owner, name))

    def _record(self, kind: str, name: str) -> None:
        if self._current_host() is not None:
            self._note(kind, name)

    def _resolve(self, original: Callable[..., Any], context: Any, key: str) -> Any:
        value = original(context, key)
        if key in _VIEWS:
            self._views[key] = value
        if not self._depth:
            self._record_variable(key)
        return value

    def _record_variable(self, name: str) -> None:
        if name in _NONDETERMINISTIC:
            self._record(UNSEEN, f"{name}()")
        elif (fact := name.removeprefix("ansible_")) != name and fact in MACHINE_FACTS:
            self._record(UNSEEN, f"fact {fact}")
        elif name in OF_THE_RUN:
            self._record(UNSEEN, f"variable {name}")
        elif name not in FIXED and (name in LEFT_OUT or name.startswith(PREFIXES)):
            self._record(MAGIC, name)

    def _get_member(self, original: Callable[..., Any], environment: Any, owner: Any, name: Any) -> Any:
        self._record_member(owner, name)
        return original(environment, owner, name)

    def _call(
        self, original: Callable[..., Any], environment: Any, context: Any, function: Any, /, *args: Any, **kw: Any
    ) -> Any:
        if args and isinstance(function, BuiltinMethodType | MethodType) and function.__name__ == "get":
            self._record_member(function.__self__, args[0])
        return original(environment, context, function, *args, **kw)

    def _record_member(self, owner: object, name: object) -> None:
        for view, value in self._views.items():
            if owner is value and isinstance(name, str):
                if view == "vars":
                    self._record_variable(name)
                elif name in MACHINE_FACTS:
                    self._record(UNSEEN, f"fact {name}")

    def _get_host_variable(self, original: Callable[..., Any], view: HostVarsVars, name: str) -> Any:
        if not self._depth and isinstance(name, str):
            self._record_host_variable(view._host, name)  # noqa: SLF001 - there is no public name
        with self._reading_host_variables():
            value = original(view, name)
        if name in _VIEWS and view._host == self._current_host():  # noqa: SLF001 - there is no public name
            self._views[name] = value
        return value

    def _iterate_host_variables(self, original: Callable[..., Any], view: HostVarsVars) -> Iterator[str]:
        if not self._depth:
            self._record_host_variable(view._host, ALL)  # noqa: SLF001 - there is no public name
        return original(view)  # type: ignore[no-any-return]

    def _record_host_variable(self, host: str, name: str) -> None:
        if host == self._current_host():
            self._record_variable(name)
        else:
            self._record(HOSTVARS, f"{host}/{name}")

    @contextmanager
    def _reading_host_variables(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _invoke_plugin(self, original: Callable[..., Any], plugin: Any, *args: Any, **kwargs: Any) -> Any:
        name = str(plugin.ansible_name)
        self._record_collection(name)
        option, place = RANDOM_FILTERS.get(_short_name(name), ("", None))
        fixed = kwargs.get(option) is not None or (place is not None and len(args) >= place)
        if option and plugin.plugin_type == "filter" and not fixed:
            self._record(UNSEEN, f"filter {_short_name(name)}")
        if plugin.plugin_type == "test" and _short_name(name) in PATH_TESTS:
            for path in filter(lambda arg: isinstance(arg, str), args):
                self._record(ELSEWHERE, path)
        return original(plugin, *args, **kwargs)

    def _get_lookup(self, original: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
        plugin = original(name, *args, **kwargs)
        if plugin is not None and self._current_host() is not None:
            self._record_collection(str(getattr(plugin, "ansible_name", None) or name))
            run = plugin.run

            def recorded_run(terms: Any, *rest: Any, **options: Any) -> Any:
                self._record_terms(_short_name(name), terms if isinstance(terms, list | tuple) else [terms])
                return run(terms, *rest, **options)

            plugin.run = recorded_run
        return plugin

    def _exists(self, original: Callable[..., Any], path: Any) -> Any:
        exists = original(path)
        # Ansible searches a file in several places. A missing file is recorded: Ansible would use it if it appeared.
        code = sys._getframe(2).f_code  # noqa: SLF001 - the only way to know
        if not exists and code.co_name in _SEARCH_FUNCTIONS and code.co_filename == _SEARCH_FILE:
            self._record(ELSEWHERE, os.fsdecode(path))
        return exists

    def _record_terms(self, lookup: str, terms: Iterable[Any]) -> None:
        names = [str(term) for term in terms if isinstance(term, str)]
        if lookup == "password":
            if any(name.startswith("/dev/null") for name in names):
                self._record(UNSEEN, "lookup password")
        elif lookup not in FOLLOWED_LOOKUPS:
            self._record(UNSEEN, f"lookup {lookup}")
        elif lookup == "inventory_hostnames":
            self._record_variable("groups")
        elif lookup in {"vars", "config"}:
            for name in names:
                self._record_variable(name) if lookup == "vars" else self._record(SETTING, name)

    def _record_collection(self, name: str) -> None:
        parts = name.split(".")
        if len(parts) > len(("namespace", "collection")) and not name.startswith((*_BUILTIN, _OWN_COLLECTION)):
            self._record(COLLECTION, ".".join(parts[:2]))

    def _check_recording(self) -> None:
        """Evaluate one template for each kind of source, and check that its source is recorded.

        Raises:
            RunError: A source is not recorded.
        """
        recorded: set[tuple[str, str]] = set()
        note, self._note = self._note, lambda kind, name: recorded.add((kind, name))
        current_host, self._current_host = self._current_host, lambda: ""
        try:
            for (kind, name), (template, variables) in _CHECKS.items():
                other = HostVarsVars({"x": 1}, loader=None, host="other")
                with suppress(Exception):  # only what is recorded matters
                    Templar(DataLoader(), {**variables, "hostvars": {"other": other}}).template(
                        trust_as_template(template)
                    )
                if (kind, name) not in recorded:
                    raise RunError(f"{template} is not recorded")
        finally:
            self._note, self._current_host = note, current_host


#: Sources that must be recorded, and a template that uses each.
_CHECKS: Mapping[tuple[str, str], tuple[str, Mapping[str, Any]]] = {
    (ENVIRONMENT, "TIERWRIGHT"): ("{{ lookup('env', 'TIERWRIGHT') }}", {}),
    (HOSTVARS, "other/x"): ("{{ hostvars['other'].x }}", {}),
    (MAGIC, "group_names"): ("{{ group_names }}", {"group_names": ["a"]}),
    (UNSEEN, "fact kernel"): ("{{ ansible_facts['kernel'] }}", {_FACTS: {"kernel": "6"}}),
    (UNSEEN, "filter random"): ("{{ [1] | random }}", {}),
    (UNSEEN, "lookup random_choice"): ("{{ lookup('random_choice', 1) }}", {}),
    (UNSEEN, "now()"): ("{{ now() }}", {}),
}


def _short_name(name: str) -> str:
    for prefix in _BUILTIN:
        name = name.removeprefix(prefix)
    return name
