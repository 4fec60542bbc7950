#!/usr/bin/env bash
# Proves that tests/run goes red: each program of tests/self that must fail, fails, is counted, and
# says why.
# limit: 300
. tests/support/shell.sh
group=self

says() # NAME STATUS "LAST LINE" PATTERN [TEST=...] [LIMIT=...]; of tests/$group
{
    local name=$1 status=$2 last=$3 pattern=$4 rc
    shift 4
    run env TEST="$name" "$@" tests/run "$group"
    cp "$TMP/out" "$TMP/err"
    if [ "$rc" != "$status" ]; then
        not_ok "$name" "status $rc, not $status"
    elif [ "$(tail -n 1 "$TMP/out")" != "$last" ]; then
        not_ok "$name" "its last line is not '$last'"
    elif ! grep -Eq "$pattern" "$TMP/out"; then
        not_ok "$name" "nothing like '$pattern' in what it says"
    else
        ok "$name"
    fi
}

says pass 0 "2 passed, 0 failed" "test_pass: 2 passed"
says pass/second 0 "1 passed, 0 failed" "test_pass: 1 passed"
says fail 1 "0 passed, 1 failed" "test_fail.c:[0-9]+: .*1 \+ 1,"
says hang 1 "0 passed, 1 failed" "still running after 1 s" LIMIT=1
says crash 1 "0 passed, 1 failed" "died in test: crashes|status 134"
says silent 1 "0 passed, 1 failed" "without saying"
says bad_script 1 "1 passed, 2 failed" "not ok false: status 1"
says dead_script 1 "1 passed, 1 failed" "status 3"
says nothing_of_that_name 1 "0 passed, 1 failed" "no such test"
if nm "$BUILD/tests/self/test_leak" | grep -q __asan_init; then
    says leak 1 "1 passed, 1 failed" "LeakSanitizer" ASAN_OPTIONS=detect_leaks=1
else
    says leak 0 "1 passed, 0 failed" "test_leak: 1 passed"
fi

# A task that is lost on its way is missed.
group=sim says schedules 1 "0 passed, 1 failed" "schedule [0-9]+: .*" SEEDS=20 LOSE=1

# Side by side, and yet in one order; or by itself.
export MEET=$TMP
if [ "$(nproc)" -ge 2 ]; then
    group=self/beside says beside 0 "3 passed, 0 failed" "self/beside/one: 2 passed" TEST=
    if [ "$(grep -o 'self/beside/[a-z]*' "$TMP/out" | tr '\n' ' ')" = "self/beside/one self/beside/other " ]; then
        ok order
    else
        not_ok order "not in the order of the names"
    fi
fi
group=self/alone says alone 0 "3 passed, 0 failed" "self/alone/third: 1 passed" TEST=

# What is for the other kind of build runs there, or when it is asked for.
kind=plain
if nm "$BUILD/librankpool.a" | grep -Eq '__(a|t)san_'; then kind=sanitized; fi
group=self/shared
says shared 0 "2 passed, 0 failed" "left to a build that is not $kind: 1 of 3 runs" TEST=
says shared 0 "2 passed, 0 failed" "self/shared/$kind: 1 passed" TEST=
says shared 0 "3 passed, 0 failed" "self/shared/both: 1 passed" TEST= EVERY=1
says plain 0 "1 passed, 0 failed" "self/shared/plain: 1 passed"
says sanitized 0 "1 passed, 0 failed" "self/shared/sanitized: 1 passed"
