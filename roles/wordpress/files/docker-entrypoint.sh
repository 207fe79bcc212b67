#!/bin/bash
# Copies WordPress to the current directory if it contains none, writes wp-config.php if WORDPRESS_...
# variables are set, and executes the program in the arguments. It copies and writes only for the programs
# apache2... and php-fpm, or if it is called as docker-ensure-installed.sh. An existing installation is
# never changed, even if it is an older version. With WORDPRESS_DB_UPGRADE=1, also upgrades the tables in the
# database before the server starts.
set -Eeuo pipefail

source_directory=/usr/src/wordpress

say() {
    printf '%s\n' "$*" >&2
}

sets_up() {
    [[ ${1-} == apache2* || ${1-} == php-fpm || ${0##*/} == docker-ensure-installed.sh ]]
}

# Sets the owner of the files. For root, this is the user of Apache; any other user can only create its own files.
find_owner() {
    user=$(id -u) group=$(id -g)
    if [ "$user" = 0 ]; then
        user=${APACHE_RUN_USER:-www-data} group=${APACHE_RUN_GROUP:-www-data}
        # Apache writes a numeric user as #1000.
        user=${user#\#} group=${group#\#}
    fi
}

# list_source TARGET [EXCLUDED...]: lists the paths to copy from the current directory to TARGET, each terminated by
# a zero byte. Existing directories are omitted, because tar would change them, and only the owner may do that; root
# may change all. The two files that identify an installation come last: then an interrupted copy is done again.
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

    # The source may show the same volume, and then tar would replace files while it reads them.
    if [ -e wp-content/uploads ]; then
        present+=(wp-content/uploads)
    fi
    for path in "$source_directory"/.htaccess "$source_directory"/wp-content/*/*/; do
        path=${path#"$source_directory/"} path=${path%/}
        [[ $path != wp-content/uploads/* ]] || continue
        if [ -e "$source_directory/$path" ] && [ -e "$path" ]; then
            say "WARNING: '$PWD/$path' exists! (not copying the WordPress version)"
            present+=("$path")
        fi
    done

    # Otherwise, tar would print an error for each of thousands of files, and end with the same status.
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
        # In the image, every user may write to these directories. WordPress gives uploads the mode of their directory.
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
            # The owner of a mounted file may be fixed.
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
    if [ "${WORDPRESS_DB_UPGRADE-}" = 1 ] && [ $# -gt 0 ]; then
        # In the background, because the traps above work only while the shell waits.
        wordpress-upgrade-database &
        wait $! || exit 1
    fi
}

# This check comes before the document root is filled for the program.
if [ $# -gt 0 ] && ! command -v -- "$1" >/dev/null; then
    say "ERROR: this image has no program '$1'. Omit the command to run WordPress with Apache, or use php-fpm to run" \
        "only PHP-FPM, if the image contains it."
    exit 127
fi
if sets_up "$@"; then
    set_up "$@"
fi
exec "$@"
