#!/usr/bin/env bash
# Pools on three hosts, each a network namespace, of which one dies or has its cable cut at a random
# moment: every future settles, the results are right, and the job ends.  A death is noticed at
# once, a cut cable within 3 s.
#   RUNS=n SEED=n tests/mpi/hosts.sh     by hand: n runs of each, from that seed on
# limit: 300
# build: plain
. tests/support/shell.sh

needs rankpool tests/mpi/chaos

: "${RUNS:=1}" "${SEED:=$((RANDOM * 32768 + RANDOM + 1))}"
three_hosts

launch() # WORDS...
{
    timeout -k 5 120 scripts/hosts run "$cluster" n0 "$BUILD/rankpool" launch -n 5 --hosts n0:1,n1:2,n2:2 \
        "$BUILD/tests/mpi/chaos" "$seed" "$TMP/starts" "$@"
}

# Once tasks run, and a moment after that.
launch_with_fault() # FAULT MILLISECONDS WORDS...
{
    local fault=$1 moment=$2 end=$((SECONDS + 60))
    shift 2
    (
        until [ -s "$TMP/starts" ] || [ $SECONDS -ge $end ]; do sleep 0.02; done
        sleep "$((moment / 1000)).$(printf %03d $((moment % 1000)))"
        scripts/hosts "$fault" "$cluster" n2
        : >"$TMP/done"
    ) &
    launch "$@"
}

# Nothing runs on these hosts 5 s after.
clean() # HOSTS...
{
    local end=$((SECONDS + 5)) host
    for host; do
        while [ -n "$(scripts/hosts pids "$cluster" "$host")" ]; do
            [ $SECONDS -lt $end ] || return 1
            sleep 0.1
        done
    done
}

lose_host() # FAULT
{
    local fault=$1 words=(seconds=3 waves=3) moment name
    RANDOM=$seed
    moment=$((RANDOM % 2500))
    [ $((RANDOM % 3)) != 0 ] || words+=(fork=1)
    [ $((RANDOM % 3)) != 0 ] || words+=(journal=1)
    name="SEED=$seed: $fault after $moment ms, ${words[*]}"
    : >"$TMP/starts"
    rm -f "$TMP/done" "$TMP"/starts.journal*
    run launch_with_fault "$fault" $moment "${words[@]}"
    wait
    cat "$TMP/out" >>"$TMP/err"
    scripts/hosts mend "$cluster" n2
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
        not_ok "$name" "hung"
    elif [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif ! [ -e "$TMP/done" ] || ! grep -Eq '^rankpool: worker [34] \(n2, pid [0-9]+\) is lost: .*its host cannot be reached' "$TMP/err"; then
        not_ok "$name" "no line says that a worker on n2 is lost"
    elif ! clean n0 n1; then
        not_ok "$name" "a process is left"
    else
        ok "$name ($(sed -n 's/.*: the \(longest wave took .*\)/\1/p' "$TMP/out"))"
    fi
    scripts/hosts kill "$cluster" n2
}

for ((run = 0; run < RUNS; run++)); do
    seed=$((SEED + run))
    lose_host kill
    lose_host cut
done
