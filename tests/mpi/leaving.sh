#!/usr/bin/env bash
# Calls on a pool after exit() has begun, and up to the process's end: each is answered, and the
# process ends.
# limit: 400
. tests/support/shell.sh

with_leaks
export TIMEOUT=60
leaving=$BUILD/tests/mpi/leaving

on() # RANKS WHEN [HOW]
{
    if [ "$1" = alone ]; then
        timeout -k 5 "$TIMEOUT" "$leaving" "${@:2}"
    else
        scripts/mpirun.sh -n "$1" "$leaving" "${@:2}"
    fi
}

answered() # RANKS WHEN [HOW]
{
    local rc name="${*:2}, on $1"
    run on "$@"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif ! grep -qx 'every call was answered' "$TMP/out"; then
        not_ok "$name" "no word of it"
    else
        ok "$name"
    fi
}

for ranks in alone 3; do
    for when in before after destructor callback; do
        answered $ranks $when
    done
    answered $ranks before waiting
    answered $ranks destructor isolated
done
answered alone twice
answered alone twice isolated
