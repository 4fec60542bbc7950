#include "transport/mpi/mpi_dup.h"

#include "base/advice.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/status.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>

/* On the application's communicator, and only when a pool cannot be opened: a message that no rank
 * receives would stay there, or reach a later communicator of the same number. */
#define TAG_CAME     RPI_TAG_MOST
#define TAG_GIVEN_UP (RPI_TAG_MOST - 1)
#define FAREWELL     1.0 /* seconds for the last word of a rank */
#define ANSWERS      2.0 /* seconds in which rank 0 hears from the ranks that came */
/* seconds that the others wait longer than rank 0, which knows more */
#define GRACE 4.0

/* What a rank says as it gives up: rank 0 to those that have not come, any other to rank 0. */
struct farewell {
    double waited; /* seconds */
    double when;   /* of the realtime clock, seconds */
};

rp_status rpi_mpi_dup_failed(const char *call, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    (void)MPI_Error_string(code, text, &length);
    return rpi_error(RP_ERR_MPI, "%s failed: %s", call, text);
}

/* The ranks of a communicator on their way to each other, as one of them sees it. */
struct meeting {
    const struct rpi_alloc *alloc;
    MPI_Comm comm;
    int rank, size;
    double timeout;
    double began; /* of the realtime clock */
    bool *gone;   /* rank 0: by rank, which have given up */
};

static double realtime(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- names of ranks in a message */

struct names {
    char text[400];
    size_t used;
    int count;
};

static void add_name(struct names *names, int rank)
{
    size_t room = sizeof names->text - names->used;
    names->count++;
    if (room > 16)
        names->used += (size_t)snprintf(names->text + names->used, room, "%s%d",
                                        names->count > 1 ? ", " : "", rank);
    else if (names->text[names->used - 1] != '.')
        names->used += (size_t)snprintf(names->text + names->used, room, ", ...");
}

/* ---- giving up */

/* To rank 0; from it, to all but those that have given up.  What is still under way when the
 * program goes on stays: the rank that it goes to may have ended. */
static void send_farewell(const struct meeting *meeting)
{
    static struct farewell farewell; /* for ever: MPI may read it later */
    double when = realtime();
    farewell = (struct farewell){ .waited = when - meeting->began, .when = when };
    int first = meeting->rank == 0 ? 1 : 0, end = meeting->rank == 0 ? meeting->size : 1;
    for (int rank = first; rank < end; rank++) {
        MPI_Request request;
        if (meeting->gone && meeting->gone[rank])
            continue;
        if (MPI_Isend(&farewell, sizeof farewell, MPI_BYTE, rank, TAG_GIVEN_UP, meeting->comm,
                      &request) == MPI_SUCCESS)
            (void)MPI_Request_free(&request);
    }
}

/* MPI sends on meanwhile. */
static void linger(const struct meeting *meeting)
{
    int flag;
    for (double end = rpi_now() + FAREWELL; rpi_now() < end; (void)sched_yield())
        (void)MPI_Iprobe(meeting->rank, TAG_GIVEN_UP, meeting->comm, &flag, MPI_STATUS_IGNORE);
}

static void say_farewell(const struct meeting *meeting)
{
    send_farewell(meeting);
    linger(meeting);
}

/* Rank 0 has given up, and asks who was there. */
static void say_that_it_came(const struct meeting *meeting)
{
    MPI_Request request;
    if (MPI_Isend(NULL, 0, MPI_BYTE, 0, TAG_CAME, meeting->comm, &request) == MPI_SUCCESS)
        (void)MPI_Request_free(&request);
    linger(meeting);
}

/* Takes one, from any rank; false: there is none. */
static bool take_farewell(const struct meeting *meeting, struct farewell *farewell, int *from)
{
    int flag = 0;
    MPI_Status status;
    int source = meeting->rank == 0 ? MPI_ANY_SOURCE : 0;
    if (MPI_Iprobe(source, TAG_GIVEN_UP, meeting->comm, &flag, &status) != MPI_SUCCESS || !flag)
        return false;
    *from = status.MPI_SOURCE;
    return MPI_Recv(farewell, sizeof *farewell, MPI_BYTE, *from, TAG_GIVEN_UP, meeting->comm,
                    MPI_STATUS_IGNORE) == MPI_SUCCESS;
}

/* Some rank had given up before this one came, or just now: there will be no pool.  RP_OK: none
 * has. */
static rp_status hear_farewells(const struct meeting *meeting)
{
    struct farewell farewell, last = { .waited = 0 };
    struct names names = { .used = 0 };
    int from;
    while (take_farewell(meeting, &farewell, &from)) {
        add_name(&names, from);
        if (meeting->gone)
            meeting->gone[from] = true;
        if (farewell.when > last.when)
            last = farewell;
    }
    if (names.count == 0)
        return RP_OK;
    if (meeting->rank == 0 && names.count < meeting->size - 1)
        say_farewell(meeting);
    double before = meeting->began - last.when;
    if (meeting->rank > 0 && before < 0) {
        say_that_it_came(meeting);
        return rpi_error(RP_ERR_BROKEN,
                         "rank 0 waited %.1f s in vain until all ranks had called it "
                         "(config.open_timeout), and gave up; its own "
                         "message tells more",
                         last.waited);
    }
    return rpi_error(RP_ERR_BROKEN,
                     "rank %s called it, waited %.1f s in vain until all ranks had "
                     "(config.open_timeout), and gave up %.1f s "
                     "%s rank %d called it: give config.open_timeout more seconds, or let rank %d "
                     "call it sooner",
                     names.text, last.waited, before > 0 ? before : -before,
                     before > 0 ? "before" : "after", meeting->rank, meeting->rank);
}

/* Rank 0 hears from the ranks that came. */
static void hear_who_came(const struct meeting *meeting, bool *came)
{
    int missing = meeting->size - 1;
    for (double end = rpi_now() + ANSWERS; missing > 0 && rpi_now() < end; (void)sched_yield()) {
        int flag;
        MPI_Status from;
        while (MPI_Iprobe(MPI_ANY_SOURCE, TAG_CAME, meeting->comm, &flag, &from) == MPI_SUCCESS &&
               flag) {
            (void)MPI_Recv(NULL, 0, MPI_BYTE, from.MPI_SOURCE, TAG_CAME, meeting->comm,
                           MPI_STATUS_IGNORE);
            came[from.MPI_SOURCE] = true;
            missing--;
        }
    }
}

/* Rank 0 waited in vain: it tells all, and names those that do not answer. */
static rp_status name_missing(const struct meeting *meeting)
{
    struct names names = { .used = 0 };
    bool *came = rpi_zeroed(meeting->alloc, (size_t)meeting->size);
    if (!came)
        return rpi_no_memory("the list of missing ranks");
    send_farewell(meeting);
    hear_who_came(meeting, came);
    for (int rank = 1; rank < meeting->size; rank++)
        if (!came[rank])
            add_name(&names, rank);
    rpi_free(meeting->alloc, came);
    if (!names.count)
        return rpi_error(RP_ERR_BROKEN,
                         "every rank has called it, but MPI did not bring them together within %g "
                         "s (config.open_timeout): "
                         "one may be stopped, or a host cannot be reached from another (the "
                         "launcher's own messages may say "
                         "which; %s)",
                         meeting->timeout, rpi_advice(RPI_ADVICE_NETWORK));
    return rpi_error(
        RP_ERR_BROKEN,
        "%d of %d ranks did not call it within %g s of rank 0 (config.open_timeout): rank %s.  "
        "Every rank of the "
        "communicator must call it, and none can that still serves another pool, or has ended",
        names.count, meeting->size, meeting->timeout, names.text);
}

static rp_status give_up(const struct meeting *meeting)
{
    if (meeting->rank == 0)
        return name_missing(meeting);
    say_farewell(meeting);
    return rpi_error(RP_ERR_BROKEN,
                     "not every rank had called it within %g s of rank %d (config.open_timeout); "
                     "rank 0 says which, if it "
                     "calls it at all",
                     meeting->timeout, meeting->rank);
}

static rp_status duplicate(const struct meeting *meeting, MPI_Comm *ranks)
{
    MPI_Request request;
    struct rpi_backoff backoff = { 0 };
    double deadline = rpi_deadline(rpi_now(), meeting->timeout) + (meeting->rank > 0 ? GRACE : 0);
    int code = MPI_Comm_idup(meeting->comm, ranks, &request);
    int flag = 0;
    if (code != MPI_SUCCESS)
        return rpi_mpi_dup_failed("MPI_Comm_idup", code);
    while ((code = MPI_Test(&request, &flag, MPI_STATUS_IGNORE)) == MPI_SUCCESS && !flag) {
        rp_status status = hear_farewells(meeting);
        if (status != RP_OK)
            return status;
        if (rpi_now() > deadline)
            return give_up(meeting);
        rpi_backoff_wait(&backoff);
    }
    return code == MPI_SUCCESS ? hear_farewells(meeting)
                               : rpi_mpi_dup_failed("MPI_Comm_idup", code);
}

rp_status rpi_mpi_dup(MPI_Comm comm, double timeout, const struct rpi_alloc *alloc, MPI_Comm *ranks)
{
    struct meeting meeting = {
        .alloc = alloc, .comm = comm, .timeout = timeout, .began = realtime()
    };
    int code = MPI_Comm_rank(comm, &meeting.rank);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(comm, &meeting.size);
    if (code != MPI_SUCCESS)
        return rpi_mpi_dup_failed("MPI_Comm_rank", code);
    if (meeting.rank == 0 && !(meeting.gone = rpi_zeroed(alloc, (size_t)meeting.size)))
        return rpi_no_memory("the ranks on their way to a pool");
    rp_status status = duplicate(&meeting, ranks);
    rpi_free(alloc, meeting.gone);
    return status;
}
