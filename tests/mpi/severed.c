/* MPI loses a worker in the middle of a message, in the ways that Open MPI's transports have;
 * transports.sh says how.
 *   severed large|batch cancelled|failed [alive|held]
 *   severed send failed [alive|held]
 *   severed send astray                what worker 1 sends is never seen, after worker 2 was killed
 * A large receive from worker 1, or one of a batch, ends without its bytes; or a send to it fails.
 * The worker is killed in that moment, unless it is `alive`: MPI alone has lost it then.  `held`:
 * MPI_Finalize does not come back on any rank.  Rank 0 ends with 7 when every result is right. */
#include "fixture.h"

#include <mpi.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VICTIM 1
#define TASKS  200
#define LARGE  100000
#define SMALL  100
#define LONG   60.0
#define AFTER  5 /* messages */
#define MOST   64

static const char *what, *how;
static bool alive, held, is_victim;
static atomic_bool armed;
static pid_t pid;

/* The receives that rank 0 has posted. */
static struct receive {
    MPI_Request request;
    void *bytes;
    int count, source;
} receives[MOST];

static bool is_time(const char *kind)
{
    static int messages;
    return atomic_load(&armed) && strcmp(what, kind) == 0 && ++messages > AFTER;
}

static int cut(void)
{
    atomic_store(&armed, false);
    if (!alive)
        (void)kill(pid, SIGKILL);
    printf("%s %s\n", what, how);
    return strcmp(how, "failed") == 0 ? MPI_ERR_INTERN : MPI_SUCCESS;
}

/* Its bytes never came; the status tells the old count, as libfabric's does. */
static int spoil(const struct receive *receive, MPI_Status *status)
{
    memset(receive->bytes, 0xEE, (size_t)receive->count);
    int code = cut();
    if (code == MPI_SUCCESS)
        (void)MPI_Status_set_cancelled(status, 1);
    status->MPI_ERROR = code;
    return code;
}

static struct receive *find(MPI_Request request)
{
    for (int i = 0; i < MOST; i++)
        if (receives[i].request == request && request != MPI_REQUEST_NULL)
            return &receives[i];
    return NULL;
}

/* In the place of MPI's own, which have these other names (MPI-3.1, 14.2). */
int MPI_Irecv(void *bytes, int count, MPI_Datatype type, int source, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    static unsigned next;
    int code = PMPI_Irecv(bytes, count, type, source, tag, comm, request);
    struct receive *place = find(*request); /* MPI uses them again */
    if (!place)
        place = &receives[next++ % MOST];
    *place = (struct receive){
        .request = *request, .bytes = bytes, .count = count, .source = source
    };
    return code;
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    static int sent;
    if (to == VICTIM && is_time("send"))
        return cut();
    if (to == 0 && is_victim && strcmp(how, "astray") == 0 && ++sent > AFTER)
        to = MPI_PROC_NULL;
    return PMPI_Isend(data, count, type, to, tag, comm, request);
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    const struct receive *receive = atomic_load(&armed) ? find(*request) : NULL;
    int code = PMPI_Test(request, flag, status);
    if (code != MPI_SUCCESS || !*flag || !receive || status->MPI_SOURCE != VICTIM ||
        !is_time("batch"))
        return code;
    return spoil(receive, status);
}

int MPI_Testsome(int count, MPI_Request *requests, int *done, int *which, MPI_Status *statuses)
{
    const struct receive *large[MOST] = { NULL };
    for (int i = 0; i < count && i < MOST && atomic_load(&armed); i++)
        large[i] = find(requests[i]);
    int code = PMPI_Testsome(count, requests, done, which, statuses);
    for (int i = 0; code == MPI_SUCCESS && *done != MPI_UNDEFINED && i < *done; i++) {
        const struct receive *receive = which[i] < MOST ? large[which[i]] : NULL;
        statuses[i].MPI_ERROR = MPI_SUCCESS;
        if (receive && receive->source == VICTIM && is_time("large") &&
            spoil(receive, &statuses[i]) != MPI_SUCCESS)
            code = MPI_ERR_IN_STATUS;
    }
    return code;
}

int MPI_Finalize(void)
{
    while (held)
        (void)pause();
    return PMPI_Finalize();
}

static rp_status give(rp_call *call, const void *arg, size_t size)
{
    int number;
    (void)size;
    memcpy(&number, arg, sizeof number);
    size_t bytes = number % 2 ? LARGE : SMALL;
    void *room = rp_reserve(call, bytes);
    if (!room)
        return RP_ERR_NOMEM;
    fill(room, bytes, (uint64_t)number);
    return RP_OK;
}
RP_TASK(give);

static int count_right(void)
{
    rp_future futures[TASKS] = { { 0 } };
    int right = 0;
    for (int i = 0; i < TASKS; i++)
        if (rp_submit(pool, give, &i, sizeof i, NULL, &futures[i]) != RP_OK)
            printf("rp_submit: %s\n", rp_error_message());
    for (int i = 0; i < TASKS; i++) {
        void *data = NULL;
        size_t size = 0, want = i % 2 ? LARGE : SMALL;
        if (rp_take(pool, futures[i], LONG, &data, &size) != RP_OK)
            printf("%d: %s\n", i, rp_error_message());
        else if (size != want || !filled(data, size, (uint64_t)i))
            printf("%d: wrong\n", i);
        else
            right++;
        rp_free(data);
    }
    return right;
}

int main(int argc, char **argv)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    if (argc < 3)
        return 2;
    what = argv[1];
    how = argv[2];
    alive = argc > 3 && strcmp(argv[3], "alive") == 0;
    held = argc > 3 && strcmp(argv[3], "held") == 0;
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    is_victim = rank && strtol(rank, NULL, 10) == VICTIM;
    if (rp_open(NULL, &pool) != RP_OK) {
        printf("rp_open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    if (rp_worker_info_of(pool, VICTIM, &info) != RP_OK)
        return 1;
    pid = (pid_t)info.pid;
    atomic_store(&armed, strcmp(how, "astray") != 0);
    if (!atomic_load(&armed) && rp_worker_info_of(pool, 2, &info) == RP_OK)
        (void)kill((pid_t)info.pid, SIGKILL);
    int right = count_right();
    rp_status status = rp_close(&pool);
    printf("%d of %d right; rp_close: %s\n", right, TASKS, rp_strerror(status));
    return right == TASKS && status == RP_OK && !atomic_load(&armed) ? 7 : 9;
}
