#include "tables/roster.h"

#include "base/status.h"

rp_status rpi_roster_init(struct rpi_roster *roster, const struct rpi_alloc *alloc, int workers)
{
    *roster = (struct rpi_roster){ .alloc = *alloc, .workers = workers };
    roster->seats = rpi_zeroed(alloc, ((size_t)workers + 1) *
                                          (sizeof *roster->seats + sizeof *roster->deaths));
    if (!roster->seats)
        return rpi_no_memory("the roster of workers");
    roster->deaths = (void *)(roster->seats + workers + 1);
    for (int i = 0; i <= RPI_ROSTER_DEPTH; i++)
        rpi_list_init(&roster->rings[i]);
    rpi_list_init(&roster->loaded);
    roster->idle = workers;
    for (int worker = 0; worker <= workers; worker++) {
        struct rpi_seat *seat = &roster->seats[worker];
        seat->host = "";
        rpi_list_init(&seat->link);
        rpi_list_init(&seat->held);
        rpi_list_init(&seat->load);
        if (worker > 0)
            rpi_list_append(&roster->rings[0], &seat->link);
    }
    return RP_OK;
}

void rpi_roster_fini(struct rpi_roster *roster)
{
    rpi_free(&roster->alloc, roster->seats);
    roster->seats = NULL;
}

int rpi_roster_least(const struct rpi_roster *roster)
{
    for (int i = 0; i < RPI_ROSTER_DEPTH; i++) {
        const struct rpi_link *link = rpi_list_first(&roster->rings[i]);
        if (link)
            return (int)(RPI_MEMBER(link, struct rpi_seat, link) - roster->seats);
    }
    return 0;
}

/* Rank 0 is in no ring: it is asked when no worker has credit. */
static void place(struct rpi_roster *roster, struct rpi_seat *seat)
{
    rpi_list_remove(&seat->link);
    if (seat != roster->seats && !seat->lost && !seat->alone)
        rpi_list_append(&roster->rings[seat->halted ? RPI_ROSTER_DEPTH : seat->in_flight],
                        &seat->link);
}

static bool is_idle(const struct rpi_roster *roster, const struct rpi_seat *seat)
{
    return seat != roster->seats && !seat->lost && seat->in_flight == 0;
}

void rpi_roster_sent(struct rpi_roster *roster, int worker)
{
    struct rpi_seat *seat = &roster->seats[worker];
    roster->idle -= is_idle(roster, seat);
    seat->in_flight++;
    seat->cancels = NULL; /* a cancel of one of these tasks must come after them */
    place(roster, seat);
}

void rpi_roster_done(struct rpi_roster *roster, int worker)
{
    struct rpi_seat *seat = &roster->seats[worker];
    seat->alone = false;
    if (--seat->in_flight == 0)
        seat->halted = false;
    roster->idle += is_idle(roster, seat);
    place(roster, seat);
}

static void set_lost(struct rpi_roster *roster, int worker, bool lost)
{
    struct rpi_seat *seat = &roster->seats[worker];
    roster->lost += lost - seat->lost;
    roster->idle -= is_idle(roster, seat);
    seat->lost = lost;
    roster->idle += is_idle(roster, seat);
    rpi_list_remove(&seat->load);
    rpi_roster_answered(roster, worker);
    seat->halted = false;
    place(roster, seat);
}

void rpi_roster_lost(struct rpi_roster *roster, int worker)
{
    set_lost(roster, worker, true);
}

void rpi_roster_replace(struct rpi_roster *roster, int worker, int64_t pid)
{
    struct rpi_seat *seat = &roster->seats[worker];
    seat->pid = pid;
    seat->movable = seat->taken = 0;
    seat->due = 0;
    seat->alone = seat->again = false;
    seat->cancels = NULL;
    roster->deaths[worker].way = RPI_WAY_NONE;
    set_lost(roster, worker, false);
}

void rpi_roster_alone(struct rpi_roster *roster, int worker)
{
    roster->seats[worker].alone = true;
    place(roster, &roster->seats[worker]);
}

void rpi_roster_load(struct rpi_roster *roster, int worker, uint32_t tasks, double now,
                     double seconds)
{
    struct rpi_seat *seat = &roster->seats[worker];
    seat->movable += tasks;
    seat->due = (seat->due > now ? seat->due : now) + (seconds > 0 ? seconds : 0);
    rpi_list_remove(&seat->load);
    rpi_list_append(&roster->loaded, &seat->load);
}

void rpi_roster_ask(struct rpi_roster *roster, int worker)
{
    struct rpi_seat *seat = &roster->seats[worker];
    rpi_list_remove(&seat->load);
    roster->asked += !seat->asked;
    seat->asked = seat->halted = true;
    place(roster, seat);
}

void rpi_roster_answered(struct rpi_roster *roster, int worker)
{
    roster->asked -= roster->seats[worker].asked;
    roster->seats[worker].asked = false;
}

void rpi_roster_heard(struct rpi_roster *roster, int worker)
{
    if (!roster->seats[worker].halted)
        return;
    roster->seats[worker].halted = false;
    place(roster, &roster->seats[worker]);
}
