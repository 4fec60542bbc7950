#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MOST_THREADS 16
#define SOME         20
#define LONG         20000 /* bytes: over what a batch carries */

static rp_status mix_twice(rp_call *call, const void *arg, size_t size)
{
    int64_t x = 2 * *(const int64_t *)arg;
    (void)size;
    return rp_return(call, &x, sizeof x);
}
RP_TASK(mix_twice);

static rp_status mix_echo(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(mix_echo);

static rp_status mix_fails(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    return rp_fail(call, (int)*(const int64_t *)arg, "as told");
}
RP_TASK(mix_fails);

struct user {
    rp_pool *pool;
    int64_t number;
    int rounds;
    atomic_int *wrong;
    pthread_t thread;
};

#define MUST(user, condition) must((user), (condition), #condition, __LINE__)

static void must(const struct user *user, bool holds, const char *condition, int line)
{
    if (!holds && atomic_fetch_add(user->wrong, 1) < 5)
        (void)fprintf(stderr, "thread %d, line %d: not so: %s (%s)\n", (int)user->number, line,
                      condition, rp_error_message());
}

static void one_by_one(const struct user *user, int64_t x)
{
    int64_t y = 0;
    rp_future future;
    void *data = NULL;
    size_t size = 0;
    MUST(user,
         rp_apply(user->pool, mix_twice, &x, sizeof x, &y, sizeof y, NULL) == RP_OK && y == 2 * x);
    MUST(user, rp_submit(user->pool, mix_twice, &x, sizeof x, NULL, &future) == RP_OK);
    MUST(user, rp_state_of(user->pool, future) != RP_STALE);
    MUST(user, rp_take(user->pool, future, RP_FOREVER, &data, &size) == RP_OK && size == sizeof x);
    MUST(user, data && memcmp(data, &y, sizeof y) == 0);
    MUST(user, rp_state_of(user->pool, future) == RP_STALE);
    rp_free(data);
    MUST(user, rp_submit(user->pool, mix_twice, &x, sizeof x, NULL, &future) == RP_OK);
    MUST(user, rp_release(user->pool, future) == RP_OK);
}

static void a_failure(const struct user *user, int64_t x)
{
    rp_future future;
    rp_outcome outcome = RP_OUTCOME_INIT;
    MUST(user, rp_submit(user->pool, mix_fails, &x, sizeof x, NULL, &future) == RP_OK);
    MUST(user, rp_wait(user->pool, future, RP_FOREVER) == RP_OK);
    MUST(user, rp_outcome_of(user->pool, future, &outcome) == RP_OK);
    MUST(user, outcome.status == RP_ERR_TASK && outcome.code == (int)x);
    MUST(user, rp_get(user->pool, future, 0, NULL, 0, NULL) == RP_ERR_TASK);
    MUST(user, strstr(rp_error_message(), "as told") != NULL);
}

static void a_long_one(const struct user *user, int64_t x)
{
    uint8_t in[LONG], out[LONG];
    size_t size = 0;
    memset(in, (int)x, sizeof in);
    memset(out, 0, sizeof out);
    MUST(user, rp_apply(user->pool, mix_echo, in, sizeof in, out, sizeof out, &size) == RP_OK);
    MUST(user, size == sizeof in && memcmp(in, out, sizeof in) == 0);
}

static void several(const struct user *user, int64_t x)
{
    rp_future futures[SOME];
    size_t index = SOME;
    for (int64_t i = 0; i < SOME; i++) {
        int64_t y = x + i;
        MUST(user, rp_submit(user->pool, mix_twice, &y, sizeof y, NULL, &futures[i]) == RP_OK);
    }
    MUST(user, rp_wait_any(user->pool, futures, SOME, RP_FOREVER, &index) == RP_OK && index < SOME);
    MUST(user, rp_wait_all(user->pool, futures, SOME, RP_ALL, RP_FOREVER) == RP_OK);
    for (int64_t i = 0; i < SOME; i++) {
        int64_t y = 0;
        MUST(user, rp_get(user->pool, futures[i], RP_FOREVER, &y, sizeof y, NULL) == RP_OK &&
                       y == 2 * (x + i));
    }
}

static void a_map(const struct user *user, int64_t x)
{
    int64_t in[5 * SOME], out[5 * SOME];
    int wrong = 0;
    for (int64_t i = 0; i < 5 * SOME; i++)
        in[i] = x + i;
    MUST(user,
         rp_map(user->pool, mix_twice, in, sizeof *in, 5 * SOME, out, sizeof *out, NULL) == RP_OK);
    for (int64_t i = 0; i < 5 * SOME; i++)
        wrong += out[i] != 2 * in[i];
    MUST(user, wrong == 0);
}

static void a_look(const struct user *user)
{
    rp_stats stats = RP_STATS_INIT;
    rp_worker_info info = RP_WORKER_INFO_INIT;
    MUST(user, rp_stats_of(user->pool, &stats) == RP_OK && stats.submitted >= stats.done);
    MUST(user, rp_worker_info_of(user->pool, 1, &info) == RP_OK);
    MUST(user, rp_workers(user->pool) > 0);
    MUST(user, rp_progress(user->pool) == RP_OK);
    rp_status status = rp_drain(user->pool, 1e-4);
    MUST(user, status == RP_OK || status == RP_ERR_TIMEOUT);
}

static void *use(void *context)
{
    const struct user *user = context;
    for (int round = 0; round < user->rounds; round++) {
        int64_t x = 1000000 * user->number + 1000 * round + 1;
        one_by_one(user, x);
        several(user, x);
        a_failure(user, x);
        a_map(user, x);
        a_long_one(user, x);
        a_look(user);
    }
    return NULL;
}

int threads_mix(rp_pool *pool, int threads, int rounds)
{
    struct user users[MOST_THREADS];
    atomic_int wrong = 0;
    int started = 0;
    for (; started < threads && started < MOST_THREADS; started++) {
        users[started] = (struct user){
            .pool = pool, .number = started, .rounds = rounds, .wrong = &wrong
        };
        if (pthread_create(&users[started].thread, NULL, use, &users[started]) != 0)
            break;
    }
    for (int i = 0; i < started; i++)
        (void)pthread_join(users[i].thread, NULL);
    return atomic_load(&wrong) + (started < threads);
}
