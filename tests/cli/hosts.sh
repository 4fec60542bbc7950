#!/usr/bin/env bash
# What rankpool launch makes of hosts: one with several names is one, and arguments come to all of
# them as they are.
# limit: 240
# build: plain
# shellcheck disable=SC2016 # for the ranks' shells
. tests/support/shell.sh

[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
rankpool=$BUILD/rankpool

# SLURM leaves in the environment of how many components a job is.
run env SLURM_HET_SIZE=2 SLURM_JOB_NODELIST=n1 timeout -k 5 40 "$rankpool" launch -n 1 sh -c 'exit 7'
if [ "$rc" = 7 ] && [ "$(grep -c 'this SLURM job has 2 components, and mpirun uses the nodes of one of them, n1:' "$TMP/err")" = 1 ]; then
    ok "a job of two components"
else
    not_ok "a job of two components" "status $rc, or no warning"
fi
run env SLURM_HET_SIZE=1 timeout -k 5 40 "$rankpool" launch -n 1 sh -c 'exit 7'
if [ "$rc" = 7 ] && ! grep -q components "$TMP/err"; then ok "a job of one"; else not_ok "a job of one" "status $rc, or a warning"; fi

three_hosts
net=10.77.$(cat "$cluster/number")
launch=(timeout -k 5 40 scripts/hosts run "$cluster" n0 "$rankpool" launch)

# Each rank says where it is, and which of its host's.
places() # NAME PLACES OPTIONS...
{
    local name=$1 want=$2 rc said
    shift 2
    run "${launch[@]}" "$@" sh -c 'echo "$OMPI_COMM_WORLD_RANK:$(hostname):$OMPI_COMM_WORLD_LOCAL_RANK"'
    said=$(sort "$TMP/out" | paste -sd' ')
    if [ "$rc" = 0 ] && [ "$said" = "$want" ]; then ok "$name"; else not_ok "$name" "status $rc, ranks at $said"; fi
}

places "a name and an address" "0:n1:0 1:n1:1 2:n1:2" --hosts "n1:1,$net.2:2"
places "an address and a name, another host between" "0:n1:0 1:n1:1 2:n1:2 3:n2:0" --hosts "$net.2:1,n2:1,n1:2"
places "a name with its domain" "0:n1:0 1:n1:1" --hosts n1:1,n1.cluster:1
places "a name with its domain, and an address" "0:n1:0 1:n1:1 2:n1:2" --hosts "n1.cluster,$net.2,n1"
places "this host by three names" "0:n0:0 1:n0:1 2:n0:2 3:n1:0" --hosts "localhost:1,n0:1,$net.1:1,n1:1"
places "the same name twice" "0:n1:0 1:n1:1 2:n1:2" --hosts n1:1,n1:2
places "more ranks than their sum" "0:n1:0 1:n1:1 2:n1:2 3:n1:3" -n 4 --hosts "n1:1,$net.2:1"
printf '%s slots=2\n' n1 "$net.2" >"$TMP/hostfile"
refuse "a file with a host twice" "n1 and $net.2 are one host: name it once" \
    "${launch[@]}" -n 4 --mpirun-arg --hostfile --mpirun-arg "$TMP/hostfile" true
refuse "a word for mpirun with a host twice" "$net.2 and n1 are one host: name it once" \
    "${launch[@]}" -n 4 --mpirun-arg --host --mpirun-arg "$net.2:2,n1:2" true

words=(a : '' -n $'x\ny' -- '"' $'\377')
want=$(printf '%s\0' "${words[@]}" | md5sum)
run "${launch[@]}" --hosts n0:1,n1:1,n2:1 sh -c 'printf "%s\0" "$@" | md5sum' sh "${words[@]}"
if [ "$rc" = 0 ] && [ "$(grep -cxF "$want" "$TMP/out")" = 3 ]; then
    ok "arguments on three hosts"
else
    not_ok "arguments on three hosts" "status $rc, or other words"
fi
long=$(head -c 100000 /dev/zero | tr '\0' '\377')
run "${launch[@]}" --hosts n1:1,n2:1 sh -c 'printf "%s\n" ${#1}' sh "$long"
if [ "$rc" = 0 ] && [ "$(paste -sd' ' "$TMP/out")" = "${#long} ${#long}" ]; then
    ok "100 kB on other hosts"
else
    not_ok "100 kB on other hosts" "status $rc, not twice ${#long} bytes"
fi
