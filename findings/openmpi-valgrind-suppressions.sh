#!/usr/bin/env bash
# Open MPI: the suppressions for valgrind that come with it suppress nothing of what MPI_Init and
# MPI_Finalize show.
#
# What it shows: valgrind --leak-check=full reports more than 20 errors in a program that calls
# MPI_Init_thread and MPI_Finalize and nothing else; with
# --suppressions=/usr/share/openmpi/openmpi-valgrind.supp as many (the components are unloaded
# before leaks are looked for, so that their functions have no names).
# Why it matters: the documentation (FAQ, "Is Open MPI Valgrind-clean?") names this file; an error
# of the program's is lost among the others.
# Versions: libopenmpi-dev 4.1.4-3+b1, openmpi-common 4.1.4-3, valgrind 1:3.19.0-1 (Debian 12).
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

needs libopenmpi-dev 4.1.4-3+b1 openmpi-common 4.1.4-3 valgrind 1:3.19.0-1
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

cat >nothing.c <<'C'
#include <mpi.h>

int main(int argc, char **argv)
{
    int given;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &given);
    MPI_Finalize();
    return 0;
}
C
mpicc -g nothing.c -o nothing || exit 1

errors() # OPTION...
{
    timeout -k 5 300 mpirun -n 1 valgrind --leak-check=full --log-file="$tmp/log" "$@" ./nothing >/dev/null 2>&1
    sed -nE 's/.*ERROR SUMMARY: ([0-9]+) errors.*suppressed: ([0-9]+) from.*/\1 \2/p' "$tmp/log"
}

read -r without _ <<<"$(errors)"
read -r with suppressed <<<"$(errors --suppressions=/usr/share/openmpi/openmpi-valgrind.supp)"
echo "errors: $without without the file, $with with it, $suppressed suppressed"
verdict "more than 20 errors: yes; as many with the file: yes; suppressed: 0" \
    "more than 20 errors: $([ "${without:-0}" -gt 20 ] && echo yes || echo no); as many with the file: $(
        [ "$without" = "$with" ] && echo yes || echo no
    ); suppressed: $suppressed"
