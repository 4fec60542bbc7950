#!/usr/bin/env bash
# Jobs on three hosts, each a network namespace, of which one dies or has its cable cut.
# limit: 300
. tests/support/shell.sh

without_leaks
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

# Rank 0 goes on when a host is lost, and the job ends with it.
# shellcheck disable=SC2016 # for the ranks' shells
for fault in kill cut; do
    rm -f "$TMP/ready"
    run_with_fault()
    {
        (
            until [ -e "$TMP/ready" ]; do sleep 0.1; done
            scripts/hosts "$fault" "$cluster" n2
        ) &
        launch sh -c '[ $OMPI_COMM_WORLD_RANK = 0 ] || exec sleep 100; : >"$1"; sleep 4; echo goes on; exit 5' rank "$TMP/ready"
    }
    run run_with_fault
    if [ "$rc" = 5 ] && grep -q 'goes on' "$TMP/out"; then
        ok "a host lost: $fault"
    else
        not_ok "a host lost: $fault" "status $rc"
    fi
    scripts/hosts mend "$cluster" n2
    clean "nothing is left after a $fault" n0 n1
    scripts/hosts kill "$cluster" n2
done
