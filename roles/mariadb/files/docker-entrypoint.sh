#!/bin/bash
# Starts MariaDB in a container, never as root. If the data directory is empty, first creates the databases and
# accounts that the MARIADB_... variables define.
set -Eeuo pipefail

parts=/usr/local/lib/mariadb-entrypoint
# read_server_options sets these variables, for all parts.
# shellcheck disable=SC2034
data_directory='' socket='' port=''

for part in messages settings server scripts initialise upgrade; do
    # shellcheck source=/dev/null
    . "$parts/$part.sh"
done

asks_only_for_text() {
    local argument
    for argument; do
        case $argument in
            --help | -\? | --version | -V | --print-defaults) return 0 ;;
        esac
    done
    return 1
}

# Root gives the directories to mysql, and starts this script again as mysql. The settings must be read
# before, because often only root can read the files of secrets.
become_mysql() {
    local directory
    directory=$(socket_directory)
    mkdir -p "$data_directory" ${directory:+"$directory"}
    find "$data_directory" ! -user mysql -exec chown --no-dereference mysql {} + ||
        die "cannot give $data_directory to the user mysql. Allow the capability CHOWN, or start" \
            "the container as the owner of its volume: --user \$(stat -c %u:%g VOLUME)."
    # A shared directory such as /tmp is writable already.
    [ -z "$directory" ] || as_mysql test -w "$directory" || chown mysql "$directory"
    exec setpriv --reuid=mysql --regid=mysql --init-groups -- "$0" mariadbd "$@"
}

# Makes a command end on SIGTERM, so that a container stops at once during initialisation or upgrade. This needs a
# trap: bash as process 1 has no default action for SIGTERM.
run_interruptibly() {
    "$@" &
    local job=$!
    trap 'kill -TERM "$job" 2>/dev/null; wait "$job"; exit 143' TERM INT
    wait "$job"
    trap - TERM INT
}

main() {
    case ${1:-} in
        '' | -*) set -- mariadbd "$@" ;;
        mysqld) shift && set -- mariadbd "$@" ;;
    esac
    if [ "$1" != mariadbd ] || asks_only_for_text "$@"; then
        exec "$@"
    fi
    shift

    as_mysql true 2>/dev/null || die "root cannot become mysql: allow the capabilities SETUID" \
        "and SETGID, or start the container with --user mysql."
    read_server_options "$@"
    if [ "$(id -u)" = 0 ]; then
        is_initialised || load_settings
        become_mysql "$@"
    fi
    require_writable "$data_directory"
    [ -z "$(socket_directory)" ] || require_writable "$(socket_directory)"
    finish_interrupted_adoption
    if is_initialised; then
        run_interruptibly upgrade_if_asked "$@"
    else
        load_settings
        run_interruptibly initialise "$@"
        # A sourced script may have ended the shell.
        is_initialised || die "a script in /docker-entrypoint-initdb.d has ended the initialisation: the last script that" \
            "is named above. Use 'return' instead of 'exit' in it, or make it executable."
    fi
    forget_settings
    exec mariadbd "$@"
}

main "$@"
