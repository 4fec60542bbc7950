#!/usr/bin/env bash
# The runtimes of OpenMP, Fortran and C++ in the processes that config.isolation = RP_FORK makes:
# threads that they count on, and what they buffer.
# limit: 180
# build: plain
. tests/support/shell.sh

[ "$(nm "$BUILD/librankpool.a" 2>/dev/null | grep -c '__asan_init\|__tsan_init')" = 0 ] || skip "other compilers than the sanitizer's"
here=tests/mpi/runtimes
read -ra link <<<"$(mpicc --showme:link)"
link=("$BUILD/librankpool.a" "${link[@]}" -lsqlite3 -lcrypto -pthread)
export TIMEOUT=60 OMP_NUM_THREADS=3

runs() # NAME PROGRAM
{
    check "$1, alone" timeout -k 5 $TIMEOUT "$2"
    check "$1, on 3" scripts/mpirun.sh -n 3 "$2"
}

for compiler in gcc clang; do
    if ! $compiler -fopenmp -O1 -g -Iinclude $here/openmp.c -o "$TMP/openmp" "${link[@]}" 2>"$TMP/err"; then
        [ $compiler = clang ] || not_ok "OpenMP by $compiler" "it does not compile"
        continue
    fi
    runs "OpenMP by $compiler" "$TMP/openmp"
done

blas=/usr/lib/$(gcc -print-multiarch)/openblas-openmp
if [ -e "$blas/libopenblas.so" ]; then
    gcc -O1 -g -Iinclude -I"/usr/include/$(gcc -print-multiarch)/openblas-openmp" $here/blas.c -o "$TMP/blas" -L"$blas" \
        -Wl,-rpath,"$blas" -lopenblas "${link[@]}" 2>"$TMP/err" || not_ok "OpenBLAS" "it does not compile"
    check "OpenBLAS over OpenMP" timeout -k 5 $TIMEOUT "$TMP/blas"
fi

# Each rank's output in a file, as with mpirun's --output-filename; then all of it.
in_files()
{
    # shellcheck disable=SC2016 # it is for the other shell
    scripts/mpirun.sh -n 3 bash -c 'exec "$0" >"$0.$OMPI_COMM_WORLD_RANK"' "$TMP/lines" && cat "$TMP"/lines.[0-9]
}

# Each line once, in a file.
lines() # LANGUAGE OBJECT LIBRARIES...
{
    local language=$1 object=$2 ranks rc
    rm -f "$TMP"/lines*
    gcc -O1 -g -Iinclude $here/lines.c "$object" -o "$TMP/lines" "${link[@]}" "${@:3}" 2>"$TMP/err" ||
        not_ok "$language" "it does not compile"
    for ranks in alone 3; do
        if [ $ranks = alone ]; then run timeout -k 5 $TIMEOUT "$TMP/lines"; else run in_files; fi
        if [ "$rc" = 0 ] && [ "$(sort "$TMP/out")" = "$(printf 'line %d\n' 0 1 2 3 4 5)" ]; then
            ok "what tasks in $language print, $ranks"
        else
            cat "$TMP/out" >>"$TMP/err"
            not_ok "what tasks in $language print, $ranks" "status $rc, and other lines"
        fi
    done
    run timeout -k 5 $TIMEOUT "$TMP/lines" exit
    if [ "$(sort "$TMP/out")" = "$(printf 'line %d\n' 0 1 2 3 4 5 6)" ]; then
        ok "what a task in $language prints that leaves by exit()"
    else
        cat "$TMP/out" >>"$TMP/err"
        not_ok "what a task in $language prints that leaves by exit()" "other lines"
    fi
}

if gfortran -O1 -g -c $here/line.f90 -o "$TMP/fortran.o"; then
    lines Fortran "$TMP/fortran.o" -lgfortran
else
    not_ok Fortran "it does not compile"
fi
if g++ -O1 -g -c $here/line.cc -o "$TMP/cxx.o"; then
    lines C++ "$TMP/cxx.o" -lstdc++
else
    not_ok C++ "it does not compile"
fi

# MPI_Abort and MPI_Finalize by Fortran's two interfaces.
read -ra fortran <<<"$(mpifort --showme:link)"
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
for interface in F77 F08; do
    if mpifort -D$interface -O1 -g -c $here/abort.F90 -o "$TMP/abort.o" 2>"$TMP/err" &&
        gcc -O1 -g -Iinclude $here/aborts.c "$TMP/abort.o" -o "$TMP/aborts" "$BUILD/librankpool.a" "${fortran[@]}" -lgfortran \
            -lsqlite3 -lcrypto -pthread 2>"$TMP/err"; then
        check "MPI_Abort of $interface in a worker" timeout -k 5 $TIMEOUT "$BUILD/rankpool" launch -n 3 "$TMP/aborts"
        check "MPI_Abort of $interface in a process of its own" timeout -k 5 $TIMEOUT "$TMP/aborts" fork
        check "MPI_Finalize of $interface in a forked child" timeout -k 5 $TIMEOUT "$BUILD/rankpool" launch -n 3 "$TMP/aborts" child
    else
        not_ok "MPI_Abort of $interface" "it does not compile"
    fi
done
