#!/usr/bin/env bash
# What config.trace tells of lost workers and of tasks that end badly.
# limit: 240
# build: sanitized
# machine: alone
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

traced() # RANKS KIND
{
    local rc=0
    timeout -k 5 120 "$BUILD/rankpool" launch -n "$1" "$BUILD/tests/mpi/traced" "$2" "$TMP/$2.json" >"$TMP/said" || rc=$?
    cat "$TMP/said" >&2
    return $rc
}

check "workers lost, replaced, given up for silence; tasks lost, retried, cancelled, too long" traced 5 faults
check "children that crash, and that are killed" traced 3 crash
check "no worker is left" traced 3 end
