#include "roster.h"

#include "status.h"

rp_status rpi_roster_init(struct rpi_roster *roster, const struct rpi_alloc *alloc, int workers)
{
    *roster = (struct rpi_roster){ .alloc = *alloc, .workers = workers };
    roster->seats = rpi_zeroed(alloc, ((size_t)workers + 1) * sizeof *roster->seats);
    if (!roster->seats)
        return rpi_no_memory("the roster of workers");
    for (int i = 0; i <= RPI_DEPTH; i++)
        rpi_list_init(&roster->rings[i]);
    for (int worker = 0; worker <= workers; worker++) {
        struct rpi_seat *seat = &roster->seats[worker];
        seat->host = "";
        rpi_list_init(&seat->link);
        rpi_list_init(&seat->held);
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
    for (int i = 0; i < RPI_DEPTH; i++) {
        const struct rpi_link *link = rpi_list_first(&roster->rings[i]);
        if (link)
            return (int)(RPI_MEMBER(link, struct rpi_seat, link) - roster->seats);
    }
    return 0;
}

/* Rank 0 stands in no ring: it is asked when nobody else has credit. */
static void move(struct rpi_roster *roster, struct rpi_seat *seat)
{
    if (seat == roster->seats)
        return;
    rpi_list_remove(&seat->link);
    rpi_list_append(&roster->rings[seat->in_flight], &seat->link);
}

void rpi_roster_sent(struct rpi_roster *roster, int worker)
{
    roster->seats[worker].in_flight++;
    move(roster, &roster->seats[worker]);
}

void rpi_roster_done(struct rpi_roster *roster, int worker)
{
    roster->seats[worker].in_flight--;
    move(roster, &roster->seats[worker]);
}
