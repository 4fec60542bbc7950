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

needs gcc-12 12.2.0-14+deb12u1 binutils 2.40-2
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

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
