#include "open/oob_setup.h"

#include "base/advice.h"
#include "base/files.h"
#include "base/list.h"
#include "base/status.h"
#include "oob/oob_address.h"
#include "transport/mpi/transport_mpi.h"

#include <link.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define OWN_FILES 3 /* where connections come in, what rank 0 sleeps on, and its bell */
/* the application's, and visitors of the gate that have not proven themselves */
#define SPARE_FILES 64

static const char *host_of(const struct rpi_handshake *opening, int rank)
{
    return opening->hosts + (size_t)rank * RPI_HOST_BYTES;
}

/* NULL: every rank is on this host. */
static const char *other_host(const struct rpi_handshake *opening)
{
    for (int rank = 1; rank <= opening->transport->peers; rank++)
        if (strcmp(host_of(opening, rank), opening->hosts) != 0)
            return host_of(opening, rank);
    return NULL;
}

/* Whether that name is in a list as Open MPI's settings have it: "vader,self", or "^tcp" for all
 * but these. */
static bool allows(const char *list, const char *name)
{
    bool all_but = *list == '^';
    size_t length = strlen(name);
    for (const char *at = all_but ? list + 1 : list; at;
         at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strcspn(at, ",") == length && strncmp(at, name, length) == 0)
            return !all_but;
    return all_but;
}

/* Open MPI keeps the one of these that it uses. */
static int is_other_way(struct dl_phdr_info *object, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    return strstr(object->dlpi_name, "mca_pml_cm") || strstr(object->dlpi_name, "mca_pml_ucx");
}

/* Whether messages between ranks of one host may go another way than through shared memory,
 * whatever has chosen it. */
static bool avoids_memory(void)
{
    const char *btl = getenv("OMPI_MCA_btl");
    return (btl && !allows(btl, "vader") && !allows(btl, "sm")) || getenv("OMPI_MCA_pml") ||
           dl_iterate_phdr(is_other_way, NULL);
}

/* ---- rank 0 */

/* A connection to each worker, and this module's own; MPI may want one to each as well, and a few
 * more. */
static rp_status allow_files(int workers)
{
    unsigned long least = (unsigned long)workers + OWN_FILES;
    return rpi_files_allow(least, 2 * least + SPARE_FILES);
}

static rp_status open_gate(struct rpi_oob_setup *base, struct rpi_handshake_gate_place *place)
{
    struct rpi_oob_setup_mpi *side = RPI_MEMBER(base, struct rpi_oob_setup_mpi, base);
    struct rpi_transport *transport = side->opening->transport;
    const char *others = other_host(side->opening);
    uint32_t ip;
    rp_status status = rpi_oob_address_choose(others, &ip);
    if (status == RP_OK)
        status = allow_files(transport->peers);
    if (status == RP_OK)
        status = rpi_oob_listener_open(&side->gate, ip);
    if (status == RP_OK)
        status = rpi_oob_master_init(rpi_transport_mpi_channel(transport), &side->opening->alloc,
                                     transport->peers);
    rpi_transport_mpi_channel(transport)->host_timeout = side->host_timeout;
    if (others || side->foreign || avoids_memory())
        rpi_transport_mpi_be_shy(transport);
    if (status != RP_OK) {
        rpi_oob_listener_close(&side->gate, &side->opening->log);
        return status;
    }
    place->ip = ip;
    place->port = side->gate.port;
    place->beat = (uint32_t)(side->beat * 1e3);
    place->host_timeout = (uint32_t)(side->host_timeout * 1e3);
    memcpy(place->token, side->gate.token, sizeof place->token);
    return RP_OK;
}

static rp_status is_absent(const struct rpi_oob_setup_mpi *side, int rank)
{
    const struct rpi_handshake *opening = side->opening;
    char text[RPI_OOB_ADDRESS_BYTES];
    rpi_oob_address_text(side->gate.ip, side->gate.port, text);
    return rpi_error(RP_ERR_BROKEN,
                     "rank %d (%s) did not connect to rank 0's side channel at %s within %g s, as "
                     "config.open_timeout has it: "
                     "%s of that address",
                     rank, host_of(opening, rank), text, opening->timeout,
                     rpi_advice(RPI_ADVICE_NETWORK));
}

/* A rank that is on its way, or 0. */
static int awaited(const struct rpi_oob_master *channel, const bool *came)
{
    for (int rank = 1; channel->joined < channel->workers && rank <= channel->workers; rank++)
        if (!came[rank] && !rpi_oob_master_has(channel, rank))
            return rank;
    return 0;
}

static rp_status gather(struct rpi_oob_setup *base, const bool *came, bool (*hear)(void *context),
                        void *context)
{
    struct rpi_oob_setup_mpi *side = RPI_MEMBER(base, struct rpi_oob_setup_mpi, base);
    struct rpi_oob_master *channel = rpi_transport_mpi_channel(side->opening->transport);
    struct pollfd look = { .fd = side->gate.listener, .events = POLLIN };
    double now = rpi_now(), deadline = rpi_deadline(now, side->opening->timeout);
    rp_status status = RP_OK;
    int worker, file, rank;
    while ((rank = awaited(channel, came)) && status == RP_OK && hear(context)) {
        while (rpi_oob_listener_next(&side->gate, now, channel->workers, &worker, &file))
            (void)rpi_oob_master_add(channel, worker, file);
        now = rpi_now();
        if (now > deadline)
            status = is_absent(side, rank);
        else if (side->gate.error)
            status = rpi_files_error("rank 0's side channel", side->gate.error);
        else if (channel->joined < channel->workers)
            (void)poll(&look, 1, 1); /* MPI wants to be asked too */
    }
    rpi_oob_listener_close(&side->gate, &side->opening->log);
    return status;
}

/* ---- a worker */

static rp_status join(struct rpi_oob_setup *base, const struct rpi_handshake_gate_place *place)
{
    const struct rpi_oob_setup_mpi *side = RPI_MEMBER(base, struct rpi_oob_setup_mpi, base);
    const struct rpi_handshake *opening = side->opening;
    struct rpi_oob_worker *oob = rpi_transport_mpi_oob(opening->transport);
    oob->host_timeout = place->host_timeout * 1e-3;
    return rpi_oob_worker_open(oob, place->ip, place->port, place->token, opening->rank,
                               place->beat * 1e-3, opening->timeout);
}

void rpi_oob_setup_prepare(struct rpi_oob_setup_mpi *side, struct rpi_handshake *opening)
{
    *side = (struct rpi_oob_setup_mpi){
        .base = { .open = open_gate, .gather = gather, .join = join }, .opening = opening
    };
    side->gate.listener = -1;
    opening->side = &side->base;
}
