/* Arguments and results of every size arrive as they were sent. */
/* run: alone, -n 1, -n 2, -n 4 */
/* limit: 120 */
#include "fixture.h"
#include "scarce.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

/* ---- tasks ---- */

/* size_t: gives this many bytes, filled with the size as seed. */
static rp_status gives(rp_call *call, const void *arg, size_t size)
{
    size_t length;
    (void)size;
    memcpy(&length, arg, sizeof length);
    void *room = rp_reserve(call, length);
    if (!room)
        return RP_ERR_NOMEM;
    fill(room, length, length);
    return RP_OK;
}
RP_TASK(gives);

/* Bytes filled with their size as seed. */
static rp_status takes(rp_call *call, const void *arg, size_t size)
{
    return filled(arg, size, size) ? rp_return(call, &size, sizeof size)
                                   : rp_fail(call, 1, "%zu bytes", size);
}
RP_TASK(takes);

/* ---- */

struct parcel {
    rp_future echo, gives, takes;
    size_t size;
};

static void send(struct parcel *parcel, size_t size)
{
    char *arg = malloc(size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(arg);
    fill(arg, size, size);
    parcel->size = size;
    parcel->echo = submit(echo, arg, size);
    parcel->gives = submit(gives, &size, sizeof size);
    parcel->takes = submit(takes, arg, size);
    memset(arg, 'x', size); /* the copies are the pool's */
    free(arg);
}

static int collect(const struct parcel *parcel)
{
    void *data = NULL;
    size_t size = 0, taken = 0;
    int wrong = 0;
    wrong += rp_take(pool, parcel->echo, RP_FOREVER, &data, &size) != RP_OK;
    wrong += size != parcel->size || !filled(data, size, size);
    rp_free(data);
    data = NULL;
    wrong += rp_take(pool, parcel->gives, RP_FOREVER, &data, &size) != RP_OK;
    wrong += size != parcel->size || !filled(data, size, size);
    rp_free(data);
    wrong += rp_get(pool, parcel->takes, RP_FOREVER, &taken, sizeof taken, NULL) != RP_OK ||
             taken != parcel->size;
    return wrong;
}

/* All at once, and one by one. */
static void send_all(const size_t *sizes, size_t count)
{
    struct parcel *parcels = malloc(count * sizeof *parcels);
    CU_ASSERT_PTR_NOT_NULL_FATAL(parcels);
    int wrong = 0;
    for (size_t i = 0; i < count; i++)
        send(&parcels[i], sizes[i]);
    for (size_t i = 0; i < count; i++)
        wrong += collect(&parcels[i]);
    CU_ASSERT_EQUAL(wrong, 0);
    for (size_t i = 0; i < count; i++) {
        send(&parcels[0], sizes[i]);
        wrong += collect(&parcels[0]);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    free(parcels);
}

static void batch_bytes(const char *text)
{
    if (text)
        (void)setenv("RANKPOOL_BATCH_BYTES", text, 1);
    else
        (void)unsetenv("RANKPOOL_BATCH_BYTES");
}

static void about_limits(const char *limit, size_t bytes)
{
    enum { MOST = 400 };
    size_t sizes[MOST], count = 0;
    batch_bytes(limit);
    bool master = open_pool(NULL);
    batch_bytes(NULL);
    if (!master)
        return;
    for (size_t size = 0; size <= 40; size++)
        sizes[count++] = size;
    for (size_t size = bytes - 100; size <= bytes + 20; size++)
        sizes[count++] = size;
    for (size_t size = bytes / 2 - 40; size <= bytes / 2 + 8; size++)
        sizes[count++] = size;
    for (size_t size = 4096 - 2; size <= 4096 + 2; size++)
        sizes[count++] = size;
    for (size_t size = 65536 - 2; size <= 65536 + 2; size++)
        sizes[count++] = size;
    CU_ASSERT_FATAL(count <= MOST);
    send_all(sizes, count);
    close_pool();
}

static void default_batches(void)
{
    about_limits(NULL, 4032);
}

static void empty_is_default(void)
{
    about_limits("", 4032);
}

static void smallest_batches(void)
{
    about_limits("2048", 2048);
}

static void uneven_batches(void)
{
    about_limits("4999", 4999);
}

static void largest_batches(void)
{
    about_limits("65536", 65536);
}

static void bad_batch_bytes(void)
{
    static const char *const bad[] = { "0",
                                       "1",
                                       "2047",
                                       "65537",
                                       "abc",
                                       "4096x",
                                       "4096 ",
                                       "-1",
                                       "-4096",
                                       "0x1000",
                                       "1e4",
                                       " ",
                                       "99999999999999999999999999" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rp_pool *new = NULL;
        batch_bytes(bad[i]);
        IS(RP_ERR_INVALID, rp_open(NULL, &new));
        CU_ASSERT_PTR_NULL(new);
        SAYS("RANKPOOL_BATCH_BYTES");
        SAYS("2048");
        SAYS("65536");
        if (rank_here() != 0) /* rank 0 alone is wrong */
            batch_bytes(NULL);
        IS(RP_ERR_INVALID, rp_open(NULL, &new));
        SAYS("RANKPOOL_BATCH_BYTES");
        batch_bytes(rank_here() == 1 ? bad[i] : NULL); /* the last one first: another is */
        if (ranks() > 1) {
            IS(RP_ERR_INVALID, rp_open(NULL, &new));
            SAYS("RANKPOOL_BATCH_BYTES");
        }
    }
    batch_bytes(NULL);
}

/* Rank 0's value rules. */
static void different_batch_bytes(void)
{
    static const size_t sizes[] = { 8, 1900, 2040, 3000, 4000, 30000, 65000, 70000 };
    for (int i = 0; i < 2; i++) {
        batch_bytes((rank_here() == 0) == (i == 0) ? "2048" : "65536");
        bool master = open_pool(NULL);
        batch_bytes(NULL);
        if (!master)
            continue;
        send_all(sizes, sizeof sizes / sizeof *sizes);
        close_pool();
    }
}

static void random_sizes(void)
{
    enum { COUNT = 3000 };
    static rp_future futures[COUNT];
    static size_t sizes[COUNT];
    static char arg[150000];
    int wrong = 0;
    uint64_t random = 12345;
    if (!open_pool(NULL))
        return;
    fill(arg, sizeof arg, 9);
    for (size_t i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        uint32_t chance = (uint32_t)(random >> 33);
        sizes[i] = chance % 50 == 0  ? chance % sizeof arg
                   : chance % 5 == 0 ? chance % 6000
                                     : chance % 64;
        futures[i] = submit(echo, arg, sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        rp_outcome outcome = RP_OUTCOME_INIT;
        size_t at = (i * 1237) % COUNT;
        wrong += rp_wait(pool, futures[at], RP_FOREVER) != RP_OK ||
                 rp_outcome_of(pool, futures[at], &outcome) != RP_OK;
        wrong += outcome.size != sizes[at] ||
                 (outcome.size && memcmp(outcome.data, arg, outcome.size) != 0);
        wrong += rp_release(pool, futures[at]) != RP_OK;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* ---- large ---- */

static void one_of_64_mib(void)
{
    static const size_t sizes[] = { MIB - 1, MIB, MIB + 1, 64 * MIB };
    struct parcel parcel;
    int wrong = 0;
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        send(&parcel, sizes[i]);
        wrong += collect(&parcel);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static void many_large_at_once(void)
{
    enum { COUNT = 30 };
    struct parcel parcels[COUNT];
    int wrong = 0;
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < COUNT; i++)
        send(&parcels[i], i % 5 == 4 ? 100 * i : 3 * MIB + 1001 * i);
    for (size_t i = COUNT; i-- > 0;)
        wrong += collect(&parcels[i]);
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* Large results that are never taken, and a pool that ends while they are under way. */
static void large_and_unwanted(void)
{
    for (int i = 0; i < 3; i++) {
        size_t size = 2 * MIB;
        if (!open_pool(NULL))
            continue;
        for (int j = 0; j < 10; j++)
            IS(RP_OK, rp_release(pool, submit(gives, &size, sizeof size)));
        for (int j = 0; j < 10; j++)
            (void)submit(gives, &size, sizeof size);
        if (i == 0)
            IS(RP_OK, rp_drain(pool, RP_FOREVER));
        if (i < 2)
            close_pool();
        else
            IS(RP_OK, rp_terminate(&pool));
    }
}

/* ---- rank 0 short of memory ---- */

static atomic_bool is_short;
static atomic_uint asked;

static void *some_refused(void *old, size_t size, void *user)
{
    (void)user;
    if (size && atomic_load(&is_short) && atomic_fetch_add(&asked, 1) % 31 == 0)
        return NULL;
    if (size)
        return realloc(old, size);
    free(old);
    return NULL;
}

static rp_future insist(const void *arg, size_t size)
{
    rp_future future = { 0 };
    int tries = 0;
    rp_status status;
    while (again(status = rp_submit(pool, echo, arg, size, NULL, &future), &tries))
        continue;
    IS(RP_OK, status);
    return future;
}

/* Batches so long that MPI does not complete their sending at once: what is refused then must not
 * cost a message, nor the pool. */
static void refused_while_sending(void)
{
    enum { COUNT = 400 };
    static char arg[70000];
    static rp_future futures[COUNT];
    rp_config config = RP_CONFIG_INIT;
    config.alloc = rank_here() == 0 ? some_refused : NULL;
    fill(arg, sizeof arg, 1);
    (void)setenv("RANKPOOL_BATCH_BYTES", "65536", 1);
    bool here = open_pool(&config);
    (void)unsetenv("RANKPOOL_BATCH_BYTES");
    if (!here)
        return;
    atomic_store(&is_short, true);
    for (size_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < COUNT; i++)
            futures[i] = insist(arg, i % 50 ? 8000 + i : sizeof arg);
        for (size_t i = 0; i < COUNT; i++) {
            void *data = NULL;
            size_t size = 0;
            int tries = 0;
            rp_status status;
            while (again(status = rp_take(pool, futures[i], RP_FOREVER, &data, &size), &tries))
                continue;
            if (!IS(RP_OK, status) && ranks() > 1) /* of one process the tasks run short too */
                break;
            CU_ASSERT(status != RP_OK ||
                      (size == (i % 50 ? 8000 + i : sizeof arg) && !memcmp(data, arg, size)));
            rp_free(data);
        }
    }
    atomic_store(&is_short, false);
    CU_ASSERT(atomic_load(&asked) > 100);
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo limits[] = { { "default_batches", default_batches },
                                    { "empty_is_default", empty_is_default },
                                    { "smallest_batches", smallest_batches },
                                    { "uneven_batches", uneven_batches },
                                    { "largest_batches", largest_batches },
                                    { "bad_batch_bytes", bad_batch_bytes },
                                    { "different_batch_bytes", different_batch_bytes },
                                    { "random_sizes", random_sizes },
                                    CU_TEST_INFO_NULL };
    static CU_TestInfo large[] = { { "one_of_64_mib", one_of_64_mib },
                                   { "many_large_at_once", many_large_at_once },
                                   { "large_and_unwanted", large_and_unwanted },
                                   { "refused_while_sending", refused_while_sending },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "limits", NULL, NULL, NULL, end_pool, limits },
                                     { "large", NULL, NULL, NULL, end_pool, large },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
