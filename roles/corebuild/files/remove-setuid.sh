#!/bin/sh
# Takes the setuid and setgid bits from the programs on the root file system, except from those
# whose paths are the arguments, and prints the path of each program that it changes.
# dpkg is told, so that an upgrade of the package does not bring the bits back.
set -eu

is_allowed() {
    wanted=$1
    shift
    for allowed; do
        [ "$allowed" != "$wanted" ] || return 0
    done
    return 1
}

# The name by which dpkg knows the file: where /usr is merged, older packages say /bin/su.
name_in_dpkg() {
    command -v dpkg-query >/dev/null || return 1
    for name in "$1" "${1#/usr}"; do
        if dpkg-query --search "$name" >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return
        fi
    done
    return 1
}

find / -xdev -type f -perm /6000 | LC_ALL=C sort | while IFS= read -r path; do
    if is_allowed "$path" "$@"; then
        continue
    fi
    chmod ug-s "$path"
    if name=$(name_in_dpkg "$path"); then
        dpkg-statoverride --quiet --remove "$name" >/dev/null 2>&1 || true
        dpkg-statoverride --add "$(stat -c %U "$path")" "$(stat -c %G "$path")" \
            "$(stat -c %a "$path")" "$name"
    fi
    printf '%s\n' "$path"
done
