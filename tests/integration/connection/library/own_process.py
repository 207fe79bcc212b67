#!/usr/bin/python3
"""Report the environment of the process in which the module runs."""

import os
import sys

from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(argument_spec={})
    os.environ["LEFT_BEHIND"] = "by the module before"
    sys.modules["left_behind"] = sys
    module.exit_json(
        mark=os.environ.get("MARK"),
        first="/nonexistent/first" in sys.path,
        argv=len(sys.argv),
        name=__name__,
        stdin=sys.stdin.read(),
        seen=sorted(set(os.environ) & {"MARK", "PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONHOME"}),
    )


if __name__ == "__main__":
    main()
