#!/bin/sh
# Makes Git repositories in FOLDER out of the sources beside this script: what stands for https://git.example.com/.
# Author and times are fixed, so the same sources give the same commits.
set -eu

folder=${1:?usage: repositories.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=Acme GIT_AUTHOR_EMAIL=acme@example.com GIT_AUTHOR_DATE='2026-11-02T09:00:00Z'
export GIT_COMMITTER_NAME=Acme GIT_COMMITTER_EMAIL=acme@example.com GIT_COMMITTER_DATE='2026-11-02T09:00:00Z'

repository() { # source, place below FOLDER, tag
    mkdir -p "$folder/$2"
    cp -R "$here/$1/." "$folder/$2"
    git -C "$folder/$2" init --quiet --initial-branch main
    git -C "$folder/$2" add --all
    git -C "$folder/$2" commit --quiet --message "$3"
    git -C "$folder/$2" tag "$3"
    echo "$(git -C "$folder/$2" rev-parse HEAD) $2 $3"
}

repository static_site platform/static_site.git v2.0.1
repository web acme/web.git 1.2.0
