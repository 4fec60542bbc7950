# shellcheck shell=bash
# For test scripts, which tests/run starts in the top directory with BUILD set:
#   . tests/support/shell.sh
#   check NAME COMMAND...              ok when the command succeeds
#   expect NAME FILE COMMAND...        ok when it succeeds and writes the file's content
#   refuse NAME PATTERN COMMAND...     ok when it fails and a line it prints matches (grep -E)
#   skip WHY                           ends the script
#   needs PROGRAM...                   ends it, as failed, where one of them is not in BUILD
# Every result is one line, "ok NAME" or "not ok NAME: why", which tests/run counts.
# $TMP is a directory of the script's own.

set -u
: "${BUILD:=build}"
TMP=$(mktemp -d) || exit 1
trap 'rm -rf "$TMP"' EXIT

ok()
{
    echo "ok $1"
}

not_ok() # NAME WHY
{
    echo "not ok $1: $2"
    tail -n 30 "$TMP/err" 2>/dev/null | sed 's/^/    /' >&2
}

# What a script that is run by hand starts.
needs() # PROGRAM...
{
    local program
    for program; do
        [ -x "$BUILD/$program" ] && continue
        echo "not ok $program is not built: make tests"
        exit 1
    done
}

skip()
{
    echo "skip: $1"
    exit 77
}

run() # COMMAND...: its output in $TMP/out and $TMP/err, its status in $rc
{
    rc=0
    "$@" >"$TMP/out" 2>"$TMP/err" </dev/null || rc=$?
}

check()
{
    local name=$1 rc
    shift
    run "$@"
    if [ "$rc" = 0 ]; then ok "$name"; else not_ok "$name" "status $rc"; fi
}

expect()
{
    local name=$1 file=$2 rc
    shift 2
    run "$@"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif ! cmp -s "$file" "$TMP/out"; then
        diff "$file" "$TMP/out" | head -n 20 >>"$TMP/err"
        not_ok "$name" "other output than $file"
    else
        ok "$name"
    fi
}

refuse()
{
    local name=$1 pattern=$2 rc
    shift 2
    run "$@"
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" = 0 ]; then
        not_ok "$name" "succeeded, which it should not"
    elif [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
        not_ok "$name" "hung"
    elif ! grep -Eq -- "$pattern" "$TMP/err"; then
        not_ok "$name" "no message like: $pattern"
    else
        ok "$name"
    fi
}

# Like run, for a job whose workers are killed.  A kill may break what Open MPI shares on a host, so
# that rank 0 ends (src/lib/pool/watchdog.h): then the job is run again, three times at most in all.
run_job() # COMMAND...
{
    local try
    for try in 1 2 3; do
        run "$@"
        grep -q 'MPI has not come back for' "$TMP/err" || return 0
        echo "$*: a killed worker left MPI's shared memory broken, try $try"
    done
}

# Processes that a test started carry its mark in their environment:  MARK=word COMMAND...
# marked word: their pids, zombies aside.
marked()
{
    grep -lzxF "MARK=$1" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
}

# Waits until no process carries the mark; after SECONDS fails, and lists those that do.
gone() # MARK SECONDS
{
    local end=$((SECONDS + $2)) pids
    while pids=$(marked "$1") && [ -n "$pids" ]; do
        if [ $SECONDS -ge $end ]; then
            # shellcheck disable=SC2086 # a list
            ps -o pid,ppid,stat,args -p $pids >>"$TMP/err" 2>&1
            return 1
        fi
        sleep 0.1
    done
}

# A sanitized build looks for leaks too.  A pool that loses workers leaves some to MPI on purpose.
with_leaks()
{
    export ASAN_OPTIONS=fast_unwind_on_malloc=0
}

# Three namespaced hosts n0, n1, n2 in $cluster until the script's end; the script is skipped
# where they cannot be made.
three_hosts()
{
    local rc
    cluster=$TMP/cluster
    scripts/hosts up "$cluster" 3 >"$TMP/out" 2>"$TMP/err" || {
        rc=$?
        [ $rc = 77 ] && skip "$(tail -n 1 "$TMP/out")"
        not_ok "three hosts" "scripts/hosts: status $rc"
        exit 1
    }
    trap 'scripts/hosts down "$cluster"; rm -rf "$TMP"' EXIT
}
