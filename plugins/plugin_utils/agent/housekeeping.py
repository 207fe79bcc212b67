# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Ansible does before and after a file's transfer: three lines of shell that it always writes the same way.

They are about a temporary folder of its own, cost several processes each, and a task that copies a file needs all of
them. A line that is exactly one of these, about such a folder and with nothing in it for a shell to expand, has one
meaning, which the agent needs no shell for. Should Ansible write them another way, a shell runs them as before.
"""

from __future__ import annotations

import re
from typing import Any

_PATH = r"/[A-Za-z0-9_./-]+"
_TEMPORARY = r"ansible-tmp-[0-9.]+-[0-9]+-[0-9]+"

_MAKE = re.compile(
    rf'\( umask 77 && mkdir -p "` echo (?P<base>{_PATH}) `"&& mkdir "` echo (?P=base)/(?P<name>{_TEMPORARY}) `"'
    r' && echo (?P=name)="` echo (?P=base)/(?P=name) `" \)'
)
_ALLOW = re.compile(rf"chmod u\+rwx(?P<paths>(?: {_PATH}/{_TEMPORARY}(?:{_PATH})?/?)+)")
_REMOVE = re.compile(rf"rm -f -r (?P<path>{_PATH}/{_TEMPORARY})/ > /dev/null 2>&1")


def request(script: str) -> dict[str, Any] | None:
    """The agent's request for a script of Ansible's; ``None`` for any other."""
    if found := _MAKE.fullmatch(script):
        return {"do": "make", "base": found["base"], "name": found["name"]}
    if found := _ALLOW.fullmatch(script):
        return {"do": "allow", "paths": found["paths"].split()}
    if found := _REMOVE.fullmatch(script):
        return {"do": "remove", "path": found["path"]}
    return None
