#!/usr/bin/env bash
# A child of fork() that does not exec ends as it likes, and costs its parent's pool nothing; nor
# does it hide its worker's death.
# limit: 300
# build: sanitized
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export TIMEOUT=20
forks=$BUILD/tests/mpi/forks

on() # RANKS WHERE HOW...
{
    if [ "$1" = alone ]; then
        shift
        timeout -k 5 "$TIMEOUT" "$forks" "$@"
    else
        scripts/mpirun.sh -n "$1" "$forks" "${@:2}"
    fi
}

# The pool goes on, and nothing is said of it but of children that come back.
goes_on() # RANKS WHERE HOW...
{
    local rc back=0 said name="${*:2}, on $1"
    [[ " ${*:3} " != *" back "* ]] || back=1
    run on "$@"
    said=$(grep -c 'rankpool: .*) that .* forked has come back from it, and is ended' "$TMP/err")
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif [ "$(cat "$TMP/out")" != "the pool went on" ]; then
        not_ok "$name" "other output: $(head -n 3 "$TMP/out")"
    elif [ "$said" != $back ] || [ "$(grep -c 'rankpool:' "$TMP/err")" != $back ]; then
        not_ok "$name" "it says: $(grep 'rankpool:' "$TMP/err")"
    else
        ok "$name"
    fi
}

for ranks in alone 3; do
    goes_on $ranks app exit _exit main signal calls system popen vfork spawn
    goes_on $ranks closed exit main signal
    goes_on $ranks thread exit signal calls
    goes_on $ranks callback exit calls back
    goes_on $ranks source exit calls back
    goes_on $ranks task exit _exit signal fault pthread_exit system popen vfork spawn back
    goes_on $ranks isolated exit _exit signal fault pthread_exit system popen back
done
goes_on 3 app finalize
goes_on 3 task finalize
goes_on 3 isolated finalize
goes_on alone finalizer back
goes_on 2 finalizer back
goes_on alone app opens
goes_on alone task calls opens

# A worker is killed, and a child of its task's lives on, with all that it has inherited: rank 0
# hears of it as soon as without.
mark=$$-forks
begin=$SECONDS
MARK=$mark run timeout -k 5 60 "$BUILD/rankpool" launch -n 3 "$forks" task held
took=$((SECONDS - begin))
marked "$mark" | xargs -r kill -KILL
if [ "$rc" != 0 ] || ! grep -q "the pool went on" "$TMP/out"; then
    not_ok "a worker's death with a child that lives on" "status $rc after $took s"
else
    ok "a worker's death with a child that lives on"
fi
