#!/usr/bin/python3
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text import formatters


def main():
    AnsibleModule(argument_spec={}).exit_json(mark=getattr(formatters, "MARK", "the controller's own"))


if __name__ == "__main__":
    main()
