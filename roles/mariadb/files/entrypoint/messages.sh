# Messages of the entrypoint. They go to standard error, like the log of the server.
# shellcheck shell=bash

note() {
    printf '%s [entrypoint] %s\n' "$(date +'%F %T')" "$*" >&2
}

die() {
    note "ERROR: $*"
    exit 1
}
