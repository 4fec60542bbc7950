#!/usr/bin/env bash
# Open MPI: a C++ program that only includes mpi.h needs -lmpi_cxx, which mpicc does not name.
#
# What it shows: mpi.h brings in the C++ bindings, which MPI-3 has removed, with inline functions
# and tables that refer to MPI::Comm and others. A C++ source that calls two C functions does not
# link with what "mpicc --showme:link" says; with -DOMPI_SKIP_MPICXX, or with -lmpi_cxx, it does.
# Why it matters: a C library's header that includes mpi.h makes every C++ program that uses it
# need a library that it does not know of.
# Versions: libopenmpi-dev 4.1.4-3+b1 (Debian 12); g++ 12.
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

unpack openmpi-bin=4.1.4-3+b1 libopenmpi3=4.1.4-3+b1 libopenmpi-dev=4.1.4-3+b1 \
    openmpi-common=4.1.4-3 libpmix2=4.2.2-1+deb12u1 libevent-core-2.1-7=2.1.12-stable-8 \
    libevent-pthreads-2.1-7=2.1.12-stable-8 libhwloc15=2.9.0-1 libmunge2=0.5.15-2+deb12u1
export OPAL_PREFIX=$root/usr OPAL_SYSCONFDIR=$root/etc/openmpi
export PMIX_LIBDIR=$lib/pmix2/lib PMIX_SYSCONFDIR=$lib/pmix2/share HWLOC_PLUGINS_PATH=$lib/hwloc
# One machine: without ssh, and without the components whose networks' libraries are not here.
export OMPI_MCA_plm=isolated OMPI_MCA_mca_base_component_show_load_errors=0

cat >uses.cc <<'C'
#include <mpi.h>

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Finalize();
    return 0;
}
C
read -ra compile <<<"$(mpicc.openmpi --showme:compile)"
read -ra link <<<"$(mpicc.openmpi --showme:link)"

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
