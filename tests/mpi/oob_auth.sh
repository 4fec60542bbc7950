#!/usr/bin/env bash
# Strangers at rank 0's side channel, at a pool's opening and while it works and awaits a new
# worker: it listens on no other address than it must, lets none in, works on, and says one line
# about it.
# limit: 600
# build: sanitized
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
strangers=$BUILD/tests/mpi/oob_auth

# Where rank 0 listens, the first time, the second time; empty: it did not within 60 s.
door() # NUMBER
{
    local end=$((SECONDS + 60))
    until [ "$(wc -l 2>/dev/null <"$TMP/doors")" -ge "$1" ] || [ $SECONDS -ge $end ]; do sleep 0.02; done 2>/dev/null
    sed -n "$1p" "$TMP/doors" 2>/dev/null
}

# All that strangers can do there, from each of the places that COMMAND... leads to.
visited() # NAME NUMBER ADDRESS [ELSEWHERE...]
{
    local name="$1, door $2" number=$2 address=$3 ip port
    shift 3
    read -r ip port <<<"$(door "$number")"
    if [ "$ip" != "$address" ]; then
        not_ok "$name" "rank 0 listens at '$ip', not at $address"
    else
        ok "$name: it listens at $address"
        check "$name: a port scan" "$@" timeout -k 5 100 "$strangers" scan "$ip"
        check "$name: tokens, garbage, crowds" "$@" timeout -k 5 100 "$strangers" call "$ip" "$port"
        cat "$TMP/out"
    fi
    : >"$TMP/over.$number"
}

# A job to which they come twice.
receives() # NAME ADDRESS WAY-TO-THE-JOB -- WAY-OF-STRANGERS... ; the job's command is in job()
{
    local name=$1 address=$2 rc pid
    shift 2
    rm -f "$TMP"/doors "$TMP"/over.*
    job >"$TMP/said" 2>"$TMP/told" </dev/null &
    pid=$!
    visited "$name" 1 "$address" "$@"
    visited "$name" 2 "$address" "$@"
    rc=0
    wait $pid || rc=$?
    cat "$TMP/said" "$TMP/told" >"$TMP/err"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif ! grep -q ' 0 lost, 1 respawned$' "$TMP/said" || ! grep -q '^close: fine' "$TMP/said"; then
        not_ok "$name" "a worker more was lost, or the pool was not closed well"
    elif [ "$(grep -c "connections to $address:.* that did not show the pool's token were closed" "$TMP/told")" != 2 ]; then
        not_ok "$name" "not one line about each time"
    elif [ "$(grep -c '^rankpool: ' "$TMP/told")" -gt 4 ]; then # and the loss, and the replacement
        not_ok "$name" "more lines than that"
    else
        ok "$name ($(sed -n 's/^\(.* meanwhile, .*\)/\1/p' "$TMP/said"))"
    fi
}

job()
{
    timeout -k 5 280 "$BUILD/rankpool" launch -n 4 "$strangers" pool "$TMP"
}
receives "one host" 127.0.0.1

three_hosts
job()
{
    timeout -k 5 280 scripts/hosts run "$cluster" n0 \
        "$BUILD/rankpool" launch -n 5 --hosts n0:1,n1:2,n2:2 "$strangers" pool "$TMP"
}
receives "three hosts" "10.77.$(cat "$cluster/number").1" scripts/hosts run "$cluster" n1
