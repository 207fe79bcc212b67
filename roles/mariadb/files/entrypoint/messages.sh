# Messages of the entrypoint: what happens goes to the standard output, errors to standard error.
# shellcheck shell=bash

note() {
    printf '%s [entrypoint] %s\n' "$(date +'%F %T')" "$*"
}

die() {
    note "ERROR: $*" >&2
    exit 1
}
