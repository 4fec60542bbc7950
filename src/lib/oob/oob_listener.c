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

rp_status rpi_oob_listener_open(struct rpi_oob_listener *listener, uint32_t ip)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip) };
    socklen_t size = sizeof address;
    *listener = (struct rpi_oob_listener){ .listener = -1, .ip = ip };
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++)
        listener->visitors[i].file = -1;
    if (getrandom(listener->token, sizeof listener->token, 0) != (ssize_t)sizeof listener->token)
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
    listener->listener = file;
    listener->port = ntohs(address.sin_port);
    return RP_OK;
}

static void refuse(struct rpi_oob_listener *listener, struct rpi_oob_listener_visitor *visitor)
{
    rpi_private_close(visitor->file);
    visitor->file = -1;
    listener->refused++;
}

/* Reads what a visitor has said; true: it has proven itself, and *file is the caller's. */
static bool hear(struct rpi_oob_listener *listener, struct rpi_oob_listener_visitor *visitor,
                 double now, int most, int *worker, int *file)
{
    uint8_t bytes[RPI_OOB_PROOF_BYTES];
    int got = rpi_oob_socket_read(visitor->file, bytes, RPI_OOB_PROOF_BYTES - visitor->proof.used);
    enum rpi_oob_proof_state state = RPI_OOB_PROOF_WRONG;
    if (got >= 0)
        state = rpi_oob_proof_take(&visitor->proof, listener->token, most, bytes, (size_t)got,
                                   worker);
    if (state == RPI_OOB_PROOF_RIGHT) {
        *file = visitor->file;
        visitor->file = -1;
        return true;
    }
    if (state == RPI_OOB_PROOF_WRONG || now - visitor->since > PROVING)
        refuse(listener, visitor);
    return false;
}

/* A free place, or the oldest visitor's: a worker sends its token at once, and connects again if it
 * was closed in a crowd. */
static struct rpi_oob_listener_visitor *make_place(struct rpi_oob_listener *listener)
{
    struct rpi_oob_listener_visitor *place = &listener->visitors[0];
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++) {
        if (listener->visitors[i].file < 0)
            return &listener->visitors[i];
        if (listener->visitors[i].since < place->since)
            place = &listener->visitors[i];
    }
    refuse(listener, place);
    return place;
}

bool rpi_oob_listener_next(struct rpi_oob_listener *listener, double now, int most, int *worker,
                           int *file)
{
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++)
        if (listener->visitors[i].file >= 0 &&
            hear(listener, &listener->visitors[i], now, most, worker, file))
            return true;
    for (int i = 0; i < AT_ONCE && listener->listener >= 0; i++) {
        int new = rpi_private(
            accept4(listener->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (new < 0 && rpi_files_are_short(errno))
            listener->error = errno;
        if (new < 0)
            return false;
        struct rpi_oob_listener_visitor *visitor = make_place(listener);
        *visitor = (struct rpi_oob_listener_visitor){ .file = new, .since = now };
        if (hear(listener, visitor, now, most, worker, file))
            return true;
    }
    return false;
}

void rpi_oob_listener_close(struct rpi_oob_listener *listener, const struct rpi_log *log)
{
    char text[RPI_OOB_ADDRESS_BYTES];
    if (listener->listener < 0)
        return;
    for (int i = 0; i < RPI_OOB_LISTENER_VISITORS; i++)
        if (listener->visitors[i].file >= 0)
            refuse(listener, &listener->visitors[i]);
    rpi_private_close(listener->listener);
    listener->listener = -1;
    rpi_oob_address_text(listener->ip, listener->port, text);
    if (listener->refused)
        rpi_say(log, RP_LOG_WARNING,
                "%llu connections to %s that did not show the pool's token were closed",
                (unsigned long long)listener->refused, text);
}
