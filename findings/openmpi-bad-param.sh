#!/usr/bin/env bash
# Open MPI: mpirun reports an error of PMIx's ("BAD-PARAM") when a rank ends early.
#
# What it shows: under --enable-recovery a rank that leaves by _exit(3) while the other works
# makes mpirun print a line of the form
#   [host:pid] PMIX ERROR: BAD-PARAM in file .../pmix_event_notification.c at line 1033
# Where both stay nothing is printed. mpirun's event for the other ranks has a range that libpmix
# 4.2 refuses. (A rank that returns 3 after MPI_Finalize has the line printed in some runs only.)
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

cat >leaves.c <<'C'
#include <mpi.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int rank;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1 && argc > 1)
        _exit(3);
    sleep(3);
    if (argc == 1)
        MPI_Finalize();
    _exit(0);
}
C
mpicc leaves.c -o leaves || exit 1

says() # ARGUMENT...
{
    timeout -k 5 300 mpirun --oversubscribe --enable-recovery -n 2 ./leaves "$@" 2>&1 |
        grep -o 'PMIX ERROR: BAD-PARAM' | sort -u | grep . || echo nothing
}
verdict "both stay: nothing
rank 1 leaves: PMIX ERROR: BAD-PARAM" "both stay: $(says)
rank 1 leaves: $(says early)"
