#!/usr/bin/env bash
# A launcher that counts several ranks where MPI counts one is another MPI's: each process would be
# a pool of its own, so none is opened.
# limit: 200
# build: plain
# shellcheck disable=SC2016 # $? is for the inner shell
. tests/support/shell.sh

export TIMEOUT=45
launched=$BUILD/tests/mpi/launched
needs tests/mpi/launched

# That other launcher, as this process sees it.
alone() # SETTING... -- ARGUMENTS
{
    local settings=()
    while [ "$1" != -- ]; do
        settings+=("$1")
        shift
    done
    shift
    timeout -k 5 "$TIMEOUT" env "${settings[@]}" "$launched" "$@"
}

opens() # NAME WORKERS COMMAND...
{
    local name=$1 want=$2 rc
    shift 2
    run "$@"
    if [ "$rc" != 0 ]; then
        not_ok "$name" "status $rc"
    elif [ "$(grep '^workers' "$TMP/out" | paste -sd,)" != "$want" ]; then
        not_ok "$name" "$(paste -sd, "$TMP/out"), not $want"
    else
        ok "$name"
    fi
}

told() # COUNT NAME PATTERN COMMAND...: that many processes refuse
{
    local want=$1 name=$2 pattern=$3 rc
    shift 3
    run "$@"
    if [ "$rc" = 0 ] || grep -q '^workers' "$TMP/out"; then
        not_ok "$name" "status $rc, or a pool was opened"
    elif [ "$(grep -Ec -- "$pattern" "$TMP/err")" != "$want" ]; then
        not_ok "$name" "not told by $want processes: $pattern"
    else
        ok "$name"
    fi
}

message='^open: rp_open(_comm)?: the launcher, .*MPICH.*, has started 3 ranks \(PMI_SIZE\), but .*Open MPI v.*, counts 1, '
mpich=(PMI_RANK=0 PMI_SIZE=3)
told 1 "the environment of an MPICH's launcher" "$message" alone "${mpich[@]}" -- world
told 1 "... where the application has initialised MPI" "$message" alone "${mpich[@]}" -- own
told 1 "... on a communicator like MPI_COMM_WORLD" "$message" alone "${mpich[@]}" -- copy
told 1 "... that names a port" 'has started 3 ranks \(MPI_LOCALNRANKS\)' alone PMI_ID=0 PMI_PORT=localhost:1 MPI_LOCALNRANKS=3 -- world
told 1 "... on a host with one of its ranks" "$message" alone "${mpich[@]}" MPI_LOCALNRANKS=1 -- world
told 1 "the environment of another Open MPI's" 'the mpirun of an Open MPI, has started 3' alone OMPI_COMM_WORLD_SIZE=3 -- world
told 1 "the environment of an srun that has asked for no rank of this MPI" 'srun, has started 3' alone PMI_RANK=0 SLURM_STEP_NUM_TASKS=3 -- world
told 1 "a shell between" "$message" env "${mpich[@]}" sh -c '"$1" world; exit $?' sh "$launched"

# What goes on working.
opens "MPI_COMM_SELF is asked for" "workers: 1" alone "${mpich[@]}" -- self
opens "one rank" "workers: 1" alone PMI_RANK=0 PMI_SIZE=1 -- world
opens "one rank of several steps' tasks" "workers: 1" alone PMI_RANK=0 PMI_SIZE=1 SLURM_STEP_NUM_TASKS=3 -- world
opens "mpirun in a job of another launcher" "workers: 1" env "${mpich[@]}" scripts/mpirun.sh -n 1 "$launched" world
opens "mpirun of several ranks there" "workers: 2" env "${mpich[@]}" scripts/mpirun.sh -n 3 "$launched" world
opens "a program that a rank starts" "workers: 1,workers: 1" alone "${mpich[@]}" -- self "$launched world"
opens "... by way of a shell" "workers: 1,workers: 1" alone "${mpich[@]}" -- self "$launched world; exit \$?"
opens "MPI_COMM_SELF under mpirun" "workers: 1,workers: 1,workers: 1" scripts/mpirun.sh -n 3 "$launched" self

# The real one, where it is installed.
if command -v mpiexec.mpich >/dev/null; then
    told 3 "MPICH's own launcher" "$message" timeout -k 5 "$TIMEOUT" mpiexec.mpich -n 3 "$launched" world
    told 3 "... with a port" 'has started 3 ranks' timeout -k 5 "$TIMEOUT" mpiexec.mpich -pmi-port -n 3 "$launched" world
    opens "... and one rank" "workers: 1" timeout -k 5 "$TIMEOUT" mpiexec.mpich -n 1 "$launched" world
fi
