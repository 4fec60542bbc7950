#!/usr/bin/env bash
# Open MPI: a C++ program that only includes mpi.h needs -lmpi_cxx, which mpicc does not name.
#
# What it shows: mpi.h brings in the C++ bindings, which MPI-3 has removed, with inline functions
# and tables that refer to MPI::Comm and others. A C++ source that calls two C functions does not
# link with what "mpicc --showme:link" says; with -DOMPI_SKIP_MPICXX, or with -lmpi_cxx, it does.
# Why it matters: a C library's header that includes mpi.h makes every C++ program that uses it
# need a library that it does not know of.
# Versions: libopenmpi-dev 4.1.4-3+b1 (Debian 12); g++ 12.
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

needs libopenmpi-dev 4.1.4-3+b1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

cat >uses.cc <<'C'
#include <mpi.h>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Finalize();
    return 0;
}
C
read -ra compile <<<"$(mpicc --showme:compile)"
read -ra link <<<"$(mpicc --showme:link)"

links() # OPTION...
{
    if g++ "${compile[@]}" uses.cc "${link[@]}" "$@" -o uses 2>errors; then
        echo yes
    else
        echo "no, $(grep -o 'undefined reference to .MPI::Comm::Comm()' errors | sort -u | tr -d '\140\47')"
    fi
}
verdict "as mpicc says: no, undefined reference to MPI::Comm::Comm()
with -DOMPI_SKIP_MPICXX: yes
with -lmpi_cxx: yes" "as mpicc says: $(links)
with -DOMPI_SKIP_MPICXX: $(links -DOMPI_SKIP_MPICXX)
with -lmpi_cxx: $(links -lmpi_cxx)"
