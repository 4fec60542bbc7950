#include "proto/wire.h"

void rpi_writer_close(struct rpi_writer *writer, enum rpi_kind kind, uint64_t word)
{
    uint8_t *at = writer->base;
    at[0] = RPI_PROTOCOL;
    at[1] = (uint8_t)kind;
    rpi_put16(at + 2, writer->count);
    rpi_put32(at + 4, writer->used);
    rpi_put64(at + 8, word);
}

static rp_status read_epoch(struct rpi_reader *reader)
{
    if (reader->end - reader->at < 8)
        return rpi_reader_bad("its epoch is cut off");
    reader->epoch = rpi_get64(reader->at);
    reader->at += 8;
    reader->kind = RPI_TASKS;
    return RP_OK;
}

rp_status rpi_reader_open(struct rpi_reader *reader, const void *data, size_t size)
{
    const uint8_t *at = data;
    if (size < RPI_BATCH_HEADER)
        return rpi_reader_bad("it is shorter than its header");
    if (at[0] != RPI_PROTOCOL)
        return rpi_error(RP_ERR_BROKEN,
                         "a message has protocol version %d, this rank speaks %d: all ranks must "
                         "use one rankpool",
                         at[0], RPI_PROTOCOL);
    if (at[1] < RPI_TASKS || at[1] > RPI_RETURNED)
        return rpi_reader_bad("its kind is unknown");
    if (rpi_get32(at + 4) != size)
        return rpi_reader_bad("its size is not what it says");
    reader->kind = (enum rpi_kind)at[1];
    reader->left = rpi_get16(at + 2);
    reader->word = reader->next = rpi_get64(at + 8);
    reader->at = at + RPI_BATCH_HEADER;
    reader->end = at + size;
    reader->epoch = 0;
    return reader->kind == RPI_SHARED_TASKS ? read_epoch(reader) : RP_OK;
}

uint32_t rpi_share_put(uint8_t *to, const struct rpi_share_message *message)
{
    struct rpi_writer writer;
    uint8_t *at = to + RPI_BATCH_HEADER;
    rpi_writer_open(&writer, to, RPI_SHARE_MOST);
    rpi_put32(at, (uint32_t)message->what);
    rpi_put32(at + 4, (uint32_t)message->fd);
    rpi_put64(at + 8, message->size);
    rpi_put64(at + 16, (uint64_t)message->pid);
    rpi_put64(at + 24, message->token);
    rpi_put32(at + 32, message->length);
    rpi_put32(at + 36, 0);
    rpi_wire_put_payload(at + RPI_SHARE_FIELDS, message->name, message->length);
    writer.used += RPI_SHARE_FIELDS + rpi_wire_padded(message->length);
    rpi_writer_close(&writer, RPI_SHARE, message->version);
    return writer.used;
}

rp_status rpi_share_get(const struct rpi_reader *reader, struct rpi_share_message *message)
{
    const uint8_t *at = reader->at;
    size_t room = (size_t)(reader->end - at);
    uint32_t what = room < RPI_SHARE_FIELDS ? 0 : rpi_get32(at);
    if (what < RPI_SHARE_NEW || what > RPI_SHARE_GONE)
        return rpi_reader_bad("what it says of shared data is cut off or unknown");
    uint32_t length = rpi_get32(at + 32);
    if (reader->left || length > RPI_SHARE_NAME ||
        room != RPI_SHARE_FIELDS + rpi_wire_padded(length))
        return rpi_reader_bad("the name of shared data is cut off");
    if (memchr(at + RPI_SHARE_FIELDS, 0, length))
        return rpi_reader_bad("the name of shared data has a zero in it");
    *message = (struct rpi_share_message){ .what = (enum rpi_share_what)what,
                                           .fd = (int32_t)rpi_get32(at + 4),
                                           .version = reader->word,
                                           .size = rpi_get64(at + 8),
                                           .pid = (int64_t)rpi_get64(at + 16),
                                           .token = rpi_get64(at + 24),
                                           .name = (const char *)at + RPI_SHARE_FIELDS,
                                           .length = length };
    return RP_OK;
}

/* A peer's number, taken for a failed task's status only if it is one. */
static rp_status status_of(uint32_t value)
{
    return value != RP_OK && value != RP_END && rpi_is_status(value) ? (rp_status)value
                                                                     : RP_ERR_TASK;
}

uint32_t rpi_failure_size(size_t message_length)
{
    return 8 + (uint32_t)message_length;
}

void rpi_failure_put(uint8_t *to, rp_status status, int code, const char *message,
                     size_t message_length)
{
    rpi_put32(to, (uint32_t)status);
    rpi_put32(to + 4, (uint32_t)code);
    memcpy(to + 8, message, message_length);
}

rp_status rpi_failure_get(const uint8_t *from, size_t size, rp_status *status, int *code,
                          char *message)
{
    if (size < 8)
        return rpi_reader_bad("a failure is cut off");
    size_t length = size - 8 > RPI_MESSAGE_MAX ? RPI_MESSAGE_MAX : size - 8;
    *status = status_of(rpi_get32(from));
    *code = (int)rpi_get32(from + 4);
    memcpy(message, from + 8, length);
    message[length] = '\0';
    return RP_OK;
}

uint32_t rpi_item_failure_size(uint32_t message_length)
{
    return RPI_CHUNK_FAILURE + rpi_wire_padded(message_length);
}

void rpi_item_failure_put(uint8_t *to, const struct rpi_item_failure *failure)
{
    rpi_put32(to, failure->item);
    rpi_put32(to + 4, (uint32_t)failure->status);
    rpi_put32(to + 8, (uint32_t)failure->code);
    rpi_put32(to + 12, failure->length);
    rpi_wire_put_payload(to + RPI_CHUNK_FAILURE, failure->message, failure->length);
}

rp_status rpi_item_failure_get(const uint8_t **at, const uint8_t *end,
                               struct rpi_item_failure *failure)
{
    size_t room = (size_t)(end - *at);
    if (room < RPI_CHUNK_FAILURE)
        return rpi_reader_bad("an item's failure is cut off");
    failure->item = rpi_get32(*at);
    failure->status = status_of(rpi_get32(*at + 4));
    failure->code = (int)rpi_get32(*at + 8);
    failure->length = rpi_get32(*at + 12);
    failure->message = (const char *)*at + RPI_CHUNK_FAILURE;
    if (failure->length > RPI_MESSAGE_MAX || rpi_item_failure_size(failure->length) > room)
        return rpi_reader_bad("an item's message is cut off");
    *at += rpi_item_failure_size(failure->length);
    return RP_OK;
}
