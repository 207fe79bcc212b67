"""Prints the programs that Ansible would send for modules: a JSON object with each program in Base64.

It is a separate process, because Ansible's loader would change how the tests import this collection.

usage: programs.py NAME=PATH:ARGUMENTS…   (arguments as JSON; without a path, a module of ansible-core)
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import ansible
from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

init_plugin_loader([])
programs = {}
for word in sys.argv[1:]:
    name, _, rest = word.partition("=")
    path, _, arguments = rest.partition(":")
    built = modify_module(
        module_name=name,
        module_path=path or f"{Path(ansible.__file__).parent}/modules/{name}.py",
        module_args={"_ansible_selinux_special_fs": [], **json.loads(arguments)},
        templar=Templar(loader=DataLoader(), variables={}),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
        remote_is_local=False,
    )
    programs[word] = base64.b64encode(built.b_module_data).decode()
json.dump(programs, sys.stdout)
