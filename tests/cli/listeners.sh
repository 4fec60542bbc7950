#!/usr/bin/env bash
# Where rankpool launch listens for its ranks: on loopback, and on the addresses that its ways to
# the other hosts leave from; nowhere else.
# limit: 240
# build: sanitized
# shellcheck disable=SC2016 # for the ranks' shells
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
rankpool=$BUILD/rankpool

# The addresses of a process's TCP sockets in a state of the kernel's: 0A listening, 01 connected;
# one a line.
sockets() # PID STATE
{
    find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n' |
        awk -v state="$2" 'NR == FNR { own[$1]; next } $4 == state && $10 in own { print $2 }' - "/proc/$1/net/tcp" "/proc/$1/net/tcp6" |
        while IFS=: read -r hex _; do
            if [ ${#hex} = 8 ]; then
                printf '%d.%d.%d.%d\n' "0x${hex:6:2}" "0x${hex:4:2}" "0x${hex:2:2}" "0x${hex:0:2}"
            else
                echo "$hex"
            fi
        done
}

listening() # PID: on one line
{
    sockets "$1" 0A | sort -V | paste -sd' '
}

# While the job runs: its launcher, which the command becomes, listens at these addresses, and every
# rank has come.
listens() # NAME RANKS ADDRESSES COMMAND-UP-TO-LAUNCH'S-OPTIONS...
{
    local name=$1 ranks=$2 want=$3 rc=0 pid at came=0 end=$((SECONDS + 30))
    shift 3
    rm -f "$TMP/ready" "$TMP/go"
    "$@" sh -c '[ $OMPI_COMM_WORLD_RANK != 0 ] || : >"$1/ready"; until [ -e "$1/go" ]; do sleep 0.1; done; exit 7' rank "$TMP" \
        >"$TMP/out" 2>"$TMP/err" </dev/null &
    pid=$!
    until [ "$came" = "$ranks" ] && [ -e "$TMP/ready" ]; do
        if [ $SECONDS -ge $end ] || ! kill -0 $pid 2>/dev/null; then break; fi
        sleep 0.1
        came=$(sockets $pid 01 | wc -l)
    done
    at=$(listening $pid)
    : >"$TMP/go"
    { wait $pid || rc=$?; } 2>/dev/null
    if [ "$at" != "$want" ]; then
        not_ok "$name" "it listens at $at, not at $want"
    elif [ "$came" != "$ranks" ]; then
        not_ok "$name" "$came of $ranks ranks came"
    elif [ $rc != 7 ]; then
        not_ok "$name" "status $rc"
    else
        ok "$name"
    fi
}

listens "every rank here" 3 127.0.0.1 "$rankpool" launch -n 3
listens "this host, by its names" 3 127.0.0.1 "$rankpool" launch -n 3 --hosts "$(hostname):1,localhost:2"
listens "words for mpirun that name no host" 2 127.0.0.1 "$rankpool" launch -n 2 --mpirun-arg --tag-output

three_hosts
trap 'kill -KILL $(jobs -p) 2>/dev/null; scripts/hosts down "$cluster"; rm -rf "$TMP"' EXIT
net=10.77.$(cat "$cluster/number")
on_n0=(scripts/hosts run "$cluster" n0)

# n0 has addresses that lead to no host of a job, and others of the same bridge; n2 is reached by
# one of these.
"${on_n0[@]}" ip link add other type veth peer name wire
"${on_n0[@]}" ip addr add 10.78.0.1/24 dev other
"${on_n0[@]}" ip link set other up
"${on_n0[@]}" ip addr add 10.79.0.1/24 dev eth0
scripts/hosts run "$cluster" n2 ip addr add 10.79.0.3/24 dev eth0
[ "$("${on_n0[@]}" hostname -I | wc -w)" = 3 ] || not_ok "three addresses" "they cannot be given"

listens "three hosts by one interface" 4 "$net.1 127.0.0.1" "${on_n0[@]}" "$rankpool" launch -n 4 --hosts n0:1,n1:2,n2:1
listens "rank 0 elsewhere" 2 "$net.1 127.0.0.1" "${on_n0[@]}" "$rankpool" launch -n 2 --hosts n1:1,n2:1
printf '# hosts\nn0 slots=1\n  n1 slots=1\n' >"$TMP/hostfile"
listens "a file of hosts" 2 "$net.1 127.0.0.1" "${on_n0[@]}" "$rankpool" launch -n 2 --mpirun-arg --hostfile --mpirun-arg "$TMP/hostfile"
listens "one host of three" 2 127.0.0.1 "${on_n0[@]}" "$rankpool" launch -n 2 --hosts n0:2
sed "s/^[0-9.]* n2$/10.79.0.3 n2/" "$cluster/etc_hosts" >"/etc/netns/rankpool$(cat "$cluster/number")-n0/hosts"
listens "hosts by two addresses" 3 "$net.1 10.79.0.1 127.0.0.1" "${on_n0[@]}" "$rankpool" launch -n 3 --hosts n0:1,n1:1,n2:1

refuse "a host without an address" 'no address of this host leads to nowhere.invalid \(' \
    timeout -k 5 40 "${on_n0[@]}" "$rankpool" launch -n 2 --hosts n0:1,nowhere.invalid:1 true
refuse "a host without a route" 'no address of this host leads to 192.0.2.7 \(Network is unreachable\)' \
    timeout -k 5 40 "${on_n0[@]}" "$rankpool" launch -n 2 --hosts n0:1,192.0.2.7:1 true
