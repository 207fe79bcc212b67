# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hears what templates use besides a tier's own variables, while its role is applied.

Ansible has no interface for that, so a handful of its functions are wrapped, in the main process and before tasks are
forked from it. Whether they still do what is expected is tried each time: an Ansible that works in another way must
not make us deaf without a word.
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
    Note,
    hear_environment,
)
from .variable_digests import LEFT_OUT

#: All names of a host's variables, in place of one.
ALL = "*"
_BUILTIN = ("ansible.builtin.", "ansible.legacy.")
_FACTS = "ansible_facts"
#: Where Ansible looks for a file by its name.
_SEARCHER, _SEARCHES = dataloader.__file__, frozenset({"path_dwim_relative", "path_dwim_relative_stack"})
_VIEWS = (_FACTS, "vars")
#: Functions of templates that give something else each time.
_CHANGING = frozenset({"lipsum", "now"})
_OURS = "tierwright.chain."


class Listener:
    """Wraps Ansible's functions, and tells what templates use."""

    def __init__(self, note: Note, who: Callable[[], str | None]) -> None:
        """Prepare.

        Args:
            note: Takes kind and name of what is used, as parts of the key have them; of a file, its path.
            who: Name of the host that this process works for; ``None`` while nobody is to be heard.
        """
        self._note, self._who = note, who
        self._undo = ExitStack()
        #: Inside another host's variables: their values count as a whole.
        self._inside = 0
        #: The objects that ``ansible_facts`` and ``vars`` were the last time, by name.
        self._views: dict[str, object] = {}

    def start(self) -> None:
        """Begin to listen.

        Raises:
            RunError: This version of Ansible works in another way, so that not all would be heard.
        """
        try:
            self._wrap(AnsibleContext, "resolve_or_missing", self._resolve)
            self._wrap(AnsibleEnvironment, "getattr", self._attribute)
            self._wrap(AnsibleEnvironment, "getitem", self._attribute)
            self._wrap(AnsibleEnvironment, "call", self._call)
            self._wrap(HostVarsVars, "__getitem__", self._hostvar)
            self._wrap(HostVarsVars, "__contains__", self._hostvar)
            self._wrap(HostVarsVars, "__iter__", self._hostvars)
            self._wrap(JinjaPluginIntercept, "_invoke_plugin", self._plugin, static=True)
            self._wrap(lookup_loader, "get", self._lookup)
            self._wrap(os.path, "exists", self._exists)
            self._undo.callback(hear_environment(self._tell))
            self._try_all()
        except (AttributeError, RunError) as error:
            self.stop()
            raise RunError(
                f"what a role uses cannot be recorded with this version of Ansible ({error}); an image would be kept "
                "although something that it was made from changed. Use an ansible-core that this version is tested "
                "with: 2.19 to 2.21"
            ) from error

    def stop(self) -> None:
        """Listen no more, and leave Ansible as it was."""
        self._undo.close()

    def _wrap(self, owner: Any, name: str, before: Callable[..., Any], *, static: bool = False) -> None:
        """Put ``before`` in the place of a function; it gets that function first, then the arguments."""
        own = name in vars(owner)
        original, kept = getattr(owner, name), vars(owner).get(name)

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return before(original, *args, **kwargs)

        setattr(owner, name, staticmethod(wrapped) if static else wrapped)
        self._undo.callback(lambda: setattr(owner, name, kept) if own else delattr(owner, name))

    def _tell(self, kind: str, name: str) -> None:
        if self._who() is not None:
            self._note(kind, name)

    def _resolve(self, original: Callable[..., Any], context: Any, key: str) -> Any:
        value = original(context, key)
        if key in _VIEWS:
            self._views[key] = value
        if not self._inside:
            self._variable(key)
        return value

    def _variable(self, name: str) -> None:
        if name in _CHANGING:
            self._tell(UNSEEN, f"{name}()")
        elif (fact := name.removeprefix("ansible_")) != name and fact in MACHINE_FACTS:
            self._tell(UNSEEN, f"fact {fact}")
        elif name in OF_THE_RUN:
            self._tell(UNSEEN, f"variable {name}")
        elif name not in FIXED and (name in LEFT_OUT or name.startswith(PREFIXES)):
            self._tell(MAGIC, name)

    def _attribute(self, original: Callable[..., Any], environment: Any, owner: Any, name: Any) -> Any:
        self._member(owner, name)
        return original(environment, owner, name)

    def _call(
        self, original: Callable[..., Any], environment: Any, context: Any, called: Any, *args: Any, **kw: Any
    ) -> Any:
        if args and isinstance(called, BuiltinMethodType | MethodType) and called.__name__ == "get":
            self._member(called.__self__, args[0])
        return original(environment, context, called, *args, **kw)

    def _member(self, owner: object, name: object) -> None:
        for view, value in self._views.items():
            if owner is value and isinstance(name, str):
                if view == "vars":
                    self._variable(name)
                elif name in MACHINE_FACTS:
                    self._tell(UNSEEN, f"fact {name}")

    def _hostvar(self, original: Callable[..., Any], view: HostVarsVars, name: str) -> Any:
        if not self._inside and isinstance(name, str):
            self._of_host(view._host, name)  # noqa: SLF001 - it has no other name
        with self._within():
            value = original(view, name)
        if name in _VIEWS and view._host == self._who():  # noqa: SLF001 - it has no other name
            self._views[name] = value
        return value

    def _hostvars(self, original: Callable[..., Any], view: HostVarsVars) -> Iterator[str]:
        if not self._inside:
            self._of_host(view._host, ALL)  # noqa: SLF001 - it has no other name
        return original(view)  # type: ignore[no-any-return]

    def _of_host(self, host: str, name: str) -> None:
        if host == self._who():
            self._variable(name)
        else:
            self._tell(HOSTVARS, f"{host}/{name}")

    @contextmanager
    def _within(self) -> Iterator[None]:
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def _plugin(self, original: Callable[..., Any], plugin: Any, *args: Any, **kwargs: Any) -> Any:
        name = str(plugin.ansible_name)
        self._collection(name)
        option, place = RANDOM_FILTERS.get(_short(name), ("", None))
        fixed = kwargs.get(option) is not None or (place is not None and len(args) >= place)
        if option and plugin.plugin_type == "filter" and not fixed:
            self._tell(UNSEEN, f"filter {_short(name)}")
        if plugin.plugin_type == "test" and _short(name) in PATH_TESTS:
            for path in filter(lambda each: isinstance(each, str), args):
                self._tell(ELSEWHERE, path)
        return original(plugin, *args, **kwargs)

    def _lookup(self, original: Callable[..., Any], name: str, *args: Any, **kwargs: Any) -> Any:
        plugin = original(name, *args, **kwargs)
        if plugin is not None and self._who() is not None:
            self._collection(str(getattr(plugin, "ansible_name", None) or name))
            run = plugin.run

            def heard(terms: Any, *rest: Any, **options: Any) -> Any:
                self._terms(_short(name), terms if isinstance(terms, list | tuple) else [terms])
                return run(terms, *rest, **options)

            plugin.run = heard
        return plugin

    def _exists(self, original: Callable[..., Any], path: Any) -> Any:
        found = original(path)
        # Of the places that Ansible looks for a file in, those count where it is not: one there would be taken.
        code = sys._getframe(2).f_code  # noqa: SLF001 - the only way to know
        if not found and code.co_name in _SEARCHES and code.co_filename == _SEARCHER:
            self._tell(ELSEWHERE, os.fsdecode(path))
        return found

    def _terms(self, lookup: str, terms: Iterable[Any]) -> None:
        names = [str(each) for each in terms if isinstance(each, str)]
        if lookup == "password":
            if any(each.startswith("/dev/null") for each in names):
                self._tell(UNSEEN, "lookup password")
        elif lookup not in FOLLOWED_LOOKUPS:
            self._tell(UNSEEN, f"lookup {lookup}")
        elif lookup == "inventory_hostnames":
            self._variable("groups")
        elif lookup in {"vars", "config"}:
            for each in names:
                self._variable(each) if lookup == "vars" else self._tell(SETTING, each)

    def _collection(self, name: str) -> None:
        parts = name.split(".")
        if len(parts) > len(("namespace", "collection")) and not name.startswith((*_BUILTIN, _OURS)):
            self._tell(COLLECTION, ".".join(parts[:2]))

    def _try_all(self) -> None:
        """Hear one of each kind.

        Raises:
            RunError: One is not heard.
        """
        heard: set[tuple[str, str]] = set()
        real, self._note = self._note, lambda kind, name: heard.add((kind, name))
        who, self._who = self._who, lambda: ""
        try:
            for (kind, name), (template, variables) in _PROOF.items():
                made = HostVarsVars({"x": 1}, loader=None, host="other")
                with suppress(Exception):  # only what is heard matters
                    Templar(DataLoader(), {**variables, "hostvars": {"other": made}}).template(
                        trust_as_template(template)
                    )
                if (kind, name) not in heard:
                    raise RunError(f"{template} is not heard")
        finally:
            self._note, self._who = real, who


#: What must be heard, and of which template.
_PROOF: Mapping[tuple[str, str], tuple[str, Mapping[str, Any]]] = {
    (ENVIRONMENT, "TIERWRIGHT"): ("{{ lookup('env', 'TIERWRIGHT') }}", {}),
    (HOSTVARS, "other/x"): ("{{ hostvars['other'].x }}", {}),
    (MAGIC, "group_names"): ("{{ group_names }}", {"group_names": ["a"]}),
    (UNSEEN, "fact kernel"): ("{{ ansible_facts['kernel'] }}", {_FACTS: {"kernel": "6"}}),
    (UNSEEN, "filter random"): ("{{ [1] | random }}", {}),
    (UNSEEN, "lookup random_choice"): ("{{ lookup('random_choice', 1) }}", {}),
    (UNSEEN, "now()"): ("{{ now() }}", {}),
}


def _short(name: str) -> str:
    for prefix in _BUILTIN:
        name = name.removeprefix(prefix)
    return name
