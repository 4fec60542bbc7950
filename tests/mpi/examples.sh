#!/usr/bin/env bash
# The example programs against their known output, under mpirun and without.
# limit: 480
# build: plain
. tests/support/shell.sh

export LC_ALL=C
export TIMEOUT=45 # of one program; a hang then costs one case, not all of them
examples=src/examples

on() # RANKS EXAMPLE ARGUMENTS...     RANKS: a number, or "alone" for no mpirun
{
    local ranks=$1 program=$BUILD/examples/$2
    shift 2
    if [ "$ranks" = alone ]; then
        timeout -k 5 "$TIMEOUT" "$program" "$@"
    else
        scripts/mpirun.sh -n "$ranks" "$program" "$@"
    fi
}

# Fails, as refuse does, and says it once, however many ranks there are.
refuse_once() # NAME PATTERN COMMAND...
{
    local name=$1 pattern=$2 result count
    result=$(refuse "$@")
    count=$(grep -Ec -- "$pattern" "$TMP/err")
    if [ "${result%% *}" = ok ] && [ "$count" != 1 ]; then
        not_ok "$name" "said $count times: $pattern"
    else
        echo "$result"
    fi
}

# ---- squares -------------------------------------------------------------------------------------

for ranks in alone 1 2 3 8; do
    expect "squares $ranks" $examples/squares.expected on $ranks squares
done

# ---- uts: the benchmark's published counts -------------------------------------------------------

if grep -q __asan_init "$BUILD/examples/uts"; then # too slow for four million nodes
    on alone uts -d 6 >"$TMP/expected"
    expect "uts, a node a task" "$TMP/expected" on 3 uts -d 6 -g 1
else
    echo 'nodes 4130071  leaves 3305118  depth 10' >"$TMP/expected"
    expect "uts T1 alone" "$TMP/expected" on alone uts -t 1 -a 3 -d 10 -b 4 -r 19
    expect "uts T1, a node a task" "$TMP/expected" on 3 uts -t 1 -a 3 -d 10 -b 4 -r 19 -g 1
    echo 'nodes 4112897  leaves 3599034  depth 1572' >"$TMP/expected"
    expect "uts T3" "$TMP/expected" on 4 uts -t 0 -b 2000 -q 0.124875 -m 8 -r 42
    echo 'nodes 4147582  leaves 2181318  depth 20' >"$TMP/expected"
    expect "uts T5" "$TMP/expected" on 4 uts -t 1 -a 0 -d 20 -b 4 -r 34
fi
refuse "uts refuses" '^usage: uts' on alone uts -t 7

# ---- nqueens -------------------------------------------------------------------------------------

while read -r queens count; do
    echo "$queens $count" >"$TMP/expected"
    expect "nqueens $queens" "$TMP/expected" on 4 nqueens "$queens"
done <$examples/nqueens.expected

# Too small for the usual number of rows in a beginning.
while read -r queens count; do
    echo "$queens $count" >"$TMP/expected"
    expect "nqueens $queens alone" "$TMP/expected" on alone nqueens "$queens"
done <<<$'1 1\n2 0\n3 0\n4 2'

head -n 1 $examples/nqueens.expected >"$TMP/expected"
for ranks in alone 1 2 8; do
    expect "nqueens default $ranks" "$TMP/expected" on $ranks nqueens
done

for bad in 0 28 8x ''; do
    refuse "nqueens refuses '$bad'" '^usage: nqueens' on alone nqueens "$bad"
done
refuse_once "nqueens refuses once" '^usage: nqueens' on 3 nqueens eight

# ---- sweep ---------------------------------------------------------------------------------------

for ranks in alone 1 2 4; do
    expect "sweep $ranks" $examples/sweep.expected on $ranks sweep
    if grep -q 'sweep: 800 of 800 points' "$TMP/err"; then
        ok "sweep $ranks tells how far it is"
    else
        not_ok "sweep $ranks tells how far it is" "no such line"
    fi
done
refuse_once "sweep refuses arguments" '^usage: sweep' on 3 sweep 0

# ---- filehash ------------------------------------------------------------------------------------

# What must come out: the lines on standard output, the reasons on standard error, and whether all
# went well.
reference() # DIRECTORY
{
    reference_status=0
    find "$1" -type f -print0 2>"$TMP/find.err" >"$TMP/names" || reference_status=1
    sort -z "$TMP/names" | xargs -0 -r sha256sum >"$TMP/expected" 2>"$TMP/sum.err" || reference_status=1
    sed 's/.*: //' "$TMP/find.err" "$TMP/sum.err" >"$TMP/reasons"
}

# A line of filehash's for each reason.
gives_reasons()
{
    local reason
    [ "$(grep -ac '^filehash: ' "$TMP/err")" = "$(wc -l <"$TMP/reasons")" ] || return
    while read -r reason; do
        grep -a '^filehash: ' "$TMP/err" | grep -aqF ": $reason" || return
    done <"$TMP/reasons"
}

same_as_sha256sum() # NAME RANKS DIRECTORY
{
    local name=$1 ranks=$2 rc
    reference "$3"
    run on "$ranks" filehash "$3"
    if [ "$rc" != "$reference_status" ]; then
        not_ok "$name" "status $rc, not $reference_status"
    elif ! cmp -s "$TMP/expected" "$TMP/out"; then
        diff "$TMP/expected" "$TMP/out" | head -n 20 >>"$TMP/err"
        not_ok "$name" "other output than sha256sum's"
    elif ! gives_reasons; then
        cat "$TMP/reasons" >>"$TMP/err"
        not_ok "$name" "other reasons than those of find and sha256sum"
    else
        ok "$name"
    fi
}

# Names that upset scripts, and everything that is no regular file.
odd_tree() # DIRECTORY
{
    mkdir -p "$1/a/b/c" "$1/a-b" "$1/a.b" "$1/empty" "$1/ends in space " &&
        printf '' >"$1/a/nothing" &&
        printf 'x' >"$1/a/b/c/x" &&
        printf 'dash' >"$1/a-b/-n" &&
        printf 'dot' >"$1/a.b/.hidden" &&
        printf 'space' >"$1/ends in space / " &&
        printf 'newline' >"$1/a"$'\n'"newline" &&
        printf 'return' >"$1/a"$'\r'"return" &&
        printf 'backslash' >"$1/back\\slash\\" &&
        printf 'both' >"$1/\\"$'\n' &&
        printf 'percent' >"$1/%s%n" &&
        printf 'quotes' >"$1/\"'" &&
        printf 'high' >"$1/"$'\377\376' &&
        printf 'umlaut' >"$1/ü" &&
        head -c 5000003 /dev/zero >"$1/large" &&
        head -c 65536 /dev/zero >"$1/one read" &&
        ln "$1/large" "$1/a/hard link" &&
        ln -s large "$1/link" && ln -s a "$1/link to a" && ln -s nowhere "$1/dangling" && ln -s . "$1/round" &&
        mkfifo "$1/fifo" &&
        printf 'locked' >"$1/locked" && chmod 000 "$1/locked" &&
        mkdir "$1/closed" && chmod 000 "$1/closed"
}

many_files() # DIRECTORY COUNT
{
    local i
    mkdir "$1" && for ((i = 0; i < $2; i++)); do echo "$i" >"$1/$i" || return; done
}

# A file whose path is longer than the kernel takes: no user can open it, not even root.
too_deep() # DIRECTORY
{
    local name i
    name=$(printf '%0250d' 0)
    (
        mkdir "$1" && cd "$1" && echo before >first && echo after >zlast || exit
        for ((i = 0; i < 17; i++)); do mkdir "$name" && cd "./$name" || exit; done
        echo unreachable >file
    ) 2>/dev/null
}

check "filehash's trees" odd_tree "$TMP/odd"
for ranks in alone 1 2 4; do
    same_as_sha256sum "filehash odd names $ranks" $ranks "$TMP/odd"
done
same_as_sha256sum "filehash of a path that ends in /" 2 "$TMP/odd//"
same_as_sha256sum "filehash of one file" 2 "$TMP/odd/large"
same_as_sha256sum "filehash of an empty directory" 2 "$TMP/odd/empty"
same_as_sha256sum "filehash of a relative path" 2 src/./examples

many_files "$TMP/many" 3000 || not_ok "filehash's trees" "no room for 3000 files"
same_as_sha256sum "filehash of more files than are under way alone" alone "$TMP/many"
same_as_sha256sum "filehash of more files than are under way" 3 "$TMP/many"

too_deep "$TMP/deep" || not_ok "filehash's trees" "cannot make a path that is too long"
same_as_sha256sum "filehash reports a path that is too long alone" alone "$TMP/deep"
same_as_sha256sum "filehash reports a path that is too long" 3 "$TMP/deep"
# Files that even root cannot read: one that is only for writing, one whose first bytes are no
# memory.
same_as_sha256sum "filehash reports what cannot be opened" 3 /proc/sys/net/ipv4/route
same_as_sha256sum "filehash reports what cannot be read" 3 /proc/$$/mem

refuse "filehash of nothing" 'filehash: .*/nothing here: No such file' on 3 filehash "$TMP/nothing here"
refuse "filehash of a symbolic link" 'link to a: a symbolic link is not followed' on alone filehash "$TMP/odd/link to a"
same_as_sha256sum "filehash of a symbolic link with /" alone "$TMP/odd/link to a/"

# shellcheck disable=SC2016 # the inner shell expands it
refuse "filehash to a full disk" 'filehash: standard output: No space' \
    timeout 45 bash -c '"$1" src/examples >/dev/full' - "$BUILD/examples/filehash"
refuse_once "filehash refuses an option" '^usage: filehash' on 3 filehash --no-such-option
refuse_once "filehash refuses two directories" '^usage: filehash' on 2 filehash src include

# -q: no hashes. -s: a line whose shares add up.
run on 4 filehash -qs "$TMP/many"
if [ "$rc" != 0 ] || [ -s "$TMP/out" ]; then
    not_ok "filehash -q" "status $rc, and hashes or not"
else
    ok "filehash -q"
fi
if awk '/^filehash: 3000 files, .* tasks\/s, .*; share of 3 workers: / {
            sub(/.*workers:/, ""); gsub("%", ""); sum = $1 + $2 + $3
            good = NF == 3 && sum > 99 && sum < 101
        }
        END { exit !good }' "$TMP/err"; then
    ok "filehash -s"
else
    not_ok "filehash -s" "no such line"
fi

# ---- mandelbrot ----------------------------------------------------------------------------------

check "mandelbrot: a reader of PNG" "${CC:-cc}" -O1 -o "$TMP/png_chart" tests/mpi/examples/png_chart.c -lpng

check "mandelbrot alone" on alone mandelbrot "$TMP/alone.png" 72 54 200
expect "mandelbrot's picture" $examples/mandelbrot.expected "$TMP/png_chart" "$TMP/alone.png"
for ranks in 1 2 4; do
    run on $ranks mandelbrot "$TMP/$ranks.png" 72 54 200
    check "mandelbrot $ranks draws the same" cmp "$TMP/alone.png" "$TMP/$ranks.png"
done

# Rows longer than what MPI sends at once, and no more rows than workers.
run on alone mandelbrot "$TMP/alone.png" 9000 3 50
run on 4 mandelbrot "$TMP/4.png" 9000 3 50
check "mandelbrot draws long rows" cmp "$TMP/alone.png" "$TMP/4.png"
check "mandelbrot draws one pixel" on 3 mandelbrot "$TMP/pixel.png" 1 1
printf '1 x 1\n.\n' >"$TMP/expected"
expect "mandelbrot's pixel" "$TMP/expected" "$TMP/png_chart" "$TMP/pixel.png"

refuse_once "mandelbrot refuses arguments" '^usage: mandelbrot' on 3 mandelbrot "$TMP/x.png" 0 10
check "mandelbrot touches no file then" test ! -e "$TMP/x.png"
refuse_once "mandelbrot where it cannot write" 'mandelbrot: .*: No such file' on 3 mandelbrot "$TMP/nowhere/x.png" 10 10
refuse "mandelbrot to a full disk" 'mandelbrot: /dev/full: ' on alone mandelbrot /dev/full 10 10
