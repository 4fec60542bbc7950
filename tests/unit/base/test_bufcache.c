/* Large buffers that are used again: bounded, from any thread, and freed wherever and whenever the
 * application likes. */
#include "base/alloc.h"
#include "base/bufcache.h"
#include "base/pages.h"
#include "harness.h"
#include "memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB 1024U

static struct rpi_alloc open_spares(struct memory *memory, size_t most)
{
    struct rpi_alloc alloc = memory_hook(memory);
    CU_ASSERT_TRUE_FATAL(rpi_bufcache_begin(&alloc, most));
    return alloc;
}

static void used_again(void)
{
    struct memory memory = { 0 };
    struct rpi_alloc alloc = open_spares(&memory, 1024 * KIB);
    uint8_t *one = rpi_buffer_new(&alloc, 100 * KIB), *two = rpi_buffer_new(&alloc, 100 * KIB);
    size_t calls = memory.calls;
    CU_ASSERT_TRUE_FATAL(one && two && one != two);
    rp_free(one);
    rp_free(two);
    CU_ASSERT_PTR_EQUAL(rpi_buffer_new(&alloc, 100 * KIB), two); /* whose bytes are in the cache */
    CU_ASSERT_PTR_EQUAL(rpi_buffer_new(&alloc, 99 * KIB), one);  /* of the same class */
    CU_ASSERT_EQUAL(memory.calls, calls);
    uint8_t *other = rpi_buffer_new(&alloc, 200 * KIB);
    CU_ASSERT_EQUAL(memory.calls, calls + 1);
    rp_free(one);
    rp_free(two);
    rp_free(other);
    rpi_bufcache_end(alloc.cache);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void small_ones_are_not_kept(void)
{
    struct memory memory = { 0 };
    struct rpi_alloc alloc = open_spares(&memory, 1024 * KIB);
    size_t live = memory.live;
    rp_free(rpi_buffer_new(&alloc, RPI_BUFFER_LARGE - 1));
    CU_ASSERT_EQUAL(memory.live, live);
    rp_free(rpi_buffer_new(&alloc, RPI_BUFFER_LARGE));
    CU_ASSERT_EQUAL(memory.live, live + 1);
    rpi_bufcache_end(alloc.cache);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* Every byte is the buffer's own, and a quarter more at the most is asked for. */
static void every_size(void)
{
    for (size_t size = RPI_BUFFER_LARGE; size < 3000 * (size_t)KIB; size += size / 7 + 1) {
        struct memory memory = { 0 };
        struct rpi_alloc alloc = open_spares(&memory, 0);
        size_t before = memory.bytes;
        uint8_t *buffer = rpi_buffer_new(&alloc, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(buffer);
        CU_ASSERT_EQUAL((uintptr_t)buffer % _Alignof(max_align_t), 0);
        memset(buffer, 1, size);
        CU_ASSERT_TRUE(memory.bytes - before >= size &&
                       memory.bytes - before <= size + size / 4 + 128);
        rp_free(buffer);
        rpi_bufcache_end(alloc.cache);
        CU_ASSERT_EQUAL(memory.live, 0);
    }
}

static void the_oldest_makes_room(void)
{
    struct memory memory = { 0 };
    struct rpi_alloc alloc = open_spares(&memory, 256 * KIB);
    size_t live = memory.live;
    void *old = rpi_buffer_new(&alloc, 64 * KIB), *young[3];
    for (int i = 0; i < 3; i++)
        young[i] = rpi_buffer_new(&alloc, 80 * KIB);
    rp_free(old);
    rp_free(young[0]);
    rp_free(young[1]);
    CU_ASSERT_EQUAL(memory.live, live + 4); /* 224 KiB of them idle */
    rp_free(young[2]);
    CU_ASSERT_EQUAL(memory.live, live + 3);
    size_t calls = memory.calls;
    for (int i = 0; i < 3; i++)
        young[i] = rpi_buffer_new(&alloc, 80 * KIB);
    CU_ASSERT_EQUAL(memory.calls, calls); /* it was the old one that went */
    for (int i = 0; i < 3; i++)
        rp_free(young[i]);
    rp_free(rpi_buffer_new(&alloc, 1024 * KIB)); /* exceeds the idle limit: displaces no other */
    CU_ASSERT_EQUAL(memory.live, live + 3);
    rpi_bufcache_end(alloc.cache);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void trimmed(void)
{
    struct memory memory = { 0 };
    struct rpi_alloc alloc = open_spares(&memory, 1024 * KIB);
    size_t live = memory.live;
    void *out = rpi_buffer_new(&alloc, 64 * KIB);
    rp_free(rpi_buffer_new(&alloc, 128 * KIB));
    rp_free(rpi_buffer_new(&alloc, 64 * KIB));
    rpi_bufcache_trim(alloc.cache);
    CU_ASSERT_EQUAL(memory.live, live + 1);
    rpi_bufcache_trim(NULL);
    rp_free(out);
    rpi_bufcache_end(alloc.cache);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* The application may free what it took whenever it likes. */
static void outlive_the_pool(void)
{
    struct memory memory = { 0 };
    struct rpi_alloc alloc = open_spares(&memory, 1024 * KIB);
    uint8_t *one = rpi_buffer_new(&alloc, 64 * KIB), *two = rpi_buffer_new(&alloc, 64 * KIB);
    CU_ASSERT_TRUE_FATAL(one && two);
    rpi_bufcache_end(alloc.cache);
    memset(one, 1, 64 * (size_t)KIB);
    rp_free(one);
    memset(two, 2, 64 * (size_t)KIB);
    CU_ASSERT_EQUAL(memory.live, 2);
    rp_free(two);
    CU_ASSERT_EQUAL(memory.live, 0);
    rpi_bufcache_end(NULL);
}

/* What is idle is given back before the application hears that there is no memory. */
static void without_memory(void)
{
    struct memory memory = { .fail_at = 1 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_FALSE(rpi_bufcache_begin(&alloc, 1024 * KIB));
    CU_ASSERT_PTR_NULL(alloc.cache);
    alloc = open_spares(&memory, 1024 * KIB);
    memory.fail_at = memory.calls + 1;
    memory.fail_on = true;
    CU_ASSERT_PTR_NULL(rpi_buffer_new(&alloc, 64 * KIB));
    CU_ASSERT_PTR_NULL(rpi_buffer_new(&alloc, SIZE_MAX));
    CU_ASSERT_PTR_NULL(rpi_buffer_new(&alloc, SIZE_MAX / 2));
    memory.fail_on = false;
    rp_free(rpi_buffer_new(&alloc, 64 * KIB));
    size_t live = memory.live;
    memory.fail_at = memory.calls + 1;
    void *buffer = rpi_buffer_new(&alloc, 512 * KIB);
    CU_ASSERT_PTR_NOT_NULL(buffer);
    CU_ASSERT_EQUAL(memory.live, live);
    rp_free(buffer);
    rpi_bufcache_end(alloc.cache);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* ---- without a hook */

#define SEVERAL 40 /* of 64 KiB: more than share one large page */

static struct rpi_alloc open_plain(size_t most)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    CU_ASSERT_TRUE_FATAL(rpi_bufcache_begin(&alloc, most));
    return alloc;
}

/* Whole pages of a buffer that are in memory; -1: they are no memory. */
static int loaded(const uint8_t *buffer, size_t size)
{
    unsigned char pages[512];
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
              begin = ((uintptr_t)buffer + page - 1) & ~(page - 1);
    size_t count = ((uintptr_t)buffer + size - begin) / page;
    int sum = 0;
    CU_ASSERT_FATAL(count <= sizeof pages);
    if (mincore((void *)begin, count * page, pages) != 0)
        return errno == ENOMEM ? -1 : -2;
    for (size_t i = 0; i < count; i++)
        sum += pages[i] & 1;
    return sum;
}

static void get_several(const struct rpi_alloc *alloc, uint8_t **buffers, uint8_t first)
{
    for (int i = 0; i < SEVERAL; i++) {
        buffers[i] = rpi_buffer_new(alloc, 64 * KIB);
        CU_ASSERT_PTR_NOT_NULL_FATAL(buffers[i]);
        CU_ASSERT_EQUAL((uintptr_t)buffers[i] % _Alignof(max_align_t), 0);
        memset(buffers[i], first + i, 64 * (size_t)KIB);
    }
}

/* Whether it holds that byte, and nothing else. */
static bool holds(const uint8_t *buffer, size_t size, int byte)
{
    return buffer[0] == byte && memcmp(buffer, buffer + 1, size - 1) == 0;
}

static void large_pages_are_shared(void)
{
    struct rpi_alloc alloc = open_plain(1024 * (size_t)KIB * KIB);
    uint8_t *buffers[SEVERAL], *last;
    get_several(&alloc, buffers, 1);
    for (int i = 1; i < 16; i++)
        CU_ASSERT_EQUAL((uintptr_t)buffers[i] / RPI_PAGES_HUGE,
                        (uintptr_t)buffers[0] / RPI_PAGES_HUGE);
    for (int i = 0; i < SEVERAL; i++)
        CU_ASSERT_TRUE(holds(buffers[i], 64 * (size_t)KIB, 1 + i));
    for (int i = 0; i < SEVERAL; i++)
        rp_free(buffers[i]);
    last = buffers[SEVERAL - 1];
    CU_ASSERT_PTR_EQUAL(rpi_buffer_new(&alloc, 64 * KIB), last);
    rp_free(last);
    rpi_bufcache_end(alloc.cache);
    CU_ASSERT_EQUAL(loaded(buffers[0], 64 * KIB), -1);
    CU_ASSERT_EQUAL(loaded(last, 64 * KIB), -1);
}

/* One that is in use keeps its slab, but not the memory of the others. */
static void idle_pages_go_back(void)
{
    struct rpi_alloc alloc = open_plain(256 * (size_t)KIB);
    uint8_t *buffers[SEVERAL];
    int sum = 0;
    get_several(&alloc, buffers, 1);
    for (int i = SEVERAL - 1; i > 0; i--)
        rp_free(buffers[i]);
    CU_ASSERT_EQUAL(loaded(buffers[SEVERAL - 1], 64 * KIB),
                    -1); /* the other slab's, where none is in use */
    for (int i = 1; i < 16; i++)
        sum += loaded(buffers[i], 64 * KIB);
    CU_ASSERT_TRUE(sum > 0 && sum * sysconf(_SC_PAGESIZE) <= (long)(256 * KIB));
    CU_ASSERT_EQUAL(loaded(buffers[15], 64 * KIB), 0); /* it went before 1 to 14 */
    CU_ASSERT_TRUE(holds(buffers[0], 64 * (size_t)KIB, 1));
    rpi_bufcache_trim(alloc.cache);
    CU_ASSERT_EQUAL(loaded(buffers[1], 64 * KIB), 0);
    CU_ASSERT_TRUE(holds(buffers[0], 64 * (size_t)KIB, 1));
    uint8_t *again[SEVERAL];
    get_several(&alloc, again, 100);
    CU_ASSERT_EQUAL((uintptr_t)again[0] / RPI_PAGES_HUGE, (uintptr_t)buffers[0] / RPI_PAGES_HUGE);
    for (int i = 0; i < SEVERAL; i++) {
        CU_ASSERT_PTR_NOT_EQUAL(again[i], buffers[0]);
        CU_ASSERT_TRUE(holds(again[i], 64 * (size_t)KIB, 100 + i));
        rp_free(again[i]);
    }
    rp_free(buffers[0]);
    rpi_bufcache_trim(alloc.cache);
    CU_ASSERT_EQUAL(loaded(buffers[0], 64 * KIB), -1);
    rpi_bufcache_end(alloc.cache);
}

static void slabs_outlive_the_pool(void)
{
    struct rpi_alloc alloc = open_plain(1024 * (size_t)KIB);
    uint8_t *buffers[SEVERAL];
    get_several(&alloc, buffers, 1);
    rp_free(buffers[0]);
    rpi_bufcache_end(alloc.cache);
    CU_ASSERT_EQUAL(loaded(buffers[0], 64 * KIB), 0);
    for (int i = 1; i < SEVERAL; i++) {
        CU_ASSERT_TRUE(holds(buffers[i], 64 * (size_t)KIB, 1 + i));
        rp_free(buffers[i]);
    }
    CU_ASSERT_EQUAL(loaded(buffers[SEVERAL - 1], 64 * KIB), -1);
}

/* Around RPI_PAGES_HUGE: the last sizes that share, and the first that are alone. */
static void large_ones_are_alone(void)
{
    const size_t sizes[] = { 1536, 1792, 2047, 2048, 2049, 5000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct rpi_alloc alloc = open_plain(1024 * (size_t)KIB * KIB);
        size_t size = sizes[i] * KIB;
        uint8_t *one = rpi_buffer_new(&alloc, size), *two = rpi_buffer_new(&alloc, size);
        CU_ASSERT_TRUE_FATAL(one && two);
        memset(one, 1, size);
        memset(two, 2, size);
        CU_ASSERT_TRUE(holds(one, size, 1));
        if (size > RPI_PAGES_HUGE - 256 * (size_t)KIB)
            CU_ASSERT_TRUE((uintptr_t)one % RPI_PAGES_HUGE < 256);
        rp_free(one);
        CU_ASSERT_PTR_EQUAL(rpi_buffer_new(&alloc, size), one);
        rp_free(one);
        rpi_bufcache_trim(alloc.cache);
        CU_ASSERT_EQUAL(loaded(one, 1024 * KIB) == -1, size > RPI_PAGES_HUGE - 256 * (size_t)KIB);
        CU_ASSERT_TRUE(holds(two, size, 2));
        rp_free(two);
        rpi_bufcache_end(alloc.cache);
        CU_ASSERT_EQUAL(loaded(two, 1024 * KIB), -1);
    }
}

static void no_more_addresses(void)
{
    struct rpi_alloc alloc = open_plain(1024 * (size_t)KIB);
    uint8_t *buffer = rpi_buffer_new(&alloc, 64 * KIB);
    rp_free(buffer);
    CU_ASSERT_PTR_NULL(rpi_buffer_new(&alloc, (size_t)1 << (SIZE_MAX > UINT32_MAX ? 47 : 31)));
    CU_ASSERT_EQUAL(loaded(buffer, 64 * KIB), -1); /* what is idle was given back before */
    rpi_bufcache_end(alloc.cache);
}

/* ---- threads */

#define THREADS 4
#define TURNS   2000
#define PLACES  16

static _Atomic(uint8_t *) places[PLACES];

struct trader {
    struct rpi_alloc *alloc;
    uint32_t random;
    bool damaged;
};

/* Makes buffers, leaves them for the others, and frees what those left. */
static void *trade(void *context)
{
    struct trader *self = context;
    for (int i = 0; i < TURNS; i++) {
        self->random = self->random * 1664525U + 1013904223U;
        uint8_t *mine = rpi_buffer_new(self->alloc, (64 + self->random % 5 * 16) * (size_t)KIB);
        if (!mine)
            continue;
        mine[0] = mine[64 * KIB - 1] = (uint8_t)i;
        uint8_t *theirs = atomic_exchange(&places[self->random >> 16 & (PLACES - 1)], mine);
        if (theirs && theirs[0] != theirs[64 * KIB - 1])
            self->damaged = true;
        rp_free(theirs);
    }
    return NULL;
}

static pthread_mutex_t turnstile = PTHREAD_MUTEX_INITIALIZER;

static void *guarded(void *old, size_t size, void *user)
{
    (void)pthread_mutex_lock(&turnstile); /* the hook of the tests counts without one */
    void *memory = memory_alloc(old, size, user);
    (void)pthread_mutex_unlock(&turnstile);
    return memory;
}

static void trade_all(rp_alloc *hook, struct memory *memory)
{
    struct rpi_alloc alloc = rpi_alloc_of(hook, memory);
    CU_ASSERT_TRUE_FATAL(rpi_bufcache_begin(&alloc, 512 * KIB));
    pthread_t threads[THREADS];
    struct trader traders[THREADS];
    for (int i = 0; i < THREADS; i++) {
        traders[i] = (struct trader){ .alloc = &alloc, .random = (uint32_t)i * 77U };
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, trade, &traders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_FALSE(traders[i].damaged);
    }
    rpi_bufcache_end(alloc.cache); /* before what the places still hold */
    for (int i = 0; i < PLACES; i++)
        rp_free(atomic_exchange(&places[i], NULL));
}

static void any_thread(void)
{
    struct memory memory = { 0 };
    trade_all(guarded, &memory);
    CU_ASSERT_EQUAL(memory.live, 0);
    trade_all(NULL, NULL);
}

static CU_TestInfo tests[] = { { "used_again", used_again },
                               { "small_ones_are_not_kept", small_ones_are_not_kept },
                               { "every_size", every_size },
                               { "the_oldest_makes_room", the_oldest_makes_room },
                               { "trimmed", trimmed },
                               { "outlive_the_pool", outlive_the_pool },
                               { "without_memory", without_memory },
                               { "large_pages_are_shared", large_pages_are_shared },
                               { "idle_pages_go_back", idle_pages_go_back },
                               { "slabs_outlive_the_pool", slabs_outlive_the_pool },
                               { "large_ones_are_alone", large_ones_are_alone },
                               { "no_more_addresses", no_more_addresses },
                               { "any_thread", any_thread },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "spares", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
