#!/usr/bin/env bash
# MPICH of Debian 12: MPI_Comm_spawn always fails.
#
# What it shows: under mpiexec.mpich and alone, MPI_Comm_spawn of one copy of the program gives an
# error ("Error in spawn call") with MPI_ERRORS_RETURN.
# Why it matters: programs that make their workers by spawning cannot run on this package,
# whatever the launcher is.
# Versions: mpich 4.0.2-3+b1, libmpich-dev 4.0.2-3+b1 (Debian 12).
# Status: 0 it behaves so, 1 it behaves otherwise, 77 apt-get does not have these versions.
set -u

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
lib=$root/usr/lib/x86_64-linux-gnu

# Unpacks packages into $root, from where they run; nothing is installed.
unpack() # PACKAGE=VERSION ...
{
    local file

    mkdir "$tmp/debs" && cd "$tmp/debs" || exit 1
    apt-get -qq download "${@/=/:amd64=}" 2>errors || {
        echo "skip: apt-get cannot download this (on Debian 12, amd64, it can, after apt-get update):"
        sed -nE 's/^E: ((Version|Unable to locate).*)/    \1/p' errors
        exit 77
    }
    for file in *.deb; do
        dpkg -x "$file" "$root" || exit 1
    done
    cd "$tmp" || exit 1
    echo "unpacked: $*"
    export PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$lib:$root/lib/x86_64-linux-gnu
}

# Says whether what was seen is what the head comment tells.
verdict() # EXPECTED SEEN
{
    printf 'seen:\n%s\n' "$2" | sed '2,$s/^/    /'
    [ "$1" = "$2" ] && exit 0
    printf 'this has changed; it was:\n%s\n' "$1" | sed '2,$s/^/    /'
    exit 1
}

unpack mpich=4.0.2-3+b1 libmpich12=4.0.2-3+b1 libmpich-dev=4.0.2-3+b1 libucx0=1.13.1-1 \
    libhwloc15=2.9.0-1 libslurm38=22.05.8-4+deb12u3 libgfortran5=12.2.0-14+deb12u1 \
    libquadmath0=12.2.0-14+deb12u1 libibverbs1=44.0-2 librdmacm1=44.0-2 libnl-3-200=3.7.0-0.2+b1 \
    libnl-route-3-200=3.7.0-0.2+b1 libnuma1=2.0.16-1
export CPATH=$root/usr/include/x86_64-linux-gnu/mpich LIBRARY_PATH=$lib HWLOC_PLUGINS_PATH=$lib/hwloc

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
gcc spawn.c -o spawn -lmpich || exit 1
verdict "mpiexec: Error in spawn call
alone: Error in spawn call" "mpiexec: $(timeout -k 5 300 mpiexec.mpich -n 1 ./spawn)
alone: $(timeout -k 5 300 ./spawn)"
