#!/usr/bin/env bash
# A C++ program with the headers, linked by README's line: at each level of optimisation, as what is
# not used may be dropped at some.
# build: plain
. tests/support/shell.sh

export TIMEOUT=45
read -ra compile <<<"$(mpicc --showme:compile)"
read -ra link <<<"$(mpicc --showme:link)"
read -ra sanitize <<<"$(grep -o -- '-fsanitize=[^ ]*' "$BUILD/flags" | tr '\n' ' ')"

cat >"$TMP/squares.cpp" <<'END'
#include <cstdio>
#include <rankpool_mpi.h>

static rp_status square(rp_call *call, const void *arg, size_t size)
{
    int number = *static_cast<const int *>(arg);
    (void)size;
    number *= number;
    return rp_return(call, &number, sizeof number);
}
RP_TASK(square);

int main(int argc, char **argv)
{
    int provided, number = 12, result = 0;
    rp_pool *pool = nullptr;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    rp_status status = rp_open_comm(MPI_COMM_WORLD, nullptr, &pool);
    if (status == RP_OK)
        status = rp_apply(pool, square, &number, sizeof number, &result, sizeof result, nullptr);
    if (status == RP_OK)
        status = rp_close(&pool);
    if (status == RP_OK)
        std::printf("%d\n", result);
    MPI_Finalize();
    return status != RP_OK;
}
END
echo 144 >"$TMP/expected"

for level in -O0 -O2; do
    check "C++ at $level" "${CXX:-g++}" -std=c++11 $level -pthread "${sanitize[@]}" -Iinclude "${compile[@]}" "$TMP/squares.cpp" \
        "$BUILD/librankpool.a" "${link[@]}" -lsqlite3 -lcrypto -o "$TMP/squares$level"
done
if [ -x "$TMP/squares-O2" ]; then
    expect "C++, 1 rank" "$TMP/expected" scripts/mpirun.sh -n 1 "$TMP/squares-O2"
fi

# The other MPI, whose header has another name for it: only where it is installed.
if command -v mpicc.mpich >/dev/null; then
    read -ra compile <<<"$(mpicc.mpich -show | tr ' ' '\n' | grep '^-[ID]' | tr '\n' ' ')"
    if "${CXX:-g++}" -std=c++11 -Iinclude "${compile[@]}" -M "$TMP/squares.cpp" >"$TMP/headers" && grep -q rankpool_mpi.h "$TMP/headers" &&
        ! grep -q mpicxx "$TMP/headers"; then
        ok "C++ without MPICH's mpicxx.h"
    else
        not_ok "C++ without MPICH's mpicxx.h" "it is included, or mpi.h is not found"
    fi
fi
