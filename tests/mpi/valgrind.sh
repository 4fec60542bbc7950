#!/usr/bin/env bash
# With scripts/valgrind.supp valgrind tells what tasks do wrong, and nothing else.
# limit: 300
# build: plain
. tests/support/shell.sh

needs tests/mpi/faulty
command -v valgrind >/dev/null || skip "valgrind is not installed"
! grep -q __asan_init "$BUILD/tests/mpi/faulty" || skip "valgrind runs no program built with the address sanitizer"
mpirun --version 2>/dev/null | grep -q 'Open MPI) 4\.1\.' || skip "the suppressions are for Open MPI 4.1"

# Rank 0 runs no task and is clean; each worker runs two faulty ones: two errors, each with its
# function, and no other.
only_tasks_are_told_of()
{
    local log errors task ranks=0 clean=0
    TIMEOUT=280 scripts/mpirun.sh -n 3 valgrind --leak-check=full --suppressions=scripts/valgrind.supp \
        --log-file="$TMP/log.%p" "$BUILD/tests/mpi/faulty" || return 1
    for log in "$TMP"/log.*; do
        cat "$log" >&2
        ranks=$((ranks + 1))
        errors=$(sed -nE 's/.*ERROR SUMMARY: ([0-9]+) errors from ([0-9]+) contexts .*/\1 \2/p' "$log")
        if [ "$errors" = "0 0" ]; then
            clean=$((clean + 1))
            continue
        fi
        [ "$errors" = "2 2" ] || return 1
        for task in reads_past_end loses_block; do
            grep -q ": $task (faulty.c:" "$log" || return 1
        done
        grep -q '77 bytes in 1 blocks are definitely lost' "$log" || return 1
    done
    [ $ranks = 3 ] && [ $clean = 1 ]
}

check "valgrind tells of faulty tasks, and of nothing in MPI" only_tasks_are_told_of
