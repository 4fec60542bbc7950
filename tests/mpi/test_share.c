/* Shared data: rp_share and rp_shared. */
/* run: alone, -n 1, -n 2, -n 4 */
/* limit: 120 */
#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PLENTY = 3000000 };

/* ---- tasks */

/* What a task finds under a name. */
struct found {
    uint64_t size, first, last;
    bool whole; /* filled() with the seed in the first eight bytes */
    int worker, attempt;
};

static void look_up(rp_call *call, const char *name, struct found *found)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    size_t size = 1;
    const uint8_t *data = rp_shared(call, name, &size);
    *found = (struct found){ .size = size };
    rp_call_info_of(call, &info);
    found->worker = info.worker;
    found->attempt = info.attempt;
    if ((data == NULL) != (size == 0))
        found->size = UINT64_MAX;
    if (!data || size < 8)
        return;
    memcpy(&found->first, data, 8);
    found->last = data[size - 1];
    found->whole = filled(data + 8, size - 8, found->first);
}

static rp_status find(rp_call *call, const void *arg, size_t size)
{
    struct found found;
    (void)size;
    look_up(call, arg, &found);
    return rp_return(call, &found, sizeof found);
}
RP_TASK(find);

/* Fails at its first attempt. */
static rp_status find_again(rp_call *call, const void *arg, size_t size)
{
    struct found found;
    (void)size;
    look_up(call, arg, &found);
    return found.attempt == 1 ? RP_ERR_TASK : rp_return(call, &found, sizeof found);
}
RP_TASK(find_again);

/* Of a map: the first eight bytes of "data" for each item. */
static rp_status first_of_data(rp_call *call, const void *arg, size_t size)
{
    size_t bytes;
    const void *data = rp_shared(call, "data", &bytes);
    (void)arg;
    (void)size;
    return data ? rp_return(call, data, 8) : rp_fail(call, 7, "nothing is shared");
}
RP_TASK(first_of_data);

/* The parent's child, and what it sees. */
static rp_status find_by_child(rp_call *call, const void *arg, size_t size)
{
    return rp_spawn(call, find, arg, size, NULL);
}
RP_TASK(find_by_child);

/* This process's mappings of shared data, and their memory. */
struct mapped {
    int count, writable, descriptors;
    uint64_t size, share; /* KiB: resident, and proportional to the processes that have it */
    unsigned long long inode;
};

/* The number after a name, in a line of smaps that begins with it; 0: it does not. */
static uint64_t number_behind(const char *line, const char *name)
{
    size_t length = strlen(name);
    return strncmp(line, name, length) == 0 ? strtoull(line + length, NULL, 10) : 0;
}

/* `line`: from-to access offset device inode name. */
static void read_mapping(FILE *file, char *line, size_t size, struct mapped *mapped)
{
    const char *at = strchr(line, ' ');
    mapped->count++;
    mapped->writable += at && at[2] == 'w';
    for (int i = 0; i < 3 && at; i++)
        at = strchr(at + 1, ' ');
    mapped->inode = at ? strtoull(at, NULL, 10) : 0;
    while (fgets(line, (int)size, file) && !strstr(line, "VmFlags")) {
        mapped->size += number_behind(line, "Rss:");
        mapped->share += number_behind(line, "Pss:");
    }
}

static int count_descriptors(void)
{
    int count = -1; /* the directory's own */
    DIR *dir = opendir("/proc/self/fd");
    /* cppcheck-suppress readdirCalled ; the directory is this thread's own */
    for (const struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    if (dir)
        (void)closedir(dir);
    return count;
}

static rp_status look_at_maps(rp_call *call, const void *arg, size_t size)
{
    struct mapped mapped = { .descriptors = count_descriptors() };
    char line[512];
    (void)arg;
    (void)size;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, "memfd:rankpool-"))
            read_mapping(file, line, sizeof line, &mapped);
    if (file)
        (void)fclose(file);
    return rp_return(call, &mapped, sizeof mapped);
}
RP_TASK(look_at_maps);

/* ---- at rank 0 */

static uint8_t *room;

static void share(const char *name, size_t size, uint64_t seed)
{
    if (!room)
        room = malloc(PLENTY);
    CU_ASSERT_FATAL(room && size >= 8 && size <= PLENTY);
    memcpy(room, &seed, 8);
    fill(room + 8, size - 8, seed);
    IS(RP_OK, rp_share(pool, name, room, size));
    memset(room, 0xEE, size); /* it was copied */
}

static void sees(rp_future future, size_t size, uint64_t seed)
{
    struct found found = { 0 };
    if (!IS(RP_OK, rp_get(pool, future, 60, &found, sizeof found, NULL)))
        return;
    CU_ASSERT_EQUAL(found.size, size);
    if (!size)
        return;
    CU_ASSERT_EQUAL(found.first, seed);
    CU_ASSERT(found.whole);
}

static rp_future looks(const char *name)
{
    return submit(find, name, strlen(name) + 1);
}

/* ---- tests */

static void refusals(void)
{
    char name[257];
    memset(name, 'x', sizeof name - 1);
    name[256] = '\0';
    IS(RP_ERR_INVALID, rp_share(NULL, "a", "b", 1));
    CU_ASSERT_PTR_NULL(rp_shared(NULL, "a", NULL));
    if (!open_pool(NULL))
        return;
    IS(RP_ERR_INVALID, rp_share(pool, NULL, "b", 1));
    IS(RP_ERR_INVALID, rp_share(pool, "", "b", 1));
    IS(RP_ERR_INVALID, rp_share(pool, name, "b", 1));
    SAYS("255");
    IS(RP_ERR_INVALID, rp_share(pool, "a", NULL, 1));
    IS(RP_ERR_NOMEM, rp_share(pool, "a", "b", SIZE_MAX));
    IS(RP_ERR_NOMEM, rp_share(pool, "a", "b", (size_t)1 << 46));
    SAYS("shared data");
    IS(RP_OK, rp_share(pool, "never shared", NULL, 0));
    sees(looks("a"), 0, 0);
    name[255] = '\0';
    IS(RP_OK, rp_share(pool, name, "bytes", 5));
    close_pool();
}

static rp_status share_inside(rp_call *call, const void *arg, size_t size)
{
    int status = (int)rp_share(*(rp_pool *const *)arg, "inside", "b", 1);
    (void)size;
    return rp_return(call, &status, sizeof status);
}
RP_TASK(share_inside);

static void not_inside_a_task(void)
{
    int status = 0;
    if (!open_pool(NULL))
        return;
    if (ranks() == 1) {
        IS(RP_OK,
           rp_apply(pool, share_inside, &pool, sizeof(rp_pool *), &status, sizeof status, NULL));
        CU_ASSERT_EQUAL(status, RP_ERR_CONTEXT);
    }
    close_pool();
}

static void shares_and_replaces(void)
{
    if (!open_pool(NULL))
        return;
    rp_future before = looks("data");
    share("data", 1000, 1);
    rp_future first = looks("data"), other = looks("other");
    share("data", PLENTY, 2);
    share("other", 8, 3);
    rp_future second = looks("data"), third = looks("other"), none = looks("dat");
    IS(RP_OK, rp_share(pool, "data", NULL, 0));
    rp_future removed = looks("data"), stays = looks("other");
    IS(RP_OK, rp_share(pool, "other", "", 0));
    rp_future nothing_left = looks("other");
    share("data", 9, 4);
    sees(looks("data"), 9, 4);
    sees(before, 0, 0);
    sees(first, 1000, 1);
    sees(other, 0, 0);
    sees(second, PLENTY, 2);
    sees(third, 8, 3);
    sees(none, 0, 0);
    sees(removed, 0, 0);
    sees(stays, 8, 3);
    sees(nothing_left, 0, 0);
    sees(looks("data"), 9, 4);
    close_pool();
}

/* Tasks of every version wait at a gate, and are handed out when the last version is shared. */
static void queued_tasks_keep_their_version(void)
{
    enum { VERSIONS = 30 };
    rp_future seen[VERSIONS], again[VERSIONS];
    rp_task_options twice_tried = RP_TASK_OPTIONS_INIT;
    twice_tried.retries = 1;
    twice_tried.priority = -1;
    if (!open_pool(NULL))
        return;
    rp_future gate = close_gate();
    for (uint64_t i = 0; i < VERSIONS; i++) {
        share("data", 100 + 1000 * (size_t)i, i);
        seen[i] = looks("data");
        twice_tried.priority = (int32_t)i % 3 - 1;
        IS(RP_OK, rp_submit(pool, find_again, "data", 5, &twice_tried, &again[i]));
    }
    open_gate();
    IS(RP_OK, rp_get(pool, gate, 60, NULL, 0, NULL));
    for (uint64_t i = 0; i < VERSIONS; i++) {
        sees(again[i], 100 + 1000 * (size_t)i, i);
        sees(seen[i], 100 + 1000 * (size_t)i, i);
    }
    close_pool();
}

static void a_hundred_in_a_row(void)
{
    if (!open_pool(NULL))
        return;
    for (uint64_t i = 0; i < 100; i++)
        share(i % 2 ? "odd" : "even", 5000, i);
    sees(looks("odd"), 5000, 99);
    sees(looks("even"), 5000, 98);
    for (uint64_t i = 0; i < 100; i++) {
        share("data", 20000, i);
        sees(looks("data"), 20000, i);
    }
    close_pool();
}

static void maps_see_it(void)
{
    enum { ITEMS = 5000 };
    static uint64_t out[ITEMS], later[ITEMS];
    rp_future all;
    bool same = true;
    if (!open_pool(NULL))
        return;
    share("data", 100, 5);
    IS(RP_OK, rp_map_async(pool, first_of_data, NULL, 0, ITEMS, out, 8, NULL, &all));
    share("data", 100, 6);
    IS(RP_OK, rp_map(pool, first_of_data, NULL, 0, ITEMS, later, 8, NULL));
    IS(RP_OK, rp_get(pool, all, 60, NULL, 0, NULL));
    for (int i = 0; i < ITEMS; i++)
        same = same && out[i] == 5 && later[i] == 6;
    CU_ASSERT(same);
    IS(RP_OK, rp_share(pool, "data", NULL, 0));
    IS(RP_ERR_TASK, rp_map(pool, first_of_data, NULL, 0, 1, later, 8, NULL));
    close_pool();
}

static void children_see_what_their_parent_sees(void)
{
    rp_stream *stream;
    rp_item item = RP_ITEM_INIT;
    rp_stream_options options = { .struct_size = sizeof options, .skip_empty = true };
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_stream_open(pool, &options, &stream));
    for (uint64_t i = 0; i < 20; i++) {
        share("data", 100, i);
        IS(RP_OK, rp_stream_submit(stream, find_by_child, "data", 5, NULL, NULL));
    }
    IS(RP_OK, rp_share(pool, "data", NULL, 0));
    IS(RP_OK, rp_stream_end(stream));
    uint64_t items = 0;
    while (rp_stream_next(stream, 60, &item) == RP_OK) {
        struct found found = { 0 };
        items++;
        if (IS(RP_OK, item.outcome->status))
            memcpy(&found, item.outcome->data, sizeof found);
        CU_ASSERT(found.size == 100 && found.first == item.index);
    }
    CU_ASSERT_EQUAL(items, 20);
    IS(RP_OK, rp_stream_close(&stream));
    close_pool();
}

static void mapped_at(struct mapped *mapped, size_t workers)
{
    for (size_t i = 0; i < workers; i++) {
        rp_task_options there = RP_TASK_OPTIONS_INIT;
        rp_future future;
        there.worker = (int)i + 1;
        there.worker_hard = true;
        IS(RP_OK, rp_submit(pool, look_at_maps, NULL, 0, &there, &future));
        IS(RP_OK, rp_get(pool, future, 60, &mapped[i], sizeof *mapped, NULL));
    }
}

/* Every worker reads all of it; then it is in memory once. */
static void one_copy_a_host(void)
{
    struct mapped before[64], during[64], after[64];
    if (!open_pool(NULL))
        return;
    size_t workers = rp_workers(pool);
    uint64_t proportional = 0;
    int descriptors = count_descriptors();
    mapped_at(before, workers);
    share("data", PLENTY, 8);
    IS(RP_OK, rp_on_each_worker(pool, find, "data", 5, NULL));
    mapped_at(during, workers);
    for (size_t i = 0; i < workers; i++) {
        CU_ASSERT_EQUAL(during[i].count,
                        ranks() == 1 ? 2 : 1); /* rank 0's own beside the worker's */
        CU_ASSERT_EQUAL(during[i].writable, 0);
        CU_ASSERT_EQUAL(during[i].inode, during[0].inode);
        CU_ASSERT(during[i].size >= PLENTY / 1024);
        proportional += during[i].share;
    }
    CU_ASSERT(proportional <= PLENTY / 1024 + 8 + 4 * workers);
    IS(RP_OK, rp_share(pool, "data", NULL, 0));
    IS(RP_OK, rp_share(pool, "other", "x",
                       1)); /* tasks of a later epoch come after the word that the data are dead */
    mapped_at(after, workers);
    for (size_t i = 0; i < workers; i++) {
        CU_ASSERT(after[i].size <= 8);
        CU_ASSERT(after[i].descriptors <= before[i].descriptors + (ranks() == 1));
    }
    IS(RP_OK, rp_share(pool, "other", NULL, 0));
    IS(RP_OK, rp_progress(pool));
    CU_ASSERT_EQUAL(count_descriptors(), descriptors);
    close_pool();
}

/* What rank 0 cannot give as a descriptor it sends, to one worker of the host: so it is between
 * hosts. */
static void without_descriptors(void)
{
    struct rlimit limit, none;
    struct mapped during[64];
    if (!open_pool(NULL))
        return;
    size_t workers = rp_workers(pool);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    (void)setrlimit(RLIMIT_NOFILE, &none);
    share("data", PLENTY, 9);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    share("small", 8, 10);
    IS(RP_OK, rp_on_each_worker(pool, find, "data", 5, NULL));
    sees(looks("data"), PLENTY, 9);
    sees(looks("small"), 8, 10);
    mapped_at(during, workers);
    for (size_t i = 0; i < workers; i++) {
        CU_ASSERT(during[i].count >= 2);
        CU_ASSERT_EQUAL(during[i].writable, 0);
        CU_ASSERT_EQUAL(during[i].inode, during[0].inode);
    }
    share("data", 100, 11);
    sees(looks("data"), 100, 11);
    close_pool();
}

static void busy_workers_do_not_matter(void)
{
    if (!open_pool(NULL))
        return;
    rp_future gate = close_gate();
    double began = seconds();
    share("data", PLENTY, 12);
    share("data", PLENTY, 13);
    CU_ASSERT(seconds() - began < 10);
    rp_future future = looks("data");
    open_gate();
    sees(future, PLENTY, 13);
    IS(RP_OK, rp_get(pool, gate, 60, NULL, 0, NULL));
    close_pool();
}

static void ends_with_tasks_waiting(void)
{
    for (int i = 0; i < 5; i++) {
        if (!open_pool(NULL))
            continue;
        share("data", PLENTY, 14);
        for (int k = 0; k < 50; k++)
            (void)looks("data");
        IS(RP_OK, rp_cancel_all(pool));
        share("data", PLENTY, 15);
        for (int k = 0; k < 50; k++)
            (void)looks("data");
        IS(RP_OK, rp_terminate(&pool));
    }
}

static CU_TestInfo tests[] = {
    { "refusals", refusals },
    { "not_inside_a_task", not_inside_a_task },
    { "shares_and_replaces", shares_and_replaces },
    { "queued_tasks_keep_their_version", queued_tasks_keep_their_version },
    { "a_hundred_in_a_row", a_hundred_in_a_row },
    { "maps_see_it", maps_see_it },
    { "children_see_what_their_parent_sees", children_see_what_their_parent_sees },
    { "one_copy_a_host", one_copy_a_host },
    { "without_descriptors", without_descriptors },
    { "busy_workers_do_not_matter", busy_workers_do_not_matter },
    { "ends_with_tasks_waiting", ends_with_tasks_waiting },
    CU_TEST_INFO_NULL
};
static CU_SuiteInfo suites[] = { { "share", NULL, NULL, NULL, end_pool, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    int status = harness_main(argc, argv, suites);
    free(room);
    return status;
}
