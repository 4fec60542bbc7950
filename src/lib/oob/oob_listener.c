#include "oob/oob_listener.h"

#include "base/files.h"
#include "base/private.h"
#include "base/status.h"
#include "oob/oob_address.h"
#include "oob/oob_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
#define PROVING 5.0 /* seconds for a proof, which comes with the first packet */
#define AT_ONCE 256 /* connections taken in one look */

static rp_status failed(const char *what)
{
    if (rpi_files_are_short(errno))
        return rpi_files_error("rank 0's side channel", errno);
    return rpi_error(RP_ERR_BROKEN, "rank 0's side channel: %s failed: %s", what, strerror(errno));
}

rp_status rpi_oob_listener_open(struct rpi_oob_listener *gate, uint32_t ip)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip) };
    socklen_t size = sizeof address;
    *gate = (struct rpi_oob_listener){ .listener = -1, .ip = ip };
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++)
        gate->visitors[i].file = -1;
    if (getrandom(gate->token, sizeof gate->token, 0) != (ssize_t)sizeof gate->token)
        return failed("getrandom");
    int file = rpi_private(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (file < 0)
        return failed("socket");
    rp_status status = RP_OK;
    if (bind(file, (const struct sockaddr *)&address, sizeof address) != 0)
        status = failed("bind");
    else if (listen(file, BACKLOG) != 0)
        status = failed("listen");
    else if (getsockname(file, (struct sockaddr *)&address, &size) != 0)
        status = failed("getsockname");
    if (status != RP_OK) {
        rpi_private_close(file);
        return status;
    }
    gate->listener = file;
    gate->port = ntohs(address.sin_port);
    return RP_OK;
}

static void refuse(struct rpi_oob_listener *gate, struct rpi_oob_listener_visitor *visitor)
{
    rpi_private_close(visitor->file);
    visitor->file = -1;
    gate->refused++;
}

/* Reads what a visitor has said; true: it has proven itself, and *file is the caller's. */
static bool hear(struct rpi_oob_listener *gate, struct rpi_oob_listener_visitor *visitor,
                 double now, int most, int *worker, int *file)
{
    uint8_t bytes[RPI_OOB_PROOF_BYTES];
    int got = rpi_oob_socket_read(visitor->file, bytes, RPI_OOB_PROOF_BYTES - visitor->proof.used);
    enum rpi_oob_proof_state state = RPI_OOB_PROOF_WRONG;
    if (got >= 0)
        state = rpi_oob_proof_take(&visitor->proof, gate->token, most, bytes, (size_t)got, worker);
    if (state == RPI_OOB_PROOF_RIGHT) {
        *file = visitor->file;
        visitor->file = -1;
        return true;
    }
    if (state == RPI_OOB_PROOF_WRONG || now - visitor->since > PROVING)
        refuse(gate, visitor);
    return false;
}

/* A free place, or the oldest visitor's: a worker sends its token at once, and connects again if it
 * was closed in a crowd. */
static struct rpi_oob_listener_visitor *make_place(struct rpi_oob_listener *gate)
{
    struct rpi_oob_listener_visitor *place = &gate->visitors[0];
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++) {
        if (gate->visitors[i].file < 0)
            return &gate->visitors[i];
        if (gate->visitors[i].since < place->since)
            place = &gate->visitors[i];
    }
    refuse(gate, place);
    return place;
}

bool rpi_oob_listener_next(struct rpi_oob_listener *gate, double now, int most, int *worker,
                           int *file)
{
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++)
        if (gate->visitors[i].file >= 0 && hear(gate, &gate->visitors[i], now, most, worker, file))
            return true;
    for (int i = 0; i < AT_ONCE && gate->listener >= 0; i++) {
        int new = rpi_private(accept4(gate->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (new < 0 && rpi_files_are_short(errno))
            gate->error = errno;
        if (new < 0)
            return false;
        struct rpi_oob_listener_visitor *visitor = make_place(gate);
        *visitor = (struct rpi_oob_listener_visitor){ .file = new, .since = now };
        if (hear(gate, visitor, now, most, worker, file))
            return true;
    }
    return false;
}

void rpi_oob_listener_close(struct rpi_oob_listener *gate, const struct rpi_log *log)
{
    char text[RPI_OOB_ADDRESS_BYTES];
    if (gate->listener < 0)
        return;
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++)
        if (gate->visitors[i].file >= 0)
            refuse(gate, &gate->visitors[i]);
    rpi_private_close(gate->listener);
    gate->listener = -1;
    rpi_oob_address_text(gate->ip, gate->port, text);
    if (gate->refused)
        rpi_say(log, RP_LOG_WARNING,
                "%llu connections to %s that did not show the pool's token were closed",
                (unsigned long long)gate->refused, text);
}
