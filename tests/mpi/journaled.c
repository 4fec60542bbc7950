/* A journaled run for tests/mpi/journal.sh, which kills it and starts it again.
 *   journaled run JOURNAL DIRECTORY TASKS [sync]
 *       Each task appends its key to DIRECTORY/ran, the application each key it got a result of to
 *       DIRECTORY/delivered; DIRECTORY/pid
 *       is rank 0.  Prints a sum over all results, and how many the journal had.
 *   journaled open JOURNAL     prints what became of it, on every rank
 *   journaled hold JOURNAL     keeps it open until its standard input ends
 *   journaled list JOURNAL     prints the keys in it */
#include "store/journal_db.h"

#include <rankpool.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 20000 /* bytes of a result */

struct job {
    char ran[200]; /* a file */
    int number;
};

static void append(const char *file, int number)
{
    char line[20];
    int length = snprintf(line, sizeof line, "%d\n", number);
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        exit(3);
    (void)close(fd);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 31) * 0x9E3779B97F4A7C15U;
    return value ^ value >> 29;
}

static size_t size_of(int number)
{
    return number % 10 == 0  ? 0
           : number % 10 < 8 ? mix((uint64_t)number) % 100
                             : mix((uint64_t)number) % LONGEST;
}

static rp_status work(rp_call *call, const void *arg, size_t size)
{
    const struct job *job = arg;
    struct timespec rest = { .tv_nsec = 1000000 + (long)(mix((uint64_t)job->number) % 6000000) };
    (void)size;
    append(job->ran, job->number);
    (void)nanosleep(&rest, NULL);
    size_t length = size_of(job->number);
    uint8_t *bytes = rp_reserve(call, length);
    for (size_t i = 0; bytes && i < length; i++)
        bytes[i] = (uint8_t)mix((uint64_t)job->number * LONGEST + i);
    return bytes ? RP_OK : RP_ERR_NOMEM;
}
RP_TASK(work);

static int complain(const char *what)
{
    printf("%s: %s\n", what, rp_error_message());
    return 1;
}

static int submit(rp_pool *pool, const char *ran, int tasks, rp_future *futures)
{
    for (int i = 0; i < tasks; i++) {
        rp_task_options options = RP_TASK_OPTIONS_INIT;
        struct job job = { .number = i };
        char key[20];
        (void)snprintf(job.ran, sizeof job.ran, "%s", ran);
        options.key = (rp_bytes){ .data = key,
                                  .size = (size_t)snprintf(key, sizeof key, "key %d", i) };
        if (rp_submit(pool, work, &job, sizeof job, &options, &futures[i]) != RP_OK)
            return complain("rp_submit");
        if (i % 7 == 0 &&
            rp_submit(pool, work, &job, sizeof job, &options, NULL) != RP_OK) /* the same again */
            return complain("rp_submit");
    }
    return 0;
}

static int collect(rp_pool *pool, const char *delivered, int tasks, const rp_future *futures)
{
    static uint8_t result[LONGEST];
    uint64_t sum = 0;
    rp_stats stats = RP_STATS_INIT;
    for (int i = 0; i < tasks; i++) {
        size_t size;
        if (rp_get(pool, futures[i], RP_FOREVER, result, sizeof result, &size) != RP_OK)
            return complain("rp_get");
        append(delivered, i);
        if (size != size_of(i))
            return complain("another size");
        for (size_t k = 0; k < size; k++)
            sum = mix(sum + result[k]);
        sum = mix(sum + size);
    }
    printf("sum %016llx\n", (unsigned long long)sum);
    if (rp_drain(pool, RP_FOREVER) != RP_OK || rp_stats_of(pool, &stats) != RP_OK)
        return complain("rp_drain");
    fprintf(stderr, "journaled %llu of %llu\n", (unsigned long long)stats.journaled,
            (unsigned long long)stats.submitted);
    return 0;
}

static int run(rp_pool *pool, const char *directory, int tasks)
{
    char ran[200], delivered[200], pid[200];
    rp_future *futures = calloc((size_t)tasks, sizeof *futures);
    (void)snprintf(ran, sizeof ran, "%s/ran", directory);
    (void)snprintf(delivered, sizeof delivered, "%s/delivered", directory);
    (void)snprintf(pid, sizeof pid, "%s/pid", directory);
    append(pid, (int)getpid());
    int failed = submit(pool, ran, tasks, futures);
    if (!failed)
        failed = collect(pool, delivered, tasks, futures);
    free(futures);
    return failed;
}

static void hold(void)
{
    char byte;
    printf("open\n");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

static bool print_key(void *context, const char *function, const rp_bytes *key)
{
    (void)context;
    (void)function;
    printf("%.*s\n", (int)key->size - 4, (const char *)key->data + 4); /* after "key " */
    return true;
}

static int list(const char *path)
{
    struct rpi_journal_db ledger;
    if (rpi_journal_db_open(&ledger, path) != RP_OK ||
        rpi_journal_db_each(&ledger, print_key, NULL) != RP_OK)
        return complain("list");
    rpi_journal_db_close(&ledger);
    return 0;
}

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *pool;
    int failed = 0;
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (argc < 3)
        return 2;
    if (strcmp(argv[1], "list") == 0)
        return list(argv[2]);
    config.journal = argv[2];
    config.journal_sync = argc > 5;
    rp_status status = rp_open(&config, &pool);
    if (status != RP_OK || strcmp(argv[1], "open") == 0)
        printf("rank %s: %s: %s\n", rank ? rank : "0", rp_strerror(status),
               status == RP_OK ? "" : rp_error_message());
    if (status != RP_OK)
        return 1;
    if (!pool)
        return 0;
    if (strcmp(argv[1], "hold") == 0)
        hold();
    if (strcmp(argv[1], "run") == 0 && argc > 4)
        failed = run(pool, argv[3], (int)strtol(argv[4], NULL, 10));
    if (rp_close(&pool) != RP_OK)
        failed = complain("rp_close");
    return failed;
}
