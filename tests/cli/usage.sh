#!/usr/bin/env bash
# The example programs' own words: --help, and an option that they do not have.
. tests/support/shell.sh

for example in filehash mandelbrot nqueens sweep uts; do
    program=$(realpath "$BUILD/examples/$example")
    run scripts/mpirun.sh -n 2 "$program" --help
    if [ "$rc" = 0 ] && [ "$(grep -c "^usage: $example " "$TMP/out")" = 1 ] && ! grep -q usage "$TMP/err"; then
        ok "$example --help"
    else
        not_ok "$example --help" "status $rc, or not its usage on standard output, once"
    fi
    run timeout 20 env -C "$TMP" "$program" --bogus
    if [ "$rc" = 2 ] && grep -q "^usage: $example " "$TMP/err" && ! [ -s "$TMP/out" ] && ! [ -e "$TMP/--bogus" ]; then
        ok "$example --bogus"
    else
        not_ok "$example --bogus" "status $rc, or not its usage on standard error alone"
    fi
done
