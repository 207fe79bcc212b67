#!/bin/sh
# Start an engine at the usual address of a machine, and run a command when the engine answers.
#   with_engine.sh FOLDER BYTES COMMAND...
# FOLDER can contain a program `engine`, which is started instead of `dockerd`, an archive `images.tar`, which is loaded
# into the engine, and a folder `tmp`. With this folder, the machine has its own /tmp. The data of the engine and this
# /tmp are in FOLDER. If BYTES is not 0, they are in memory instead, and BYTES is the limit for both.
set -eu
folder=$1 bytes=$2
shift 2

mkdir -p "$folder/data"
if [ "$bytes" != 0 ]; then
    # Tests create and remove many small files. In memory, this is much faster.
    mount -t tmpfs -o "size=$bytes" none "$folder/data"
fi
if [ -d "$folder/tmp" ]; then
    mkdir -m 1777 "$folder/data/tmp"
    mount --bind "$folder/data/tmp" /tmp
fi
mkdir -p "$folder/data/docker"
mount --bind "$folder/data/docker" /var/lib/docker
engine=dockerd
if [ -e "$folder/engine" ]; then
    engine=$folder/engine
fi
# Without the environment of pytest, which sets COLUMNS: `docker top` would cut lines there.
env --ignore-environment PATH="$PATH" "$engine" </dev/null >"$folder/log" 2>&1 &
left=600
until docker version >/dev/null 2>&1; do
    if ! kill -0 $! || [ $((left -= 1)) = 0 ]; then
        tail -n 20 "$folder/log" >&2
        exit 1
    fi
    sleep 0.1
done

if [ -e "$folder/images.tar" ]; then
    docker load --quiet --input "$folder/images.tar" >/dev/null
    rm "$folder/images.tar"
fi

"$@"
