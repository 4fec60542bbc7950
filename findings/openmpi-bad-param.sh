#!/usr/bin/env bash
# Open MPI: mpirun reports an error of PMIx's ("BAD-PARAM") when a rank returns another status
# than 0.
#
# What it shows: under --enable-recovery a rank that calls MPI_Finalize and returns 3 makes mpirun
# print a line of the form
#   [host:pid] PMIX ERROR: BAD-PARAM in file .../pmix_event_notification.c at line 1033
# With status 0 nothing is printed. mpirun's event for the other ranks has a range that libpmix
# 4.2 refuses.
# Why it matters: the line looks like a fault of the program's, and ranks that registered a
# handler for such events may not hear of them.
# Versions: openmpi-bin 4.1.4-3+b1, libopenmpi-dev 4.1.4-3+b1, libpmix2 4.2.2-1+deb12u1 (Debian
# 12).
# Status: 0 it behaves so, 1 it behaves otherwise, 77 other versions are installed.
set -u

needs() # PACKAGE VERSION ...
{
    local have
    while [ $# -gt 1 ]; do
        have=$(dpkg-query -W -f '${Version}' "$1" 2>/dev/null)
        [ "$have" = "$2" ] || {
            echo "skip: $1 is ${have:-not installed} here: apt-get install $1=$2"
            exit 77
        }
        echo "$1 $2"
        shift 2
    done
}

# Says whether what was seen is what the head comment tells.
verdict() # EXPECTED SEEN
{
    printf 'seen:\n%s\n' "$2" | sed '2,$s/^/    /'
    [ "$1" = "$2" ] && exit 0
    printf 'this has changed; it was:\n%s\n' "$1" | sed '2,$s/^/    /'
    exit 1
}

needs openmpi-bin 4.1.4-3+b1 libopenmpi-dev 4.1.4-3+b1 libpmix2 4.2.2-1+deb12u1
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

cat >status.c <<'C'
#include <mpi.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int rank;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Finalize();
    return rank == 1 ? atoi(argv[1]) : 0;
}
C
mpicc status.c -o status || exit 1

seen=$(
    for status in 0 3; do
        echo "rank 1 returns $status: $(timeout -k 5 60 mpirun --oversubscribe --enable-recovery -n 2 ./status $status 2>&1 |
            grep -o 'PMIX ERROR: BAD-PARAM' | sort -u)"
    done
)
verdict "rank 1 returns 0: 
rank 1 returns 3: PMIX ERROR: BAD-PARAM" "$seen"
