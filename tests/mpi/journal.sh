#!/usr/bin/env bash
# Runs with a journal that are killed at any moment and started again; and journals that cannot be
# used.
# By hand: ROUNDS=200 SEED=n tests/mpi/journal.sh
# limit: 300
# build: sanitized
. tests/support/shell.sh

needs rankpool tests/mpi/journaled

export TIMEOUT=60
journaled=$BUILD/tests/mpi/journaled
RANDOM=${SEED:=20}
rounds=${ROUNDS:-6}
tasks=300

# ---- killed and started again --------------------------------------------------------------------

# Kills every process of a session.
kill_session() # SESSION
{
    local stat pid rest
    for stat in /proc/[0-9]*/stat; do
        read -r rest <"$stat" || continue
        pid=${rest%% *}
        rest=${rest##*) }
        read -r _ _ _ rest _ <<<"$rest"
        if [ "$rest" = "$1" ]; then kill -KILL "$pid"; fi
    done 2>/dev/null
}

start() # DIRECTORY [sync]
{
    setsid scripts/mpirun.sh -n 3 "$journaled" run "$1/journal" "$1" $tasks "${@:2}" >"$1/out" 2>"$1/err" </dev/null &
    session=$!
}

# What is wrong, one line; nothing: fine.
trouble() # DIRECTORY ROUND
{
    local ran=$1/ran.$2 twice
    sort -n "$1/ran" >"$ran" 2>/dev/null || : >"$ran"
    twice=$(uniq -d "$ran" | head -n 3)
    [ -z "$twice" ] || echo "ran twice in one run: $twice"
    twice=$(comm -12 <(sort "$ran") <(sort "$1/committed") | head -n 3)
    [ -z "$twice" ] || echo "was committed and ran again: $twice"
    rm -f "$1/ran"
}

# One run after another, each killed after a while, then one that is not.
kill_and_go_on() # ROUND; prints what is wrong
{
    local dir=$TMP/round$1 sync=() kills=0 how delay why
    mkdir "$dir"
    : >"$dir/committed"
    [ $(($1 % 2)) = 0 ] || sync=(sync)
    while [ $kills -lt $((1 + $1 % 3)) ]; do
        how=$((RANDOM % 3))
        delay=$((RANDOM % (duration + duration / 4)))
        start "$dir" "${sync[@]}"
        sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
        # shellcheck disable=SC2046 # a list of numbers
        case $how in
        0) kill -KILL "$(cat "$dir/pid" 2>/dev/null)" 2>/dev/null ;; # rank 0, if it is there yet
        1) kill -KILL $(cat "/proc/$session/task/$session/children") ;; # mpirun, below timeout
        esac
        [ $how = 2 ] || sleep 0.0$((RANDOM % 10))
        kill_session "$session"
        { wait "$session"; } 2>/dev/null
        kill_session "$session"
        trouble "$dir" $kills
        "$journaled" list "$dir/journal" | sort -n >"$dir/committed.new" || echo "cannot be listed: $(cat "$dir/committed.new")"
        why=$(comm -23 <(sort "$dir/committed") <(sort "$dir/committed.new") | head -n 3)
        [ -z "$why" ] || echo "was committed and is lost: $why"
        if [ ${#sync[@]} = 1 ] && [ -f "$dir/delivered" ]; then
            why=$(comm -23 <(sort -u "$dir/delivered") <(sort "$dir/committed.new") | head -n 3)
            [ -z "$why" ] || echo "was delivered, but is not committed: $why"
        fi
        mv "$dir/committed.new" "$dir/committed"
        kept=$((kept + $(wc -l <"$dir/committed")))
        rm -f "$dir/pid" "$dir/delivered"
        kills=$((kills + 1))
        total=$((total + 1))
    done
    start "$dir" "${sync[@]}"
    wait "$session" || echo "the last run failed: $(cat "$dir/out" "$dir/err")"
    trouble "$dir" last
    cmp -s "$dir/out" "$TMP/plain/out" || echo "other results: $(cat "$dir/out")"
    "$journaled" list "$dir/journal" | sort -n | cmp -s - <(seq 0 $((tasks - 1))) || echo "the journal has not all keys"
    rm -rf "$dir"
}

mkdir "$TMP/plain"
began=$EPOCHREALTIME
start "$TMP/plain"
if ! wait "$session"; then
    cat "$TMP/plain/out" "$TMP/plain/err" >"$TMP/err"
    not_ok "an undisturbed run" "failed"
    exit
fi
ok "an undisturbed run"
duration=$(awk "BEGIN { printf \"%d\", 1000 * ($EPOCHREALTIME - $began) }")
total=0
kept=0
for ((round = 0; round < rounds; round++)); do
    kill_and_go_on $round >"$TMP/why" 2>/dev/null # bash tells of what is killed
    if [ -s "$TMP/why" ]; then
        cp "$TMP/why" "$TMP/err"
        not_ok "killed and started again, SEED=$SEED, round $round" "$(head -n 1 "$TMP/why")"
    else
        ok "killed and started again, SEED=$SEED, round $round"
    fi
done
echo "# $total kills, $kept outcomes found committed after them" >&2

# ---- journals that cannot be used ----------------------------------------------------------------

# Every rank says so.
all_say() # NAME PATTERN COMMAND...
{
    local name=$1 pattern=$2 rc rank
    shift 2
    run "$@"
    for rank in 0 1 2; do
        if ! grep -Eq -- "^rank $rank: a file cannot be read or written: $pattern" "$TMP/out"; then
            cat "$TMP/out" >>"$TMP/err"
            not_ok "$name" "rank $rank does not say: $pattern"
            return
        fi
    done
    ok "$name"
}

all_say "no such directory" '.*/none/journal .*directory must exist' scripts/mpirun.sh -n 3 "$journaled" open "$TMP/none/journal"
head -c 10000 /dev/urandom >"$TMP/garbage"
all_say "garbage" '.*/garbage .*is no journal' scripts/mpirun.sh -n 3 "$journaled" open "$TMP/garbage"

# The other one says "open", and holds it until its input ends.
coproc holder { "$journaled" hold "$TMP/held"; }
read -r _ <&"${holder[0]}"
all_say "in use" '.*/held .*another pool uses it' scripts/mpirun.sh -n 3 "$journaled" open "$TMP/held"
eval "exec ${holder[1]}>&-"
# shellcheck disable=SC2154 # set by coproc
wait "$holder_PID" 2>/dev/null
check "not in use any more" scripts/mpirun.sh -n 3 "$journaled" open "$TMP/held"

# In mounts of our own, where that is allowed.
alone_with()
{
    unshare -m -- bash -c "$1" "$0" "$TMP/mount" "$journaled"
}
mkdir "$TMP/mount"
# shellcheck disable=SC2016 # for the inner shell
if alone_with 'mount -t tmpfs -o size=64k none "$1"' 2>/dev/null; then
    # shellcheck disable=SC2016 # for the inner shell
    {
        run alone_with 'mount -t tmpfs none "$1" && mount -o remount,ro "$1" && "$2" open "$1/journal"'
        if grep -Eq '^rank 0: a file cannot be read or written: .*/journal .*(writable|read-only)' "$TMP/out"; then
            ok "a read-only file system"
        else
            cat "$TMP/out" >>"$TMP/err"
            not_ok "a read-only file system" "another message"
        fi
        run alone_with 'mount -t tmpfs -o size=400k none "$1" && mkdir "$1.files" && "$2" run "$1/journal" "$1.files" 300'
        if [ "$rc" = 1 ] && cmp -s <(grep '^sum' "$TMP/plain/out") <(grep '^sum' "$TMP/out") &&
            grep -q '^rp_close: .*disk is full' "$TMP/out"; then
            ok "a disk that becomes full"
        else
            cat "$TMP/out" >>"$TMP/err"
            not_ok "a disk that becomes full" "status $rc, or other results"
        fi
    }
fi
