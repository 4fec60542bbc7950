#!/usr/bin/env bash
# RP_TASK in a plug-in that is unloaded and loaded again, at another address; and in two that are
# loaded together.
# build: plain
. tests/support/shell.sh

export TIMEOUT=45
read -ra compile <<<"$(mpicc --showme:compile)"
read -ra link <<<"$(mpicc --showme:link)"
read -ra sanitize <<<"$(grep -o -- '-fsanitize=[^ ]*' "$BUILD/flags" | tr '\n' ' ')"

cat >"$TMP/plug.c" <<'END'
#include <rankpool.h>

static rp_status plugged(rp_call *call, const void *arg, size_t size)
{
    int number = *(const int *)arg + ADD;
    (void)size;
    return rp_return(call, &number, sizeof number);
}
RP_TASK(plugged);

rp_fn *const entry = plugged;
END

cat >"$TMP/host.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <rankpool.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static rp_fn *load(const char *path, void **plug)
{
    *plug = dlopen(path, RTLD_NOW);
    rp_fn *const *entry = *plug ? dlsym(*plug, "entry") : NULL;
    if (!entry)
        fprintf(stderr, "%s\n", dlerror());
    return entry ? *entry : NULL;
}

/* Its pages are taken by something else afterwards, so that it comes elsewhere, and the old place cannot be read. */
static void unload(void *plug)
{
    struct link_map *map;
    if (dlinfo(plug, RTLD_DI_LINKMAP, &map) != 0)
        return;
    char *base = (char *)map->l_addr;
    dlclose(plug);
    (void)mmap(base, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static bool is_worker;

static int try(rp_fn *fn)
{
    rp_pool *pool = NULL;
    int number = 10, result = 0;
    rp_status status = rp_open(NULL, &pool);
    if (status == RP_OK && !pool) {
        is_worker = true;
        return 0;
    }
    if (status == RP_OK)
        status = rp_apply(pool, fn, &number, sizeof number, &result, sizeof result, NULL);
    if (status != RP_OK)
        printf("%s\n", rp_error_message());
    if (pool && rp_close(&pool) != RP_OK)
        printf("close: %s\n", rp_error_message());
    return result;
}

int main(int argc, char **argv)
{
    void *plug, *second;
    (void)argc;
    rp_fn *first = load(argv[1], &plug);
    if (!first)
        return 2;
    if (!strcmp(argv[3], "both")) { /* two that are loaded, or one in two versions */
        (void)load(argv[2], &second);
        (void)try(first);
        dlclose(second);
        printf("without it %d\n", try(first));
        return 0;
    }
    int result = try(first);
    if (!is_worker)
        printf("%d\n", result);
    for (int round = 0; round < 3; round++) {
        unload(plug);
        if (!strcmp(argv[3], "between"))
            (void)try(first);
        rp_fn *again = load(argv[2], &plug);
        if (!again)
            return 2;
        result = try(again);
        if (!is_worker)
            printf("%s %d\n", again == first ? "there" : "elsewhere", result);
    }
    return 0;
}
END

flags=(-std=c11 -Wall -Wextra -Werror "${sanitize[@]}" -Iinclude "${compile[@]}")
build_all()
{
    "${CC:-cc}" "${flags[@]}" -fPIC -shared -DADD=1 "$TMP/plug.c" -o "$TMP/one.so" &&
        "${CC:-cc}" "${flags[@]}" -fPIC -shared -DADD=2 "$TMP/plug.c" -o "$TMP/two.so" &&
        "${CC:-cc}" "${flags[@]}" "$TMP/host.c" -L"$BUILD" -Wl,-rpath,"$(realpath "$BUILD")" -lrankpool "${link[@]}" -ldl \
            -o "$TMP/host"
}

check "plug-ins and their program" build_all
[ -x "$TMP/host" ] || exit 1

printf '11\nelsewhere 11\nelsewhere 11\nelsewhere 11\n' >"$TMP/same"
expect "unloaded and loaded again" "$TMP/same" timeout 45 "$TMP/host" "$TMP/one.so" "$TMP/one.so" again
printf '11\nelsewhere 12\nelsewhere 12\nelsewhere 12\n' >"$TMP/changed"
expect "unloaded, and another loaded" "$TMP/changed" timeout 45 "$TMP/host" "$TMP/one.so" "$TMP/two.so" again
expect "on three ranks" "$TMP/changed" scripts/mpirun.sh -n 3 "$TMP/host" "$TMP/one.so" "$TMP/two.so" again

# A pool that is opened meanwhile has no such function: it is refused where it would be a jump into
# memory that is none.
run timeout 45 "$TMP/host" "$TMP/one.so" "$TMP/one.so" between
if [ "$rc" = 0 ] && [ "$(grep -c 'the function at .* is not registered' "$TMP/out")" = 3 ] && [ "$(grep -c '^elsewhere 11' "$TMP/out")" = 3 ]; then
    ok "while it is unloaded no pool has it"
else
    cat "$TMP/out" >>"$TMP/err"
    not_ok "while it is unloaded no pool has it" "status $rc"
fi

run timeout 45 "$TMP/host" "$TMP/one.so" "$TMP/two.so" both
if grep -q 'the name plugged is given to two task functions, at .*plug\.c:9 and at .*plug\.c:9: rename one' "$TMP/out"; then
    ok "two that are loaded may not share a name"
else
    cat "$TMP/out" >>"$TMP/err"
    not_ok "two that are loaded may not share a name" "status $rc"
fi

if grep -qx 'without it 11' "$TMP/out"; then
    ok "nor is that held against the first when the second is unloaded"
else
    cat "$TMP/out" >>"$TMP/err"
    not_ok "nor is that held against the first when the second is unloaded" "status $rc"
fi
