#!/usr/bin/env bash
# gcc of Debian 12: a shared library that is named on the link line, and whose constructor is its
# whole use, is not loaded.
#
# What it shows: libplugin.so has a constructor that registers something. "gcc main.c -L.
# -lplugin" links without a word, the program has no NEEDED entry for it, and the constructor does
# not run; with -Wl,--no-as-needed it does. gcc's own manual does not say that --as-needed is on:
# it is the distribution's own default.
# Why it matters: libraries that register codecs, tests or tasks work on other systems with the
# same command, and are silently left out here.
# Versions: gcc-12 12.2.0-14+deb12u1, binutils 2.40-2 (Debian 12).
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

unpack gcc-12=12.2.0-14+deb12u1 cpp-12=12.2.0-14+deb12u1 libgcc-12-dev=12.2.0-14+deb12u1 \
    binutils=2.40-2 binutils-x86-64-linux-gnu=2.40-2 libbinutils=2.40-2 libctf0=2.40-2 \
    libctf-nobfd0=2.40-2 libjansson4=2.14-2 libmpc3=1.3.1-1 libmpfr6=4.2.0-1 \
    libgmp10=2:6.2.1+dfsg1-1.1 libisl23=0.25-1.1

cat >plugin.c <<'C'
#include <stdio.h>

__attribute__((constructor)) static void registers(void)
{
    puts("registered");
}
C
echo 'int main(void) { return 0; }' >main.c
gcc-12 -shared -fPIC plugin.c -o libplugin.so || exit 1

says() # OPTION...
{
    gcc-12 main.c -L. "$@" -lplugin -Wl,-rpath,"$tmp" -o main || exit 1
    ./main | grep . || echo nothing
}
verdict "plain: nothing
--no-as-needed: registered" "plain: $(says)
--no-as-needed: $(says -Wl,--no-as-needed)"
