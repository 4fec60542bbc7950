#include "open/handshake_wire.h"

#include "base/hosts.h"
#include "base/status.h"
#include "proto/wire.h"

#include <string.h>
#include <unistd.h>

#define HELLO_FIXED  (RPI_BATCH_HEADER + 24)
#define GATE_FIELDS  (16 + RPI_OOB_TOKEN_BYTES)
#define VERDICT_TEXT (60 + GATE_FIELDS)

_Static_assert(RPI_HANDSHAKE_WIRE_VERDICT == RPI_BATCH_HEADER + VERDICT_TEXT, "one layout");

/* ---- parts of messages */

static uint8_t *put_text(uint8_t *at, const char *text, size_t most)
{
    size_t length = strlen(text);
    if (length > most)
        length = most;
    rpi_put16(at, (uint16_t)length);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the length goes before it */
    memcpy(at + 2, text, length);
    return at + 2 + length;
}

/* Reads a text into `text` of `size` bytes; NULL: it is cut off. */
static const uint8_t *get_text(const uint8_t *at, const uint8_t *end, char *text, size_t size)
{
    if (end - at < 2)
        return NULL;
    size_t length = rpi_get16(at);
    if ((size_t)(end - at - 2) < length)
        return NULL;
    size_t kept = length < size ? length : size - 1;
    memcpy(text, at + 2, kept);
    text[kept] = '\0';
    return at + 2 + length;
}

static size_t close_message(uint8_t *bytes, const uint8_t *end, enum rpi_kind kind)
{
    struct rpi_writer writer = { .base = bytes, .used = (uint32_t)(end - bytes) };
    rpi_writer_close(&writer, kind, 0);
    return writer.used;
}

static void put_isolation(uint8_t *at, const struct rpi_isolation *isolation)
{
    uint64_t grace;
    memcpy(&grace, &isolation->cancel_grace, sizeof grace);
    rpi_put32(at, isolation->fork);
    rpi_put64(at + 4, isolation->tasks_per_child);
    rpi_put64(at + 12, grace);
}

static bool get_isolation(const uint8_t *at, struct rpi_isolation *isolation)
{
    uint64_t grace = rpi_get64(at + 12);
    isolation->fork = rpi_get32(at);
    isolation->tasks_per_child = rpi_get64(at + 4);
    memcpy(&isolation->cancel_grace, &grace, sizeof grace);
    return isolation->cancel_grace >= 0;
}

static void put_gate(uint8_t *at, const struct rpi_handshake_gate_place *gate)
{
    rpi_put32(at, gate->ip);
    rpi_put32(at + 4, gate->port);
    rpi_put32(at + 8, gate->beat);
    rpi_put32(at + 12, gate->host_timeout);
    memcpy(at + 16, gate->token, sizeof gate->token);
}

static bool get_gate(const uint8_t *at, struct rpi_handshake_gate_place *gate)
{
    gate->ip = rpi_get32(at);
    gate->port = (uint16_t)rpi_get32(at + 4);
    gate->beat = rpi_get32(at + 8);
    gate->host_timeout = rpi_get32(at + 12);
    memcpy(gate->token, at + 16, sizeof gate->token);
    double seconds = gate->host_timeout * 1e-3;
    return !gate->port || (seconds >= RPI_HOST_TIMEOUT_LEAST && seconds <= RPI_HOST_TIMEOUT_MOST);
}

/* ---- a rank's hello */

size_t rpi_handshake_wire_put_hello(const struct rpi_handshake *opening, uint8_t *bytes)
{
    char host[RPI_HOST_BYTES] = "";
    const struct rpi_registry *registry = opening->registry;
    uint8_t *at = bytes + RPI_BATCH_HEADER, *end = bytes + sizeof opening->hello;
    (void)gethostname(host, sizeof host - 1);
    rpi_put64(at, registry->hash);
    rpi_put64(at + 8, (uint64_t)getpid());
    rpi_put32(at + 16, (uint32_t)opening->status);
    rpi_put32(at + 20, registry->count);
    at = put_text(at + 24, host, sizeof host);
    at = put_text(at, opening->status == RP_OK ? "" : rp_error_message(), 1000);
    for (uint32_t i = 0; i < registry->count; i++) {
        size_t size = strlen(registry->names[i]) + 1;
        if ((size_t)(end - at) < size)
            break;
        memcpy(at, registry->names[i], size);
        at += size;
    }
    return close_message(bytes, at, RPI_HELLO);
}

bool rpi_handshake_wire_get_hello(const uint8_t *at, const uint8_t *end,
                                  struct rpi_handshake_wire_hello *hello)
{
    if (end - at < HELLO_FIXED - RPI_BATCH_HEADER)
        return false;
    uint32_t status = rpi_get32(at + 16);
    hello->hash = rpi_get64(at);
    hello->pid = (int64_t)rpi_get64(at + 8);
    hello->functions = rpi_get32(at + 20);
    at = get_text(at + 24, end, hello->host, sizeof hello->host);
    if (at)
        at = get_text(at, end, hello->message, sizeof hello->message);
    if (!at || !rpi_is_status(status))
        return false;
    hello->status = (rp_status)status;
    hello->names = at;
    hello->end = end;
    return true;
}

/* ---- rank 0's verdict */

size_t rpi_handshake_wire_put_verdict(const struct rpi_handshake *opening, rp_status status,
                                      const char *message, int rank, int crowd, uint8_t *bytes)
{
    uint8_t *at = bytes + RPI_BATCH_HEADER;
    rpi_put32(at, (uint32_t)status);
    rpi_put32(at + 4, (uint32_t)opening->workers);
    rpi_put32(at + 8, opening->batch_limit);
    rpi_put32(at + 12, (uint32_t)crowd);
    rpi_put64(at + 16, opening->seed);
    rpi_put32(at + 24, opening->initializer);
    rpi_put32(at + 28, (uint32_t)opening->init_arg.size);
    rpi_put32(at + 32, (opening->together ? 1U : 0U) | (opening->attended ? 2U : 0U));
    put_isolation(at + 36, &opening->isolation);
    rpi_put32(at + 56, (uint32_t)(rank + opening->shift));
    put_gate(at + 60, &opening->gate);
    at = put_text(at + VERDICT_TEXT, message, RPI_HANDSHAKE_WIRE_MESSAGE);
    return close_message(bytes, at, RPI_VERDICT);
}

bool rpi_handshake_wire_get_verdict(const uint8_t *at, const uint8_t *end,
                                    struct rpi_handshake *opening, rp_status *status, char *message,
                                    size_t size)
{
    if (end - at < RPI_HANDSHAKE_WIRE_VERDICT - RPI_BATCH_HEADER ||
        !get_text(at + VERDICT_TEXT, end, message, size))
        return false;
    uint32_t limit = rpi_get32(at + 8), verdict = rpi_get32(at), initializer = rpi_get32(at + 24);
    if (!rpi_is_status(verdict) || (verdict != RP_OK && !message[0]) ||
        (verdict == RP_OK &&
         (limit < RPI_BATCH_MIN || limit > RPI_BATCH_MAX || !get_gate(at + 60, &opening->gate) ||
          !get_isolation(at + 36, &opening->isolation) ||
          (initializer != RPI_NO_FUNCTION && initializer >= opening->registry->count))))
        return false;
    *status = (rp_status)verdict;
    opening->workers = (int)rpi_get32(at + 4);
    opening->batch_limit = limit;
    opening->crowd = (int)rpi_get32(at + 12);
    opening->seed = rpi_get64(at + 16);
    opening->initializer = (uint16_t)initializer;
    opening->init_arg.size = rpi_get32(at + 28);
    opening->together = rpi_get32(at + 32) & 1;
    opening->attended = rpi_get32(at + 32) & 2;
    opening->number = (int)rpi_get32(at + 56);
    return true;
}
