#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

rp_pool *pool;

static int number_in(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? (int)strtol(text, NULL, 10) : otherwise;
}

int ranks(void)
{
    return number_in("OMPI_COMM_WORLD_SIZE", 1);
}

int rank_here(void)
{
    return number_in("OMPI_COMM_WORLD_RANK", 0);
}

bool open_pool(const rp_config *config)
{
    pool = NULL;
    return IS(RP_OK, rp_open(config, &pool)) && pool;
}

void close_pool(void)
{
    IS(RP_OK, rp_close(&pool));
    CU_ASSERT_PTR_NULL(pool);
}

void end_pool(void)
{
    open_gate();
    if (pool)
        (void)rp_terminate(&pool);
    pool = NULL;
}

bool is(rp_status got, rp_status wanted, const char *call, const char *file, unsigned line)
{
    char text[500];
    if (got == wanted) {
        CU_assertImplementation(CU_TRUE, line, call, file, "", CU_FALSE);
        return true;
    }
    (void)snprintf(text, sizeof text, "%s gave \"%s\" (%d), not \"%s\"%s%.200s", call,
                   rp_strerror(got), (int)got, rp_strerror(wanted), got == RP_OK ? "" : ": ",
                   got == RP_OK ? "" : rp_error_message());
    CU_assertImplementation(CU_FALSE, line, text, file, "", CU_FALSE);
    return false;
}

bool says(const char *message, const char *text, const char *file, unsigned line)
{
    char failure[500];
    bool found = strstr(message, text) != NULL;
    (void)snprintf(failure, sizeof failure, "no \"%s\" in \"%.300s\"", text, message);
    CU_assertImplementation(found, line, failure, file, "", CU_FALSE);
    return found;
}

rp_future submit(rp_fn *fn, const void *arg, size_t size)
{
    rp_future future = { 0 };
    IS(RP_OK, rp_submit(pool, fn, arg, size, NULL, &future));
    return future;
}

/* ---- tasks */

rp_status echo(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(echo);

rp_status nothing(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    return RP_OK;
}
RP_TASK(nothing);

rp_status twice(rp_call *call, const void *arg, size_t size)
{
    int64_t value;
    if (size != sizeof value)
        return rp_fail(call, 1, "%zu bytes", size);
    memcpy(&value, arg, sizeof value);
    value *= 2;
    return rp_return(call, &value, sizeof value);
}
RP_TASK(twice);

static void sleep_for(double length)
{
    struct timespec t = { .tv_sec = (time_t)length,
                          .tv_nsec = (long)(1e9 * (length - floor(length))) };
    while (nanosleep(&t, &t) != 0)
        continue;
}

rp_status wakeup(rp_call *call, const void *arg, size_t size)
{
    double length;
    if (size != sizeof length)
        return rp_fail(call, 1, "%zu bytes", size);
    memcpy(&length, arg, sizeof length);
    sleep_for(length);
    return RP_OK;
}
RP_TASK(wakeup);

rp_status pid_of(rp_call *call, const void *arg, size_t size)
{
    pid_t pid = getpid();
    (void)arg;
    (void)size;
    return rp_return(call, &pid, sizeof pid);
}
RP_TASK(pid_of);

rp_status returns(rp_call *call, const void *arg, size_t size)
{
    int status;
    if (size != sizeof status)
        return rp_fail(call, 1, "%zu bytes", size);
    memcpy(&status, arg, sizeof status);
    return (rp_status)status;
}
RP_TASK(returns);

static int64_t ordinals;

rp_status ordinal(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    ordinals++;
    return rp_return(call, &ordinals, sizeof ordinals);
}
RP_TASK(ordinal);

rp_status begin_ordinals(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    ordinals = 0;
    return RP_OK;
}
RP_TASK(begin_ordinals);

rp_status stranger(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}

/* ---- the gate: a file, which every rank of this host sees */

#define GATE_LIMIT 30 /* seconds */

static char gate[200];

rp_status wait_at_gate(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    for (double end = seconds() + GATE_LIMIT; access(arg, F_OK) == 0; sleep_for(1e-3))
        if (seconds() > end)
            return rp_fail(call, 1, "the gate was not opened");
    return RP_OK;
}
RP_TASK(wait_at_gate);

static void make_gate(void)
{
    const char *dir = getenv("TMPDIR");
    (void)snprintf(gate, sizeof gate, "%s/rankpool-gate-XXXXXX", dir ? dir : "/tmp");
    int file = mkstemp(gate);
    CU_ASSERT_FATAL(file >= 0);
    (void)close(file);
}

rp_future close_gate(void)
{
    if (!gate[0])
        make_gate();
    rp_future future = submit(wait_at_gate, gate, sizeof gate);
    if (ranks() == 1)
        open_gate();
    return future;
}

void open_gate(void)
{
    if (gate[0])
        (void)unlink(gate);
    gate[0] = '\0';
}

/* ---- data */

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 31) * 0x9E3779B97F4A7C15U;
    return value ^ value >> 29;
}

void fill(void *data, size_t size, uint64_t seed)
{
    uint8_t *bytes = data;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = mix(seed + i + 1);
        memcpy(bytes + i, &word, size - i < 8 ? size - i : 8);
    }
}

bool filled(const void *data, size_t size, uint64_t seed)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = mix(seed + i + 1);
        if (memcmp(bytes + i, &word, size - i < 8 ? size - i : 8) != 0)
            return false;
    }
    return true;
}

double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
