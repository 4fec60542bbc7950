/* Messages to bytes and back, bounds-checked; the format is in msg.h.  What comes from a peer never
 * reads past its end. */
#ifndef RPI_WIRE_H
#define RPI_WIRE_H

#include "base/bytes.h"
#include "base/status.h"
#include "proto/msg.h"
#include "proto/task.h"

#include <string.h>

/* The limit of attempts (starts that end with their worker or process) plus retries (after an
 * error): a start's number travels in a byte, and attempts 0 means three. */
#define RPI_STARTS_MOST 250

static inline bool rpi_wire_starts_fit(int64_t attempts, int64_t retries)
{
    return attempts >= 0 && retries >= 0 && attempts <= RPI_STARTS_MOST &&
           retries <= RPI_STARTS_MOST - attempts;
}

/* A time limit above 0 as it travels, in nanoseconds: 0 would mean no limit. */
static inline uint64_t rpi_wire_limit_ns(double seconds)
{
    if (!(seconds < 1e9))
        return (uint64_t)1e18;
    return seconds > 1e-9 ? (uint64_t)(seconds * 1e9) : 1;
}

/* A frame, decoded. */
struct rpi_frame {
    uint64_t id;
    uint64_t number; /* of a task */
    uint64_t ran;    /* nanoseconds it ran or, of a task, may run; with RPI_FRAME_RAN */
    uint16_t function;
    uint8_t attempt;
    uint8_t flags;
    uint32_t length;
    uint32_t failures; /* of a chunk's result */
    struct rpi_chunk chunk;
    const uint8_t *payload; /* inside the batch; NULL with RPI_FRAME_LARGE */
};

/* ---- writing: into a buffer of `limit` bytes */
struct rpi_writer {
    uint8_t *base;
    uint32_t used, limit;
    uint16_t count;
    uint64_t next; /* the number the next frame has without saying so */
};

static inline uint32_t rpi_wire_padded(uint32_t size)
{
    return (size + 7U) & ~7U;
}

static inline void rpi_writer_open(struct rpi_writer *writer, void *buffer, uint32_t limit)
{
    *writer = (struct rpi_writer){ .base = buffer, .used = RPI_BATCH_HEADER, .limit = limit };
}

/* Bytes a frame takes, its payload inside unless `flags` say LARGE. */
static inline uint32_t rpi_frame_size(uint8_t flags, uint32_t length)
{
    uint32_t size = RPI_FRAME_HEADER;
    if (flags & RPI_FRAME_NUMBER)
        size += 8;
    if (flags & RPI_FRAME_RAN)
        size += 8;
    if (flags & RPI_FRAME_CHUNK)
        size += RPI_CHUNK_FIELDS;
    return flags & RPI_FRAME_LARGE ? size : size + rpi_wire_padded(length);
}

/* The longest payload that travels inside a batch of `limit` bytes, whatever flags its frame
 * has. */
static inline uint32_t rpi_wire_inline_limit(uint32_t limit)
{
    return (limit - RPI_BATCH_HEADER - RPI_FRAME_HEADER - 16 - RPI_CHUNK_FIELDS) & ~7U;
}

static inline bool rpi_writer_fits(const struct rpi_writer *writer, uint32_t frame_size)
{
    return frame_size <= writer->limit - writer->used && writer->count < UINT16_MAX;
}

/* Writes all of a frame but its payload and returns where that goes (with LARGE: nowhere).  It must
 * fit. */
static inline uint8_t *rpi_writer_frame(struct rpi_writer *writer, const struct rpi_frame *frame)
{
    uint8_t *at = writer->base + writer->used;
    writer->used += rpi_frame_size(frame->flags, frame->length);
    writer->count++;
    rpi_put64(at, frame->id);
    rpi_put16(at + 8, frame->function);
    at[10] = frame->attempt;
    at[11] = frame->flags;
    rpi_put32(at + 12, frame->length);
    at += RPI_FRAME_HEADER;
    if (frame->flags & RPI_FRAME_NUMBER) {
        rpi_put64(at, frame->number);
        at += 8;
    }
    if (frame->flags & RPI_FRAME_RAN) {
        rpi_put64(at, frame->ran);
        at += 8;
    }
    if (frame->flags & RPI_FRAME_CHUNK) {
        rpi_put32(at, frame->chunk.count);
        rpi_put32(at + 4, frame->failures);
        rpi_put32(at + 8, frame->chunk.in_size);
        rpi_put32(at + 12, frame->chunk.out_size);
        rpi_put64(at + 16, frame->chunk.first);
        at += RPI_CHUNK_FIELDS;
    }
    return at;
}

/* The epoch of all tasks of the batch, before its first frame; the kind is then RPI_SHARED_TASKS.
 * rpi_wire_inline_limit leaves room for it: no frame has all that it counts on. */
static inline void rpi_writer_epoch(struct rpi_writer *writer, uint64_t epoch)
{
    rpi_put64(writer->base + writer->used, epoch);
    writer->used += 8;
}

/* Copies a payload to where rpi_writer_frame said, with its padding. */
static inline void rpi_wire_put_payload(uint8_t *at, const void *payload, uint32_t length)
{
    if (length == 8) {
        memcpy(at, payload, 8);
        return;
    }
    if (length)
        memcpy(at, payload, length);
    memset(at + length, 0, rpi_wire_padded(length) - length);
}

/* Completes the batch; its size is writer->used. */
void rpi_writer_close(struct rpi_writer *writer, enum rpi_kind kind, uint64_t word);

/* ---- reading */
struct rpi_reader {
    const uint8_t *at, *end;
    uint64_t word;
    uint64_t next;
    uint64_t epoch; /* of tasks; else 0 */
    uint16_t left;  /* frames */
    enum rpi_kind kind;
};

/* RP_ERR_BROKEN, with a message, for what is no batch.  RPI_SHARED_TASKS is taken for RPI_TASKS. */
RP_MUST_USE rp_status rpi_reader_open(struct rpi_reader *reader, const void *data, size_t size);

#define rpi_reader_bad(what) rpi_error(RP_ERR_BROKEN, "a message is damaged: %s", what)

/* Decodes the next frame; call only while reader->left.  RP_ERR_BROKEN when it does not fit. */
RP_MUST_USE static inline rp_status rpi_reader_frame(struct rpi_reader *reader,
                                                     struct rpi_frame *frame)
{
    const uint8_t *at = reader->at;
    size_t room = (size_t)(reader->end - at);
    if (room < RPI_FRAME_HEADER)
        return rpi_reader_bad("a frame's header is cut off");
    frame->id = rpi_get64(at);
    frame->function = rpi_get16(at + 8);
    frame->attempt = at[10];
    frame->flags = at[11];
    frame->length = rpi_get32(at + 12);
    frame->number = reader->next;
    frame->failures = 0;
    if (frame->length > UINT32_MAX - 64 && !(frame->flags & RPI_FRAME_LARGE))
        return rpi_reader_bad("a frame is too long");
    uint32_t size = rpi_frame_size(frame->flags, frame->length);
    if (room < size)
        return rpi_reader_bad("a frame is cut off");
    reader->at = at + size;
    reader->left--;
    at += RPI_FRAME_HEADER;
    if (frame->flags & RPI_FRAME_NUMBER) {
        frame->number = rpi_get64(at);
        at += 8;
    }
    if (frame->flags & RPI_FRAME_RAN) {
        frame->ran = rpi_get64(at);
        at += 8;
    }
    reader->next = frame->number + 1;
    if (frame->flags & RPI_FRAME_CHUNK) {
        frame->chunk.count = rpi_get32(at);
        frame->failures = rpi_get32(at + 4);
        frame->chunk.in_size = rpi_get32(at + 8);
        frame->chunk.out_size = rpi_get32(at + 12);
        frame->chunk.first = rpi_get64(at + 16);
        at += RPI_CHUNK_FIELDS;
    }
    frame->payload = frame->flags & RPI_FRAME_LARGE ? NULL : at;
    return RP_OK;
}

/* ---- a message about shared data */
struct rpi_share_message {
    enum rpi_share_what what;
    int32_t fd;
    uint64_t version, size, token;
    int64_t pid;
    const char *name; /* not terminated when read */
    uint32_t length;  /* of the name, at most RPI_SHARE_NAME */
};
#define RPI_SHARE_NAME 255
#define RPI_SHARE_MOST (RPI_BATCH_HEADER + RPI_SHARE_FIELDS + 256) /* bytes of the longest */
/* Writes the whole message; its size. */
uint32_t rpi_share_put(uint8_t *to, const struct rpi_share_message *message);
/* Of a reader that has just been opened. */
RP_MUST_USE rp_status rpi_share_get(const struct rpi_reader *reader,
                                    struct rpi_share_message *message);

/* ---- a failure's payload; `message` of at most RPI_MESSAGE_MAX bytes without its end */
uint32_t rpi_failure_size(size_t message_length);
void rpi_failure_put(uint8_t *to, rp_status status, int code, const char *message,
                     size_t message_length);
/* `message` gets at most RPI_MESSAGE_MAX bytes and a zero. */
RP_MUST_USE rp_status rpi_failure_get(const uint8_t *from, size_t size, rp_status *status,
                                      int *code, char *message);

/* ---- the failures after a chunk's results */
struct rpi_item_failure {
    uint32_t item; /* in the chunk */
    rp_status status;
    int code;
    const char *message; /* not terminated */
    uint32_t length;
};
uint32_t rpi_item_failure_size(uint32_t message_length);
void rpi_item_failure_put(uint8_t *to, const struct rpi_item_failure *failure);
/* Reads the failure at *at and moves *at past it. */
RP_MUST_USE rp_status rpi_item_failure_get(const uint8_t **at, const uint8_t *end,
                                           struct rpi_item_failure *failure);

#endif
