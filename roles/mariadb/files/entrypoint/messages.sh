# Messages of the entrypoint: notes on standard output, errors on standard error.
# shellcheck shell=bash

note() {
    printf '%s [entrypoint] %s\n' "$(date +'%F %T')" "$*"
}

die() {
    note "ERROR: $*" >&2
    exit 1
}
