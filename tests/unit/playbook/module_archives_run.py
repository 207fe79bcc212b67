"""A run of Ansible that makes the archives of modules: `module_archives_run.py ROLES MODULE=PATH…`.

It prints, as JSON, how many archives it got from earlier runs, the digest of the archive of each module, and the names
of the modules whose archive it made itself. It is a separate process, because Ansible's folder for temporary files is
the same for the whole process.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import ansible
from ansible.executor import module_common
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar

init_plugin_loader([])
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.playbook.module_archives import (  # noqa: E402
    keep_archives,
    restore_archives,
)

made: list[str] = []
find = module_common.recursive_finder


def note(name: str, *arguments: object, **options: object) -> object:
    made.append(name)
    return find(name, *arguments, **options)


module_common.recursive_finder = note
digests = {}
restored = restore_archives([Path(name) for name in sys.argv[1].split(":") if name])
for word in sys.argv[2:]:
    module, _, path = word.partition("=")
    built = module_common.modify_module(
        module_name=module,
        module_path=path or f"{Path(ansible.__file__).parent}/modules/{module}.py",
        module_args={},
        templar=Templar(loader=DataLoader(), variables={}),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
        remote_is_local=False,
    )
    archive = re.search(rb"zip_data='([^']+)'", built.b_module_data)[1]
    digests[module] = hashlib.sha256(archive).hexdigest()
keep_archives()
json.dump({"restored": restored, "digests": digests, "made": made}, sys.stdout)
