#!/usr/bin/env bash
# Jobs on three hosts, each a network namespace, of which one dies or has its cable cut.
# limit: 300
# build: plain
. tests/support/shell.sh

three_hosts

launch() # PROGRAM...
{
    timeout -k 5 60 scripts/hosts run "$cluster" n0 "$BUILD/rankpool" launch -n 5 --hosts n0:1,n1:2,n2:2 "$@"
}

left() # processes of the job on a host
{
    scripts/hosts pids "$cluster" "$1" | wc -l
}

clean() # NAME HOSTS...: nothing runs there 5 s after
{
    local name=$1 end=$((SECONDS + 5)) host
    shift
    for host; do
        while [ "$(left "$host")" != 0 ]; do
            if [ $SECONDS -ge $end ]; then
                not_ok "$name" "processes are left on $host"
                return
            fi
            sleep 0.1
        done
    done
    ok "$name"
}

# shellcheck disable=SC2016 # for the ranks' shells
run launch sh -c 'hostname; exit 7'
if [ "$rc" = 7 ] && [ "$(sort -u "$TMP/out" | paste -sd' ')" = "n0 n1 n2" ]; then
    ok "the status of rank 0"
else
    not_ok "the status of rank 0" "status $rc"
fi
clean "nothing is left" n0 n1 n2
expect "squares" src/examples/squares.expected launch "$BUILD/examples/squares"
clean "nothing is left of a pool" n0 n1 n2

# Rank 0 goes on when a host is lost, and the job ends with it.  Where the others have ended too,
# mpirun would wait for the daemon of the lost host for ever: it is not waited for once it sleeps.
lose_a_host() # FAULT SECONDS: so long the ranks of the host between go on
{
    rm -f "$TMP/ready"
    (
        until [ -e "$TMP/ready" ]; do sleep 0.1; done
        scripts/hosts "$1" "$cluster" n2
    ) &
    # shellcheck disable=SC2016 # for the ranks' shells
    launch sh -c 'case $OMPI_COMM_WORLD_RANK in
                  0) : >"$1"; sleep 4.5; echo goes on; date +%s%3N >"$1"; exit 5 ;;
                  1 | 2) exec sleep "$2" ;;
                  *) exec sleep 100 ;;
                  esac' rank "$TMP/ready" "$2"
}
for fault in kill cut; do
    for others in 100 4; do
        name="a host lost: $fault; others: $others s"
        run lose_a_host $fault $others
        took=$((${EPOCHREALTIME/./} / 1000 - $(cat "$TMP/ready")))
        if [ "$rc" != 5 ] || ! grep -q 'goes on' "$TMP/out"; then
            not_ok "$name" "status $rc"
        elif [ $others = 4 ] && [ $took -ge 950 ]; then
            not_ok "$name" "the job ended $took ms after rank 0"
        else
            ok "$name ($took ms from rank 0's end to the job's)"
        fi
        scripts/hosts mend "$cluster" n2
        clean "nothing is left after a $fault" n0 n1
        scripts/hosts kill "$cluster" n2
    done
done
