/* A program for opening.sh: every rank opens a pool in the way that its argument says, and prints
 *
 *   rank N: STATUS: MESSAGE         of a pool that was not opened
 *   rank N: fine                    of one that worked
 */
#include "transport/mpi/mpi_dup.h"

#include <rankpool_mpi.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int number_in(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? (int)strtol(text, NULL, 10) : otherwise;
}

static int rank;
static int odd_one = 1; /* the rank that does otherwise; ODD_ONE in the environment */

static rp_status common(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(common);

static rp_status another(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    return size ? RP_ERR_INVALID : RP_OK;
}

/* ---- steps of an opening: the odd rank may die at any -------------------------------------- */

static int steps = -1, steps_left = -1; /* negative: it lives on */

static void step(void)
{
    if (steps_left >= 0 && steps_left-- == 0)
        (void)raise(SIGKILL);
}

/* Step 0 is the first one after this call. */
int MPI_Init_thread(int *argc, char ***argv, int wanted, int *provided)
{
    int code = PMPI_Init_thread(argc, argv, wanted, provided);
    steps_left = steps;
    return code;
}

int MPI_Comm_idup(MPI_Comm comm, MPI_Comm *copy, MPI_Request *request)
{
    step();
    return PMPI_Comm_idup(comm, copy, request);
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    step();
    return PMPI_Isend(data, count, type, to, tag, comm, request);
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    int code = PMPI_Test(request, flag, status);
    if (*flag)
        step();
    return code;
}

int MPI_Testsome(int count, MPI_Request requests[], int *done, int indices[], MPI_Status statuses[])
{
    int code = PMPI_Testsome(count, requests, done, indices, statuses);
    if (*done > 0)
        step();
    return code;
}

int socket(int domain, int type, int protocol)
{
    step();
    return (int)syscall(SYS_socket, domain, type, protocol);
}

ssize_t send(int file, const void *data, size_t size, int flags)
{
    step();
    ssize_t sent = (ssize_t)syscall(SYS_sendto, file, data, size, flags, NULL, 0);
    step();
    return sent;
}

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- ways of opening ----------------------------------------------------------------------- */

static void report(rp_status status, rp_pool **pool)
{
    if (status == RP_OK && *pool) {
        status = rp_apply(*pool, common, "x", 1, NULL, 0, NULL) == RP_ERR_SIZE ? RP_OK
                                                                               : RP_ERR_TASK;
        if (status == RP_OK)
            status = rp_close(pool);
    }
    if (status == RP_OK)
        printf("rank %d: fine\n", rank);
    else
        printf("rank %d: %s: %s\n", rank, rp_strerror(status), rp_error_message());
    (void)fflush(stdout);
}

static int open_plain(const rp_config *config)
{
    rp_pool *pool = NULL;
    report(rp_open(config, &pool), &pool);
    return 0;
}

/* What was wrong on the first try stays wrong. */
static int open_twice(void)
{
    (void)open_plain(NULL);
    return open_plain(NULL);
}

static int open_without_threads(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.background = RP_ON;
    (void)open_plain(rank == 0 ? &config : NULL);
    (void)open_plain(NULL);
    return MPI_Finalize();
}

static rp_status die(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    (void)arg;
    (void)size;
    rp_call_info_of(call, &info);
    return info.worker == odd_one ? (rp_status)raise(SIGKILL) : RP_OK;
}
RP_TASK(die);

/* The odd rank dies, or is late, on its way into the pool. */
static int open_without(const char *mode, bool odd)
{
    rp_config config = RP_CONFIG_INIT;
    config.open_timeout = 3;
    if (strcmp(mode, "dies_before") == 0)
        (void)MPI_Init(NULL, NULL);
    if (strcmp(mode, "dies_inside") == 0)
        config.initializer = die;
    else if (odd && strcmp(mode, "late_before_mpi") == 0)
        (void)sleep(5);
    else if (odd)
        (void)raise(SIGKILL);
    (void)open_plain(&config);
    return 0;
}

static rp_status prepare(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    return size == 10000 ? RP_OK : RP_ERR_TASK;
}
RP_TASK(prepare);

/* The odd rank dies at its step AT between MPI's start and the end of rp_open, or at a later
 * one. */
static int open_dying(bool odd)
{
    static char argument[10000];
    rp_config config = RP_CONFIG_INIT;
    rp_pool *pool = NULL;
    int provided;
    config.open_timeout = 3;
    config.initializer = prepare;
    config.init_arg = (rp_bytes){ .data = argument, .size = sizeof argument };
    if (odd)
        steps = number_in("AT", 0);
    (void)MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    (void)MPI_Barrier(MPI_COMM_WORLD); /* however long that takes */
    double began = now();
    rp_status status = rp_open(&config, &pool);
    if (status == RP_OK && rank == 0)
        printf("rank 0: opened\n");
    printf("rank %d: %s %.1f s\n", rank, pool || status != RP_OK ? "rp_open took" : "served",
           now() - began);
    report(status, &pool);
    return MPI_Finalize();
}

/* main ends with tasks under way and a pool open. */
static int leave_open(void)
{
    rp_pool *pool = NULL;
    if (rp_open(NULL, &pool) != RP_OK)
        return 3;
    printf("rank %d: %s\n", rank, pool ? "opened" : "served");
    for (int i = 0; pool && i < 10000; i++)
        if (rp_submit(pool, common, "hello", 5, NULL, NULL) != RP_OK)
            return 3;
    (void)usleep(pool ? (useconds_t)number_in("LEAVE_AFTER", 0)
                      : 0); /* meanwhile the caretaker is at work */
    return pool ? number_in("LEAVE_WITH", 0) : 0;
}

/* Rank 0 may open FILES_LEFT more files; FILES_HARD: and cannot change that. */
static int open_with_few_files(void)
{
    struct rlimit limit;
    int provided, next;
    (void)MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    (void)MPI_Barrier(MPI_COMM_WORLD); /* its own files are open */
    if (rank == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && (next = dup(0)) >= 0) {
        (void)close(next); /* all below it are taken */
        limit.rlim_cur = (rlim_t)next + (rlim_t)number_in("FILES_LEFT", 2);
        if (getenv("FILES_HARD"))
            limit.rlim_max = limit.rlim_cur;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    double began = now();
    (void)open_plain(NULL);
    printf("rank %d: it took %s\n", rank, now() - began < 20 ? "no time" : "its time");
    return MPI_Finalize();
}

/* The difference is beyond what one message holds. */
static int open_with_many_names(bool odd)
{
    for (int i = 0; i < 3000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "function_number_%d", i);
        if (odd && i == 2999)
            (void)snprintf(name, sizeof name, "z_other");
        if (rp_register(name, another) != RP_OK)
            return 3;
    }
    return open_plain(NULL);
}

/* Functions that are registered in other ways on some rank; negative: no such mode. */
static int open_with_names(const char *mode, bool odd)
{
    if (strcmp(mode, "one_more") == 0) { /* registered on the odd rank only */
        if (odd && rp_register("one_more", another) != RP_OK)
            return 3;
        return open_twice();
    }
    if (strcmp(mode, "one_less") == 0) {
        if (!odd && rp_register("one_less", another) != RP_OK)
            return 3;
        return open_twice();
    }
    if (strcmp(mode, "other_name") == 0) {
        if (rp_register(odd ? "name_of_one" : "name_of_others", another) != RP_OK)
            return 3;
        return open_plain(NULL);
    }
    if (strcmp(mode, "many_names") == 0)
        return open_with_many_names(odd);
    if (strcmp(mode, "clash") == 0) { /* one name for two functions */
        rp_register_at("twice_given", common, "first.c", 10);
        if (odd || odd_one < 0)
            rp_register_at("twice_given", another, "second.c", 20);
        return open_twice();
    }
    if (strcmp(mode, "bad_name") == 0) {
        rp_register_at("", common, "empty.c", 1);
        return open_plain(NULL);
    }
    return -1;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    rp_config config = RP_CONFIG_INIT;
    rank = number_in("OMPI_COMM_WORLD_RANK", 0);
    odd_one = number_in("ODD_ONE", odd_one);
    bool odd = rank == odd_one;

    if (strcmp(mode, "plain") == 0)
        return open_plain(NULL);
    int code = open_with_names(mode, odd);
    if (code >= 0)
        return code;
    /* the odd rank does not come; or it says that it came, and comes no further */
    if (strcmp(mode, "missing") == 0 || strcmp(mode, "unmet") == 0) {
        config.open_timeout = 1;
        (void)MPI_Init(&argc, &argv);
        if (odd && strcmp(mode, "unmet") == 0)
            (void)MPI_Send(NULL, 0, MPI_BYTE, 0, RPI_TAG_MOST, MPI_COMM_WORLD);
        if (odd)
            printf("rank %d: elsewhere\n", rank);
        else
            (void)open_plain(&config);
        (void)sleep(6); /* the first that ends, ends all */
        return 0;
    }
    if (strcmp(mode, "late") == 0) {
        config.open_timeout = 1;
        (void)MPI_Init(&argc, &argv);
        if (odd)
            (void)sleep(10); /* the others give up before */
        (void)open_plain(&config);
        (void)MPI_Barrier(MPI_COMM_WORLD); /* the first that ends, ends all */
        return 0;
    }
    if (strcmp(mode, "few_files") == 0)
        return open_with_few_files();
    if (strcmp(mode, "dies_before_mpi") == 0 || strcmp(mode, "dies_before") == 0 ||
        strcmp(mode, "dies_inside") == 0 || strcmp(mode, "late_before_mpi") == 0)
        return open_without(mode, odd);
    if (strcmp(mode, "dies_at") == 0)
        return open_dying(odd);
    if (strcmp(mode, "after_finalize") == 0) {
        rp_pool *pool = NULL;
        (void)MPI_Init(&argc, &argv);
        (void)MPI_Finalize();
        report(rp_open_comm(MPI_COMM_WORLD, NULL, &pool), &pool);
        return open_plain(NULL);
    }
    if (strcmp(mode, "no_threads") == 0) { /* MPI does not give MPI_THREAD_MULTIPLE */
        (void)MPI_Init(&argc, &argv);
        return open_without_threads();
    }
    if (strcmp(mode, "left_open") == 0)
        return leave_open();
    (void)fprintf(stderr, "opening: no such mode: %s\n", mode);
    return 2;
}
