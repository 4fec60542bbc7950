#!/usr/bin/env bash
# A C++ exception of a task, or of another function that rankpool calls, ends there: it never comes
# to the application's main.
# limit: 400
# build: sanitized
. tests/support/shell.sh

command -v g++ >/dev/null || skip "there is no g++"
export TIMEOUT=40
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
sanitizer=
nm "$BUILD/tests/mpi/exits" | grep -q __asan_init && sanitizer=-fsanitize=address,undefined
nm "$BUILD/tests/mpi/exits" | grep -q __tsan_init && sanitizer=-fsanitize=thread
throws=$TMP/throws
# shellcheck disable=SC2046,SC2086 # lists
check "it compiles" g++ -std=c++11 -Wall -Wextra -Werror -g $sanitizer -Iinclude tests/mpi/throws.cc -o "$throws" "$BUILD/librankpool.a" \
    $("${MPICC:-mpicc}" --showme:link) -lsqlite3 -lcrypto -pthread
[ -x "$throws" ] || exit 1

on() # RANKS WHO [fork]
{
    local ranks=$1
    shift
    case $ranks in
    alone) timeout -k 5 "$TIMEOUT" "$throws" "$@" ;;
    launch) timeout -k 5 "$TIMEOUT" "$BUILD/rankpool" launch -n 4 "$throws" "$@" ;;
    *) scripts/mpirun.sh -n "$ranks" "$throws" "$@" ;;
    esac
}

# It is told of with what(), main catches nothing, and there is a line like each pattern.
ends() # NAME STATUS(0, not) WHO PATTERNS... -- RANKS [fork]
{
    local name=$1 status=$2 who=$3 rc patterns=("what\\(\\):  thrown by the $3")
    shift 3
    while [ "$1" != -- ]; do
        patterns+=("$1")
        shift
    done
    shift
    run on "$1" "$who" "${@:2}"
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
        not_ok "$name" "hung"
    elif [ "$status" = 0 ] && [ "$rc" != 0 ] || [ "$status" = not ] && [ "$rc" = 0 ]; then
        not_ok "$name" "status $rc"
    elif grep -q 'main caught' "$TMP/err"; then
        not_ok "$name" "it came to main"
    else
        for pattern in "${patterns[@]}"; do
            grep -Eq -- "$pattern" "$TMP/err" && continue
            not_ok "$name" "no line like: $pattern"
            return
        done
        ok "$name"
    fi
}

check "nothing is thrown" on alone none
ends "rp_open says so" not initializer '^open: rp_open: the initializer .*died of SIGABRT.*what\(\):  thrown' -- alone fork # mpirun may cut it off
for ranks in alone 3; do
    ends "a task on $ranks" not task 'worker [12] .*died of SIGABRT in task culprit .*: this ends the whole job' -- $ranks
    ends "an item on $ranks" not item 'worker [12] .*died of SIGABRT in item 34 of a map of item' -- $ranks
    ends "the initializer on $ranks" not initializer 'worker [12] .*died of SIGABRT in its initializer: this ends the whole job' -- $ranks
    for who in finalizer on_done source alloc; do
        ends "$who on $ranks" not $who -- $ranks
    done
    ends "a task in a process of its own, on $ranks" not task '^play: .* culprit .* crashed .*SIGABRT.*what\(\):  thrown by the task$' '^close: success' -- $ranks fork
    ends "an item in a process of its own, on $ranks" not item '^play: .*item 34 .* crashed .*SIGABRT.*what\(\):  thrown by the item' '^close: success' -- $ranks fork
    ends "the initializer in a process of its own, on $ranks" not initializer -- $ranks fork
    ends "the finalizer in a process of its own, on $ranks" 0 finalizer '^close: success' -- $ranks fork
done
ends "the log" not log -- 3
ends "a task under launch" not task '^play: .*culprit .*crashed on worker [123] .*died of SIGABRT, and was the worker; workers left: 2' '^close: success' -- launch
