#!/usr/bin/python3
import sys

from ansible.module_utils.basic import AnsibleModule  # noqa: F401

if __name__ == "__main__":
    print("this is no JSON")
    sys.exit("and this is why")
