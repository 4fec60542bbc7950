#!/usr/bin/env bash
# libgfortran: fflush(NULL) does not flush Fortran's output; what was written before a fork comes
# twice, and what a child wrote goes with _exit.
#
# What it shows: standard output is a file. A Fortran program prints a line, calls C's
# fflush(NULL), forks; the child prints and leaves by exit(), a second child prints, calls
# fflush(NULL) and leaves by _exit(). The first line is in the file twice (three buffers had it,
# one of which was dropped); the second child's line is not there at all. libgfortran has a buffer
# of its own for each unit; only Fortran's FLUSH empties it.
# Why it matters: C code that is careful about fork, and flushes, loses and doubles what Fortran
# parts of the same program print.
# Versions: libgfortran5 12.2.0-14+deb12u1, gfortran-12 (Debian 12).
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

unpack libgfortran5=12.2.0-14+deb12u1 gfortran-12=12.2.0-14+deb12u1 \
    libgfortran-12-dev=12.2.0-14+deb12u1 libquadmath0=12.2.0-14+deb12u1 gcc-12=12.2.0-14+deb12u1 \
    cpp-12=12.2.0-14+deb12u1 libgcc-12-dev=12.2.0-14+deb12u1 binutils=2.40-2 \
    binutils-x86-64-linux-gnu=2.40-2 libbinutils=2.40-2 libctf0=2.40-2 libctf-nobfd0=2.40-2 \
    libjansson4=2.14-2 libmpc3=1.3.1-1 libmpfr6=4.2.0-1 libgmp10=2:6.2.1+dfsg1-1.1 libisl23=0.25-1.1
export LIBRARY_PATH=$lib

cat >forks.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void says_(const int *who);

int forks_(void)
{
    static const int first = 1, second = 2;

    fflush(NULL);
    if (fork() == 0) {
        says_(&first);
        exit(0);
    }
    wait(NULL);
    if (fork() == 0) {
        says_(&second);
        fflush(NULL);
        _exit(0);
    }
    wait(NULL);
    return 0;
}
C
cat >prints.f90 <<'F'
subroutine says(who)
  integer, intent(in) :: who
  print '(a, i0)', "child ", who
end subroutine

program prints
  integer, external :: forks
  integer :: ignored
  print '(a)', "before the fork"
  ignored = forks()
end program
F
gcc-12 -c forks.c && gfortran-12 prints.f90 forks.o -o prints || exit 1
timeout -k 5 300 ./prints >printed
verdict "before the fork
child 1
before the fork" "$(cat printed)"
