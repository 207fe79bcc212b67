#!/bin/bash
# Puts WordPress into the current directory if there is none, writes wp-config.php if variables named
# WORDPRESS_... ask for it, and becomes the program that the arguments name.
# It does so before apache2... and php-fpm only, or without a program as docker-ensure-installed.sh.
# An installation that is there already is never changed, an older one neither.
set -Eeuo pipefail

source_directory=/usr/src/wordpress

say() {
    printf '%s\n' "$*" >&2
}

sets_up() {
    [[ ${1-} == apache2* || ${1-} == php-fpm || ${0##*/} == docker-ensure-installed.sh ]]
}

# Root works for the user that Apache becomes; any other user can only work for itself.
find_owner() {
    user=$(id -u) group=$(id -g)
    if [ "$user" = 0 ]; then
        user=${APACHE_RUN_USER:-www-data} group=${APACHE_RUN_GROUP:-www-data}
        # Apache's way to write a number.
        user=${user#\#} group=${group#\#}
    fi
}

# Lists what to copy from the current directory to the first argument, ended by zeros, without the paths in the
# other arguments. Only its owner may change a directory that is there, "." first of all, so tar must not see it;
# root may. The two files that tell an installation come last: a copy that was interrupted is done again.
list_source() {
    local target=$1 path kind excluded=()
    shift
    for path in "$@"; do
        excluded+=(-path "./$path" -prune -o)
    done
    find . -mindepth 1 "${excluded[@]}" ! -path ./index.php ! -path ./wp-includes/version.php -printf '%y%P\0' |
        while IFS= read -r -d '' path; do
            kind=${path:0:1} path=${path:1}
            if [ "$kind" != d ] || [ ! -d "$target/$path" ] || [ "$(id -u)" = 0 ]; then
                printf '%s\0' "$path"
            fi
        done
    printf '%s\0' index.php wp-includes/version.php
}

copy_wordpress() {
    local target=$PWD path present=()
    say "WordPress not found in $PWD - copying now..."
    if [ -n "$(find . -mindepth 1 -maxdepth 1 ! -name wp-content -print -quit)" ]; then
        say "WARNING: $PWD is not empty! (copying anyhow)"
    fi

    for path in "$source_directory"/.htaccess "$source_directory"/wp-content/*/*/; do
        path=${path#"$source_directory/"} path=${path%/}
        if [ -e "$source_directory/$path" ] && [ -e "$path" ]; then
            say "WARNING: '$PWD/$path' exists! (not copying the WordPress version)"
            present+=("$path")
        fi
    done

    # tar would say so for each of thousands of files, and end with this status.
    if [ ! -w . ]; then
        say "ERROR: user $(id -u):$(id -g) may not write to $PWD. Give the directory to this user or, if the user" \
            "is in group 0, to group 0; or mount it without 'ro'."
        exit 2
    fi
    if [ "$(id -u)" = 0 ] && [ "$(stat --format=%u:%g .)" = 0:0 ]; then
        chown "$user:$group" .
    fi
    (cd "$source_directory" && list_source "$target" "${present[@]}") |
        tar --create --directory="$source_directory" --no-recursion --owner="$user" --group="$group" \
            --null --files-from=- |
        tar --extract --preserve-permissions
    if [ "$(id -u)" != 0 ]; then
        # The image leaves these open to every user, and WordPress gives uploads the mode of their directory.
        find wp-content -maxdepth 1 -type d -user "$(id -u)" -perm 1777 -exec chmod 775 {} +
        [ -e wp-content/uploads ] || mkdir -m 775 wp-content/uploads
    fi
    say "Complete! WordPress has been successfully copied to $PWD"
}

random_phrase() {
    head --bytes=64 /dev/urandom | sha1sum | cut --delimiter=' ' --fields=1
}

write_config() {
    local names=("${!WORDPRESS_@}") template config phrase='put your unique phrase here'
    if [ -s wp-config.php ] || [ ${#names[@]} -eq 0 ]; then
        return
    fi
    for template in wp-config-docker.php "$source_directory/wp-config-docker.php"; do
        [ -s "$template" ] || continue
        say "No 'wp-config.php' found in $PWD, but 'WORDPRESS_...' variables supplied;" \
            "copying '$template' (${names[*]})"
        config=$(<"$template")
        while [[ $config == *"$phrase"* ]]; do
            config=${config/"$phrase"/"$(random_phrase)"}
        done
        printf '%s\n' "$config" >wp-config.php
        if [ "$(id -u)" = 0 ]; then
            # A mounted file may belong to somebody else for good.
            chown "$user:$group" wp-config.php || true
        fi
        return
    done
}

set_up() {
    # Process 1 has no default action for signals.
    trap 'exit 143' TERM
    trap 'exit 130' INT
    local user group
    find_owner
    if ! [ -e index.php ] && ! [ -e wp-includes/version.php ]; then
        copy_wordpress
    fi
    write_config
}

# Before a document root is filled for it.
if [ $# -gt 0 ] && ! command -v -- "$1" >/dev/null; then
    say "ERROR: this image has no program '$1'. Leave the command out to run WordPress with Apache, or name php-fpm to run" \
        "PHP-FPM alone where the image has it."
    exit 127
fi
if sets_up "$@"; then
    set_up
fi
exec "$@"
