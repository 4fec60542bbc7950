#!/usr/bin/env bash
# Programs under rankpool launch that end against MPI's rules, or leave a process: the job ends, its
# output too, and its status is rank 0's.
#   RUNS=n tests/mpi/unfinished.sh     by hand: n runs of each
# limit: 300
# build: sanitized
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
: "${RUNS:=1}"
count=0
slowest=0 # milliseconds

# The reader of a pipe waits until no process has its other end.
piped() # WHAT
{
    set -o pipefail
    MARK=$mark timeout -k 5 60 "$BUILD/rankpool" launch -n 4 "$BUILD/tests/mpi/unfinished" "$1" </dev/null | cat
}

# The job ends within SECONDS, on a busy machine; STAYS: a process that left it on purpose may stay.
ends() # NAME SECONDS WHAT [STAYS]
{
    local turn rc begin took
    for ((turn = 0; turn < RUNS; turn++)); do
        mark=$$-$((++count))
        begin=${EPOCHREALTIME/./}
        run piped "$3"
        took=$(((${EPOCHREALTIME/./} - begin) / 1000))
        [ $took -le $slowest ] || slowest=$took
        if [ "$rc" != 7 ]; then
            not_ok "$1" "status $rc, not 7, after $took ms"
        elif [ $took -gt $(($2 * 1000)) ]; then
            not_ok "$1" "it took $took ms"
        elif [ -z "${4:-}" ] && ! gone "$mark" 5; then
            not_ok "$1" "a process is left"
        else
            ok "$1"
        fi
        marked "$mark" | xargs -r kill -KILL
    done
}

ends "MPI is not initialised" 20 plain
ends "MPI is not finalised" 20 exit
ends "every rank ends by _exit" 20 quick
ends "a pool, and MPI is not finalised" 20 pool
ends "a pool that is not closed, and MPI is not finalised" 20 open
ends "a daemon of rank 0's holds its output" 25 daemon stays
ends "a child of rank 0's holds its output" 25 child
ends "a child of each rank's, from before MPI_Init" 25 ahead
ends "workers that ignore signals" 25 deaf
ends "workers that wait in MPI" 25 barrier
ends "workers that are stopped" 25 stopped
echo "the slowest took $slowest ms"
