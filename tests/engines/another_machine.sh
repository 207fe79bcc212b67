#!/bin/sh
# Run a command as on another machine with its own network. All processes that it starts end with it.
#   another_machine.sh NAME BRIDGE ADDRESS GATEWAY COMMAND...
# NAME is unique. BRIDGE connects to other networks, and ADDRESS is free there (172.17.255.254/16).
set -eu

if [ "$1" != within ]; then
    exec 9</proc/self/ns/net
    # All processes of a namespace end with its first process, so only files have to be removed afterwards.
    exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" within "$@"
fi
name=$2 bridge=$3 address=$4 gateway=$5
shift 5

link=tw$(printf %s "$name" | cksum | cut -d ' ' -f 1)
ip link add "$link" type veth peer name eth0
ip link set "$link" netns /proc/self/fd/9
nsenter --net=/proc/self/fd/9 ip link set "$link" master "$bridge" up
exec 9<&-
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"

mount -t tmpfs -o mode=755 none /run
mkdir /run/lock

# Not `exec`: the first process must reap orphaned processes, and Python would not do that.
"$@"
