#!/usr/bin/env bash
# The programs in the EXAMPLES of src/man/rankpool.7: each compiles as it stands there, and prints
# what stands below it.
# limit: 180
# build: plain
. tests/support/shell.sh

export TIMEOUT=45 # of one program

# Block 2n - 1 is the n-th program, block 2n its output; "\e" is groff's backslash.
block() # NUMBER
{
    sed -n '/^\.SH EXAMPLES/,/^\.SH NOTES/p' src/man/rankpool.7 |
        awk -v wanted="$1" '/^\.EX/ { n++; inside = 1; next } /^\.EE/ { inside = 0 } inside && n == wanted' |
        sed 's/\\e/\\/g'
}

read -ra compile <"$BUILD/flags" # as the library was
read -ra link <<<"$(mpicc --showme:link)"
number=0
for name in submit imap spawn; do
    block $((++number)) >"$TMP/$name.c"
    block $((++number)) >"$TMP/expected"
    check "$name compiles" "${compile[@]}" -Werror "$TMP/$name.c" "$BUILD/librankpool.a" "${link[@]}" -lsqlite3 -lcrypto -o "$TMP/$name"
    expect "$name, alone" "$TMP/expected" timeout -k 5 "$TIMEOUT" "$TMP/$name"
    for ranks in 1 3; do
        expect "$name, $ranks ranks" "$TMP/expected" scripts/mpirun.sh -n $ranks "$TMP/$name"
    done
done
if [ -z "$(block $((number + 1)))" ]; then ok "no other example"; else not_ok "no other example" "it is not run"; fi
