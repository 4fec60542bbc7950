#!/usr/bin/env bash
# MPICH of Debian 12: MPI_Comm_spawn always fails.
#
# What it shows: under mpiexec.mpich and alone, MPI_Comm_spawn of one copy of the program gives an
# error ("Error in spawn call") with MPI_ERRORS_RETURN.
# Why it matters: programs that make their workers by spawning cannot run on this package,
# whatever the launcher is.
# Versions: mpich 4.0.2-3+b1, libmpich-dev 4.0.2-3+b1 (Debian 12).
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

needs mpich 4.0.2-3+b1 libmpich-dev 4.0.2-3+b1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

cat >spawn.c <<'C'
#include <mpi.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    MPI_Comm parent, children;
    int error, length;
    char text[MPI_MAX_ERROR_STRING] = "";

    MPI_Init(&argc, &argv);
    MPI_Comm_get_parent(&parent);
    if (parent == MPI_COMM_NULL) {
        MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
        error = MPI_Comm_spawn(argv[0], MPI_ARGV_NULL, 1, MPI_INFO_NULL, 0, MPI_COMM_SELF, &children, MPI_ERRCODES_IGNORE);
        if (error != MPI_SUCCESS)
            MPI_Error_string(error, text, &length);
        puts(error == MPI_SUCCESS ? "spawned" : strstr(text, "Error in spawn call") ? "Error in spawn call" : text);
        fflush(stdout);
    }
    MPI_Finalize();
    return 0;
}
C
mpicc.mpich spawn.c -o spawn || exit 1
verdict "mpiexec: Error in spawn call
alone: Error in spawn call" "mpiexec: $(timeout -k 5 300 mpiexec.mpich -n 1 ./spawn)
alone: $(timeout -k 5 300 ./spawn)"
