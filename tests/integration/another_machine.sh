#!/bin/sh
# Run a command as on another machine, which has an engine and a network of its own; both end with the command.
#   another_machine.sh FOLDER BRIDGE ADDRESS GATEWAY COMMAND...
# FOLDER takes the engine's data, and may have an `images.tar` that the engine begins with. BRIDGE leads to other
# networks, ADDRESS is free there (172.17.255.254/16).
set -eu

if [ "$1" != within ]; then
    exec 9</proc/self/ns/net
    # Nothing survives the first process of a namespace, so nothing is left to clear up but the folder.
    exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" within "$@"
fi
folder=$2 bridge=$3 address=$4 gateway=$5
shift 5

link=tw$(printf %s "$folder" | cksum | cut -d ' ' -f 1)
ip link add "$link" type veth peer name eth0
ip link set "$link" netns /proc/self/fd/9
nsenter --net=/proc/self/fd/9 ip link set "$link" master "$bridge" up
exec 9<&-
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"

mount -t tmpfs -o mode=755 none /run
mkdir /run/lock "$folder/docker"
mount --bind "$folder/docker" /var/lib/docker
# Not what pytest tells its children: `docker top` cuts lines at COLUMNS.
env --ignore-environment PATH="$PATH" dockerd </dev/null >"$folder/log" 2>&1 &
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

# Not `exec`: the first process has to bury those that lose their parent, which Python would not.
"$@"
