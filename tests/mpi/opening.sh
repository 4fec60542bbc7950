#!/usr/bin/env bash
# Pools that cannot be opened say why, on every rank; and processes that end without closing theirs.
# limit: 600
# build: sanitized
. tests/support/shell.sh

export TIMEOUT=30
opening=$BUILD/tests/mpi/opening

on() # RANKS MODE [mpirun's arguments...]
{
    local ranks=$1 mode=$2
    shift 2
    if [ "$ranks" = alone ]; then
        timeout -k 5 "$TIMEOUT" "$opening" "$mode"
    else
        scripts/mpirun.sh -n "$ranks" "$@" "$opening" "$mode"
    fi
}

# Every rank prints a line like PATTERN exactly TIMES times.
says() # NAME RANKS TIMES PATTERN COMMAND...
{
    local name=$1 ranks=$2 times=$3 pattern=$4 rc rank count
    shift 4
    run "$@"
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
        not_ok "$name" "hung"
        return
    fi
    for ((rank = 0; rank < ranks; rank++)); do
        count=$(grep -Ec -- "^rank $rank: $pattern" "$TMP/out")
        if [ "$count" != "$times" ]; then
            cat "$TMP/out" >>"$TMP/err"
            not_ok "$name" "rank $rank said $count times, not $times: $pattern"
            return
        fi
    done
    ok "$name"
}

# ---- registries ----------------------------------------------------------------------------------

for odd in 0 3; do
    ODD_ONE=$odd says "one function more on rank $odd" 4 2 'the pool cannot go on: .*one_more.* rank' on 4 one_more
done
ODD_ONE=1 says "one function less on rank 1" 4 2 'the pool cannot go on: .*one_less.* rank' on 4 one_less
export ODD_ONE=2
says "a difference names its rank" 4 2 'the pool cannot go on: .*rank 2 .*one_more' on 4 one_more
says "another name for one function" 4 1 'the pool cannot go on: .*rank 2 .*name_of_' on 4 other_name
says "a difference among thousands of names" 4 1 'the pool cannot go on: .*rank 2 ' on 4 many_names
ODD_ONE=-1 says "thousands of names" 4 1 'fine' on 4 many_names
for odd in 0 2; do
    ODD_ONE=$odd says "one name for two functions on rank $odd" 3 2 \
        'invalid argument: .*twice_given.*first.c:10.*second.c:20' on 3 clash
done
says "one name for two functions alone" 1 2 'invalid argument: .*twice_given.*first.c:10.*second.c:20' \
    env ODD_ONE=0 timeout -k 5 30 "$opening" clash
says "a function without a name" 2 1 'invalid argument: .*name' on 2 bad_name

# ---- another protocol: the same sources, built with another version ------------------------------

other=$TMP/other
sanitizer=
if nm "$opening" | grep -q __asan_init; then sanitizer=-fsanitize=address,undefined; fi
build_other()
{
    # shellcheck disable=SC2046,SC2086 # lists
    ${MPICC:-mpicc} -std=c11 -D_GNU_SOURCE -DRPI_PROTOCOL=3 -O1 -pthread $sanitizer -Iinclude -Isrc/lib -o "$other" \
        tests/mpi/opening.c $(grep -rl --include='*.c' RPI_PROTOCOL src/lib) "$BUILD/librankpool.a" -lsqlite3 -lcrypto
}
check "another version is built" build_other
says "another version on rank 1" 3 1 'the pool cannot go on: .*protocol version' \
    scripts/mpirun.sh -n 1 "$opening" plain : -n 1 "$other" plain : -n 1 "$opening" plain
says "another version on rank 0" 3 1 'the pool cannot go on: .*protocol version' \
    scripts/mpirun.sh -n 1 "$other" plain : -n 2 "$opening" plain
says "another version everywhere" 3 1 'fine' scripts/mpirun.sh -n 3 "$other" plain

# ---- who does not come ---------------------------------------------------------------------------

export ODD_ONE=1
run on 3 missing
cat "$TMP/out" >>"$TMP/err"
if [ "$rc" = 124 ]; then
    not_ok "a rank that does not come" "hung"
elif ! grep -Eq '^rank 0: the pool cannot go on: .*rank 1([^0-9]|$)' "$TMP/out"; then
    not_ok "a rank that does not come" "rank 0 does not name it"
elif ! grep -Eq '^rank 2: the pool cannot go on: ' "$TMP/out"; then
    not_ok "a rank that does not come" "rank 2 does not know"
else
    ok "a rank that does not come"
fi

run on 3 unmet
cat "$TMP/out" >>"$TMP/err"
if [ "$rc" = 124 ]; then
    not_ok "ranks that do not meet" "hung"
elif ! grep -Eq '^rank 0: the pool cannot go on: rp_open: every rank has called it, but MPI did not bring them together' "$TMP/out"; then
    not_ok "ranks that do not meet" "rank 0 says something else"
elif ! grep -Eq '^rank 2: the pool cannot go on: .*rank 0 waited .* its own message tells more' "$TMP/out"; then
    not_ok "ranks that do not meet" "rank 2 does not know"
else
    ok "ranks that do not meet"
fi

# A rank that is later than open_timeout has given up for the others is told so at once, by name.
for odd in 0 1; do
    TIMEOUT=60 ODD_ONE=$odd run on 3 late
    cat "$TMP/out" >>"$TMP/err"
    who=$([ $odd = 0 ] && echo '(1, 2|2, 1)' || echo 0)
    name="rank $odd comes when others have given up"
    if [ "$rc" = 124 ]; then
        not_ok "$name" "hung"
    elif ! grep -Eq "^rank $odd: .*rank $who called it, waited [0-9.]+ s in vain .*\(config.open_timeout\), and gave up [0-9.]+ s before rank $odd called it" "$TMP/out"; then
        not_ok "$name" "it does not say so"
    elif ! grep -Eq "^rank 2: the pool cannot go on: .*config.open_timeout" "$TMP/out"; then
        not_ok "$name" "rank 2 does not name config.open_timeout"
    else
        ok "$name"
    fi
done

# ---- files: rank 0 has a connection to every worker ----------------------------------------------

FILES_LEFT=2 says "few files, of a limit that can be raised" 3 1 'fine' on 3 few_files
FILES_LEFT=4 FILES_HARD=1 says "few files, of a hard limit" 3 1 \
    'the pool cannot go on: .*too many open files: .* has [0-9]+ and needs 5 more .* \(ulimit -n; hard limit [0-9]+\)' on 3 few_files
cp "$TMP/out" "$TMP/few"
check "... and at once" grep -q '^rank 0: it took no time' "$TMP/few"

# Under rankpool launch the others go on: every one of them says that the pool cannot.
dies() # NAME MODE PATTERN
{
    run timeout -k 5 "$TIMEOUT" "$BUILD/rankpool" launch -n 3 "$opening" "$2"
    cat "$TMP/out" >>"$TMP/err"
    if [ "$rc" != 0 ]; then
        not_ok "$1" "status $rc"
    elif ! grep -Eq "^rank 0: the pool cannot go on: $3" "$TMP/out" || ! grep -q "^rank 2: the pool cannot go on: " "$TMP/out"; then
        not_ok "$1" "rank 0 or rank 2 does not say it"
    else
        ok "$1"
    fi
}
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
dies "a rank that dies before MPI is there" dies_before_mpi '.*a rank has ended before it'

# MPI's start takes long where many ranks share cores, whose number Open MPI tells: then they have
# more time than open_timeout, 3 s here.
slow_start() # RANKS-OF-THIS-HOST
{
    # shellcheck disable=SC2016 # the ranks expand it
    run timeout -k 5 "$TIMEOUT" "$BUILD/rankpool" launch -n 3 \
        sh -c 'OMPI_COMM_WORLD_LOCAL_SIZE=$1 exec "$2" late_before_mpi' sh "$1" "$opening"
}
slow_start 1000000
if [ "$rc" = 0 ] && [ "$(grep -c '^rank [012]: fine' "$TMP/out")" = 3 ]; then
    ok "a slow start of many ranks"
else
    not_ok "a slow start of many ranks" "status $rc, or not every rank is fine"
fi
slow_start 1
pattern='^rank 0: .*MPI_Init did not come back within 3 s \(config.open_timeout is 3 s\).* or is slow; if so, raise'
if grep -Eq "$pattern" "$TMP/out"; then
    ok "a slow start of few"
else
    not_ok "a slow start of few" "no line like $pattern"
fi
dies "a rank that dies before the pool" dies_before '.*rank 1([^0-9]|$)'
dies "a rank that dies in its initializer" dies_inside '.*rank 1 .*has ended'

# The rank dies at each step of its way into the pool, until the pool is open: then it is a lost
# worker.  No rank waits for it longer than open_timeout, 3 s here, in each of two rounds.
dies_at() # STEP; false: the pool was opened
{
    local name="a rank that dies at step $1" took
    AT=$1 run timeout -k 5 90 "$BUILD/rankpool" launch -n 3 "$opening" dies_at
    cat "$TMP/out" >>"$TMP/err"
    took=$(sed -n 's/^rank 0: rp_open took \([0-9]*\).*/\1/p' "$TMP/out")
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif grep -q '^rank 0: opened' "$TMP/out"; then
        if grep -q '^rank 0: fine' "$TMP/out"; then ok "$name (there is a pool)"; else not_ok "$name" "the pool does not work"; fi
        return 1
    elif ! grep -Eq '^rank 0: the pool cannot go on: .*rank 1([^0-9]|$)' "$TMP/out"; then
        not_ok "$name" "rank 0 does not name it"
    elif ! grep -q '^rank 2: the pool cannot go on: ' "$TMP/out"; then
        not_ok "$name" "rank 2 does not know"
    elif [ "${took:-99}" -ge 30 ]; then
        not_ok "$name" "rp_open took $took s"
    else
        ok "$name ($took s)"
    fi
}
steps=0
while [ $steps -lt 40 ] && dies_at $steps; do steps=$((steps + 1)); done
check "there are steps between MPI's start and the pool" [ $steps -ge 8 ]

# ---- launchers and MPI's life --------------------------------------------------------------------

says "srun without an interface for MPI" 1 1 'an MPI call failed: .*srun.*mpirun' \
    env SLURM_STEP_NUM_TASKS=2 timeout -k 5 30 "$opening" plain
says "srun of one task" 1 1 'fine' env SLURM_STEP_NUM_TASKS=1 timeout -k 5 30 "$opening" plain
says "mpirun inside srun's environment" 2 1 'fine' env SLURM_STEP_NUM_TASKS=2 scripts/mpirun.sh -n 2 "$opening" plain
says "after MPI_Finalize" 2 2 '(invalid argument|an MPI call failed): .*finali' on 2 after_finalize
says "after MPI_Finalize alone" 1 2 '(invalid argument|an MPI call failed): .*finali' on alone after_finalize

says "a caretaker where MPI has no threads" 3 1 'invalid argument: .*MPI_THREAD_MULTIPLE' on 3 no_threads
says "no caretaker where MPI has no threads" 3 1 'fine' on 3 no_threads

for ranks in alone 1 3; do
    for status in 0 7; do
        export LEAVE_WITH=$status LEAVE_AFTER=$((status * 1000))
        run on $ranks left_open
        served=$(grep -c '^rank [0-9]: served' "$TMP/out")
        if [ "$rc" != $status ]; then
            not_ok "exit $status without rp_close, $ranks" "status $rc"
        elif [ "$served" != $((${ranks/alone/1} - 1)) ]; then
            not_ok "exit $status without rp_close, $ranks" "$served workers came back"
        else
            ok "exit $status without rp_close, $ranks"
        fi
    done
done
