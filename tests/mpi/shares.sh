#!/usr/bin/env bash
# However the job ends, shared data leave no file, no process and no memory.
# machine: alone
# build: sanitized
# limit: 120
. tests/support/shell.sh

export TIMEOUT=20
shares=$BUILD/tests/mpi/shares

# Processes of this program, and files: shared data have no name, so with the last process that has
# them they are gone.
left_over()
{
    local exe
    for exe in /proc/[0-9]*/exe; do
        if [ "$exe" -ef "$shares" ]; then echo "$exe"; fi
    done 2>/dev/null
    find /dev/shm /tmp -maxdepth 1 -name '*rankpool*' -newer "$TMP/begin" 2>/dev/null
}

nothing_left() # NAME
{
    local deadline=$((SECONDS + 10)) found
    while found=$(left_over) && [ -n "$found" ]; do
        if [ $SECONDS -ge $deadline ]; then
            not_ok "$1" "left: $(head -n 1 <<<"$found")"
            return
        fi
        sleep 0.1 # mpirun may be back before its processes are gone
    done
    ok "$1"
}

touch "$TMP/begin"
for ranks in 2 4; do
    for how in close exit kill master close+ exit+ kill+ master+; do
        run scripts/mpirun.sh -n $ranks "$shares" $how
        case $how in
        kill* | master*)
            if [ "$rc" != 0 ]; then ok "$how on $ranks ends"; else not_ok "$how on $ranks ends" "status 0"; fi
            ;;
        *)
            if [ "$rc" = 0 ]; then ok "$how on $ranks ends"; else not_ok "$how on $ranks ends" "status $rc"; fi
            ;;
        esac
        nothing_left "$how on $ranks leaves nothing"
    done
done
check "alone" timeout -k 5 20 "$shares" close
check "alone, without closing" timeout -k 5 20 "$shares" exit
