#!/bin/sh
# Removes the setuid and setgid bits from programs on the root file system, except from those whose
# paths are the arguments. Prints the path of each changed program. The change is registered with
# dpkg, so that an upgrade of the package does not restore the bits.
set -eu

is_allowed() {
    wanted=$1
    shift
    for allowed; do
        [ "$allowed" != "$wanted" ] || return 0
    done
    return 1
}

# Prints the path under which dpkg lists the file. With a merged /usr, older packages list /bin/su for /usr/bin/su.
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
