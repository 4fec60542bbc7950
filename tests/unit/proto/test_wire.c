/* Messages to bytes and back: the bytes of this protocol version, round trips, and what damaged
 * bytes do. */
#include "harness.h"
#include "memory.h"
#include "proto/wire.h"

#include <stdlib.h>

#define WORD8(a, b, c, d, e, f, g, h) 0x##a, 0x##b, 0x##c, 0x##d, 0x##e, 0x##f, 0x##g, 0x##h

/* ---- golden bytes; they change only together with RPI_PROTOCOL */

static const uint8_t golden_tasks[] = {
    WORD8(02, 01, 04, 00, 80, 00, 00, 00), /* version 2, TASKS, 4 frames, 128 bytes */
    WORD8(07, 00, 00, 00, 00, 00, 00, 01), /* the first's number */
    WORD8(08, 07, 06, 05, 04, 03, 02, 01), /* id */
    WORD8(34, 12, 01, 00, 08, 00, 00, 00), /* function, attempt 1, no flags, 8 bytes */
    WORD8(11, 22, 33, 44, 55, 66, 77, 88), /* payload */
    WORD8(02, 00, 00, 00, 00, 00, 00, 00), /* id */
    WORD8(00, 00, FA, 02, 03, 00, 00, 00), /* attempt 250, NUMBER, 3 bytes */
    WORD8(2A, 00, 00, 00, 00, 00, 00, 00), /* number 42 */
    WORD8(61, 62, 63, 00, 00, 00, 00, 00), /* "abc", padded */
    WORD8(FF, FF, FF, FF, FF, FF, FF, FF), /* id */
    WORD8(FE, FF, 01, 09, 00, 00, 00, 40), /* LARGE | CHUNK, 1 GiB */
    WORD8(00, 00, 10, 00, 00, 00, 00, 00), /* 2^20 items, no failures */
    WORD8(00, 04, 00, 00, 05, 00, 00, 00), /* in_size 1024, out_size 5 */
    WORD8(00, 00, 00, 00, 01, 00, 00, 00), /* from 2^32 on */
    WORD8(03, 00, 00, 00, 00, 00, 00, 00), /* id */
    WORD8(00, 00, 01, 00, 00, 00, 00, 00), /* no payload */
};
#define GOLDEN_FRAMES 4

static const uint8_t golden_results[] = {
    WORD8(02, 02, 03, 00, A0, 00, 00, 00), /* version 2, RESULTS, 3 frames, 160 bytes */
    WORD8(DC, 05, 00, 00, 00, 00, 00, 00), /* 1500 ns each */
    WORD8(01, 00, 00, 00, 01, 00, 00, 00), /* id */
    WORD8(05, 00, 01, 00, 02, 00, 00, 00), /* 2 bytes */
    WORD8(68, 69, 00, 00, 00, 00, 00, 00), /* "hi" */
    WORD8(02, 00, 00, 00, 01, 00, 00, 00), /* id */
    WORD8(05, 00, 03, 14, 0A, 00, 00, 00), /* attempt 3, RAN | FAILED, 10 bytes */
    WORD8(15, CD, 5B, 07, 00, 00, 00, 00), /* 123456789 ns */
    WORD8(1E, 00, 00, 00, F9, FF, FF, FF), /* RP_ERR_TASK, code -7 */
    WORD8(6E, 6F, 00, 00, 00, 00, 00, 00), /* "no" */
    WORD8(03, 00, 00, 00, 01, 00, 00, 00), /* id */
    WORD8(05, 00, 01, 0C, 20, 00, 00, 00), /* RAN | CHUNK, 32 bytes */
    WORD8(01, 00, 00, 00, 00, 00, 00, 00), /* 1 ns */
    WORD8(02, 00, 00, 00, 01, 00, 00, 00), /* 2 items, 1 failure */
    WORD8(04, 00, 00, 00, 03, 00, 00, 00), /* in_size 4, out_size 3 */
    WORD8(00, 00, 00, 00, 00, 00, 00, 00), /* from 0 on */
    WORD8(61, 62, 63, 64, 65, 66, 00, 00), /* "abcdef", padded */
    WORD8(01, 00, 00, 00, 0E, 00, 00, 00), /* item 1, RP_ERR_SIZE */
    WORD8(FF, FF, FF, FF, 03, 00, 00, 00), /* code -1, 3 bytes */
    WORD8(62, 61, 64, 00, 00, 00, 00, 00), /* "bad" */
};

static const uint8_t golden_recall[] = {
    WORD8(02, 0A, 00, 00, 10, 00, 00, 00), /* version 2, RECALL, no frames, 16 bytes */
    WORD8(00, 00, 00, 00, 00, 00, 00, 00),
};

static const uint8_t golden_returned[] = {
    WORD8(02, 0B, 02, 00, 30, 00, 00, 00), /* version 2, RETURNED, 2 frames, 48 bytes */
    WORD8(00, 00, 00, 00, 00, 00, 00, 00), WORD8(08, 07, 06, 05, 04, 03, 02, 01), /* id */
    WORD8(00, 00, 01, 00, 00, 00, 00, 00),                                        /* attempt 1 */
    WORD8(09, 00, 00, 00, 01, 00, 00, 00),                                        /* id */
    WORD8(00, 00, FA, 00, 00, 00, 00, 00),                                        /* attempt 250 */
};

static const uint8_t golden_cut[] = {
    WORD8(02, 0B, 01, 00, 38, 00, 00, 00), /* version 2, RETURNED, 1 frame, 56 bytes */
    WORD8(00, 00, 00, 00, 00, 00, 00, 00), WORD8(08, 07, 06, 05, 04, 03, 02, 01), /* id */
    WORD8(00, 00, 01, 08, 00, 00, 00, 00), /* attempt 1, CHUNK */
    WORD8(03, 00, 00, 00, 00, 00, 00, 00), /* it keeps 3 items */
    WORD8(00, 00, 00, 00, 00, 00, 00, 00), WORD8(00, 00, 00, 00, 00, 00, 00, 00),
};

static const uint8_t golden_failure[] = { WORD8(1E, 00, 00, 00, F9, FF, FF, FF), 'n', 'o' };

static const uint8_t golden_item_failure[] = {
    WORD8(01, 00, 00, 00, 0E, 00, 00, 00), /* item 1, RP_ERR_SIZE */
    WORD8(FF, FF, FF, FF, 03, 00, 00, 00), /* code -1, 3 bytes */
    WORD8(62, 61, 64, 00, 00, 00, 00, 00), /* "bad" */
};

static struct rpi_frame task_frame(int i)
{
    const struct rpi_frame frames[GOLDEN_FRAMES] = {
        { .id = 0x0102030405060708,
          .function = 0x1234,
          .attempt = 1,
          .length = 8,
          .number = 0x0100000000000007 },
        { .id = 2, .attempt = 250, .flags = RPI_FRAME_NUMBER, .length = 3, .number = 42 },
        { .id = UINT64_MAX,
          .function = 0xFFFE,
          .attempt = 1,
          .flags = RPI_FRAME_LARGE | RPI_FRAME_CHUNK,
          .length = 1U << 30,
          .number = 43,
          .chunk = { .count = 1U << 20,
                     .in_size = 1024,
                     .out_size = 5,
                     .first = (uint64_t)1 << 32 } },
        { .id = 3, .attempt = 1, .number = 44 },
    };
    return frames[i];
}

/* Returns the size. */
static uint32_t write_tasks(uint8_t *bytes, uint32_t room)
{
    static const uint8_t first[] = { WORD8(11, 22, 33, 44, 55, 66, 77, 88) };
    const void *payloads[GOLDEN_FRAMES] = { first, "abc", NULL, "" };
    struct rpi_writer writer;
    rpi_writer_open(&writer, bytes, room);
    for (int i = 0; i < GOLDEN_FRAMES; i++) {
        struct rpi_frame frame = task_frame(i);
        uint8_t *at = rpi_writer_frame(&writer, &frame);
        if (!(frame.flags & RPI_FRAME_LARGE))
            rpi_wire_put_payload(at, payloads[i], frame.length);
    }
    rpi_writer_close(&writer, RPI_TASKS, task_frame(0).number);
    return writer.used;
}

static void writes_golden_tasks(void)
{
    uint8_t bytes[256];
    memset(bytes, 0x77, sizeof bytes); /* padding is written, not left */
    CU_ASSERT_EQUAL_FATAL(write_tasks(bytes, sizeof bytes), sizeof golden_tasks);
    CU_ASSERT_EQUAL(memcmp(bytes, golden_tasks, sizeof golden_tasks), 0);
}

static void check_task(const struct rpi_frame *frame, int i)
{
    struct rpi_frame expected = task_frame(i);
    CU_ASSERT_EQUAL(frame->id, expected.id);
    CU_ASSERT_EQUAL(frame->number, expected.number);
    CU_ASSERT_EQUAL(frame->function, expected.function);
    CU_ASSERT_EQUAL(frame->attempt, expected.attempt);
    CU_ASSERT_EQUAL(frame->flags, expected.flags);
    CU_ASSERT_EQUAL(frame->length, expected.length);
    CU_ASSERT_EQUAL(frame->failures, 0);
    if (frame->flags & RPI_FRAME_CHUNK) {
        CU_ASSERT_EQUAL(frame->chunk.count, expected.chunk.count);
        CU_ASSERT_EQUAL(frame->chunk.in_size, expected.chunk.in_size);
        CU_ASSERT_EQUAL(frame->chunk.out_size, expected.chunk.out_size);
        CU_ASSERT_EQUAL(frame->chunk.first, expected.chunk.first);
    }
}

/* A number counts on from the frame before, also from one that says its own. */
static void reads_golden_tasks(void)
{
    struct rpi_reader reader;
    struct rpi_frame frame;
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, golden_tasks, sizeof golden_tasks), RP_OK);
    CU_ASSERT_EQUAL(reader.kind, RPI_TASKS);
    CU_ASSERT_EQUAL(reader.word, 0x0100000000000007);
    for (int i = 0; i < GOLDEN_FRAMES; i++) {
        CU_ASSERT_EQUAL_FATAL(reader.left, GOLDEN_FRAMES - i);
        CU_ASSERT_EQUAL_FATAL(rpi_reader_frame(&reader, &frame), RP_OK);
        check_task(&frame, i);
        CU_ASSERT_EQUAL(frame.payload == NULL, i == 2);
    }
    CU_ASSERT_PTR_EQUAL(reader.at, reader.end);
}

static uint32_t write_results(uint8_t *bytes, uint32_t room)
{
    struct rpi_writer writer;
    struct rpi_frame hi = { .id = 0x100000001, .function = 5, .attempt = 1, .length = 2 };
    struct rpi_frame no = {
        .id = 0x100000002, .function = 5, .attempt = 3, .flags = RPI_FRAME_RAN | RPI_FRAME_FAILED
    };
    struct rpi_frame chunk = {
        .id = 0x100000003, .function = 5, .attempt = 1, .flags = RPI_FRAME_RAN | RPI_FRAME_CHUNK
    };
    struct rpi_item_failure bad = {
        .item = 1, .status = RP_ERR_SIZE, .code = -1, .message = "bad", .length = 3
    };
    rpi_writer_open(&writer, bytes, room);
    rpi_wire_put_payload(rpi_writer_frame(&writer, &hi), "hi", 2);
    no.ran = 123456789;
    no.length = rpi_failure_size(2);
    uint8_t *at = rpi_writer_frame(&writer, &no);
    memset(at, 0, rpi_wire_padded(no.length));
    rpi_failure_put(at, RP_ERR_TASK, -7, "no", 2);
    chunk.ran = 1;
    chunk.failures = 1;
    chunk.chunk = (struct rpi_chunk){ .count = 2, .in_size = 4, .out_size = 3 };
    chunk.length = 8 + rpi_item_failure_size(3);
    at = rpi_writer_frame(&writer, &chunk);
    rpi_wire_put_payload(at, "abcdef", 6);
    rpi_item_failure_put(at + 8, &bad);
    rpi_writer_close(&writer, RPI_RESULTS, 1500);
    return writer.used;
}

static void writes_golden_results(void)
{
    uint8_t bytes[256];
    CU_ASSERT_EQUAL_FATAL(write_results(bytes, sizeof bytes), sizeof golden_results);
    CU_ASSERT_EQUAL(memcmp(bytes, golden_results, sizeof golden_results), 0);
}

static uint32_t write_returned(uint8_t *bytes, uint32_t room)
{
    const struct rpi_frame frames[] = { { .id = 0x0102030405060708, .attempt = 1 },
                                        { .id = 0x0100000009, .attempt = 250 } };
    struct rpi_writer writer;
    rpi_writer_open(&writer, bytes, room);
    for (int i = 0; i < 2; i++)
        (void)rpi_writer_frame(&writer, &frames[i]);
    rpi_writer_close(&writer, RPI_RETURNED, 0);
    return writer.used;
}

static void golden_recall_and_return(void)
{
    uint8_t bytes[64];
    struct rpi_writer writer;
    struct rpi_reader reader;
    struct rpi_frame frame;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    rpi_writer_close(&writer, RPI_RECALL, 0);
    CU_ASSERT_EQUAL_FATAL(writer.used, sizeof golden_recall);
    CU_ASSERT_EQUAL(memcmp(bytes, golden_recall, sizeof golden_recall), 0);
    CU_ASSERT_EQUAL_FATAL(write_returned(bytes, sizeof bytes), sizeof golden_returned);
    CU_ASSERT_EQUAL(memcmp(bytes, golden_returned, sizeof golden_returned), 0);
    CU_ASSERT_EQUAL(rpi_reader_open(&reader, golden_returned, sizeof golden_returned), RP_OK);
    CU_ASSERT_TRUE(reader.kind == RPI_RETURNED && reader.left == 2);
    CU_ASSERT_EQUAL(rpi_reader_frame(&reader, &frame), RP_OK);
    CU_ASSERT_TRUE(frame.id == 0x0102030405060708 && frame.attempt == 1 && frame.flags == 0 &&
                   frame.length == 0);
    CU_ASSERT_EQUAL(rpi_reader_frame(&reader, &frame), RP_OK);
    CU_ASSERT_TRUE(frame.id == 0x0100000009 && frame.attempt == 250);
    CU_ASSERT_PTR_EQUAL(reader.at, reader.end);
    const struct rpi_frame kept = {
        .id = 0x0102030405060708, .attempt = 1, .flags = RPI_FRAME_CHUNK, .chunk.count = 3
    };
    rpi_writer_open(&writer, bytes, sizeof bytes);
    (void)rpi_writer_frame(&writer, &kept);
    rpi_writer_close(&writer, RPI_RETURNED, 0);
    CU_ASSERT_EQUAL_FATAL(writer.used, sizeof golden_cut);
    CU_ASSERT_EQUAL(memcmp(bytes, golden_cut, sizeof golden_cut), 0);
    CU_ASSERT_EQUAL(rpi_reader_open(&reader, golden_cut, sizeof golden_cut), RP_OK);
    CU_ASSERT_EQUAL(rpi_reader_frame(&reader, &frame), RP_OK);
    CU_ASSERT_TRUE(frame.flags == RPI_FRAME_CHUNK && frame.chunk.count == 3 &&
                   frame.chunk.first == 0);
    CU_ASSERT_PTR_EQUAL(reader.at, reader.end);
}

static void golden_failures(void)
{
    uint8_t bytes[64];
    char message[RPI_MESSAGE_MAX + 1];
    struct rpi_item_failure failure = {
        .item = 1, .status = RP_ERR_SIZE, .code = -1, .message = "bad", .length = 3
    };
    rp_status status;
    int code;
    CU_ASSERT_EQUAL(rpi_failure_size(2), sizeof golden_failure);
    rpi_failure_put(bytes, RP_ERR_TASK, -7, "no", 2);
    CU_ASSERT_EQUAL(memcmp(bytes, golden_failure, sizeof golden_failure), 0);
    CU_ASSERT_EQUAL(rpi_failure_get(golden_failure, sizeof golden_failure, &status, &code, message),
                    RP_OK);
    CU_ASSERT_EQUAL(status, RP_ERR_TASK);
    CU_ASSERT_EQUAL(code, -7);
    CU_ASSERT_STRING_EQUAL(message, "no");
    memset(bytes, 0x77, sizeof bytes);
    rpi_item_failure_put(bytes, &failure);
    CU_ASSERT_EQUAL(rpi_item_failure_size(3), sizeof golden_item_failure);
    CU_ASSERT_EQUAL(memcmp(bytes, golden_item_failure, sizeof golden_item_failure), 0);
    const uint8_t *at = golden_item_failure;
    memset(&failure, 0, sizeof failure);
    CU_ASSERT_EQUAL(rpi_item_failure_get(&at, at + sizeof golden_item_failure, &failure), RP_OK);
    CU_ASSERT_PTR_EQUAL(at, golden_item_failure + sizeof golden_item_failure);
    CU_ASSERT_EQUAL(failure.item, 1);
    CU_ASSERT_EQUAL(failure.status, RP_ERR_SIZE);
    CU_ASSERT_EQUAL(failure.code, -1);
    CU_ASSERT_EQUAL(failure.length, 3);
    CU_ASSERT_EQUAL(memcmp(failure.message, "bad", 3), 0);
}

/* ---- sizes */

static void frame_sizes(void)
{
    static const uint8_t flags[] = { 0,
                                     RPI_FRAME_NUMBER,
                                     RPI_FRAME_RAN,
                                     RPI_FRAME_CHUNK,
                                     RPI_FRAME_LARGE,
                                     RPI_FRAME_RAN | RPI_FRAME_CHUNK | RPI_FRAME_FAILED,
                                     RPI_FRAME_LARGE | RPI_FRAME_NUMBER | RPI_FRAME_CHUNK };
    static const uint32_t base[] = { 16, 24, 24, 40, 16, 48, 48 };
    for (size_t i = 0; i < sizeof flags; i++)
        for (uint32_t length = 0; length < 20; length++) {
            uint8_t bytes[128];
            struct rpi_writer writer;
            struct rpi_frame frame = { .flags = flags[i], .length = length };
            uint32_t padded = (length + 7) / 8 * 8,
                     size = base[i] + (flags[i] & RPI_FRAME_LARGE ? 0 : padded);
            CU_ASSERT_EQUAL(rpi_frame_size(flags[i], length), size);
            rpi_writer_open(&writer, bytes, sizeof bytes);
            uint8_t *at = rpi_writer_frame(&writer, &frame);
            CU_ASSERT_EQUAL(writer.used, RPI_BATCH_HEADER + size);
            CU_ASSERT_PTR_EQUAL(at, bytes + RPI_BATCH_HEADER + base[i]);
        }
}

static void fits_to_the_last_byte(void)
{
    uint8_t bytes[RPI_BATCH_MIN];
    struct rpi_writer writer;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    uint32_t room = sizeof bytes - RPI_BATCH_HEADER;
    CU_ASSERT_TRUE(rpi_writer_fits(&writer, room));
    CU_ASSERT_FALSE(rpi_writer_fits(&writer, room + 1));
    uint32_t limit = rpi_wire_inline_limit(sizeof bytes);
    uint8_t all = RPI_FRAME_NUMBER | RPI_FRAME_RAN | RPI_FRAME_CHUNK | RPI_FRAME_FAILED;
    CU_ASSERT_TRUE(rpi_writer_fits(&writer, rpi_frame_size(all, limit)));
    CU_ASSERT_FALSE(rpi_writer_fits(&writer, rpi_frame_size(all, limit + 8)));
    CU_ASSERT_TRUE(rpi_failure_size(RPI_MESSAGE_MAX) <= limit); /* a failure never travels alone */
    writer.count = UINT16_MAX;
    CU_ASSERT_FALSE(rpi_writer_fits(&writer, 16));
}

/* ---- random batches there and back */

static uint64_t random_number(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33 ^ *state << 20;
}

static struct rpi_frame random_frame(uint64_t *state)
{
    struct rpi_frame frame = { .id = random_number(state),
                               .function = (uint16_t)random_number(state) };
    frame.attempt = (uint8_t)random_number(state);
    frame.flags = (uint8_t)(random_number(state) &
                            (RPI_FRAME_LARGE | RPI_FRAME_NUMBER | RPI_FRAME_CHUNK));
    frame.length = (uint32_t)(random_number(state) %
                              (frame.flags & RPI_FRAME_LARGE ? UINT32_MAX - 64 : 200));
    if (frame.flags & RPI_FRAME_NUMBER)
        frame.number = random_number(state);
    if (frame.flags & RPI_FRAME_CHUNK) {
        frame.failures = (uint32_t)random_number(state);
        frame.chunk = (struct rpi_chunk){ .count = (uint32_t)random_number(state),
                                          .in_size = (uint32_t)random_number(state),
                                          .out_size = (uint32_t)random_number(state),
                                          .first = random_number(state) };
    }
    return frame;
}

static bool same_frame(const struct rpi_frame *a, const struct rpi_frame *b)
{
    bool same = a->id == b->id && a->function == b->function && a->attempt == b->attempt &&
                a->flags == b->flags && a->length == b->length;
    if (a->flags & RPI_FRAME_NUMBER)
        same = same && a->number == b->number;
    if (a->flags & RPI_FRAME_CHUNK)
        same = same && a->failures == b->failures && a->chunk.count == b->chunk.count &&
               a->chunk.in_size == b->chunk.in_size && a->chunk.out_size == b->chunk.out_size &&
               a->chunk.first == b->chunk.first;
    return same;
}

static bool there_and_back(uint64_t seed)
{
    uint8_t bytes[RPI_BATCH_DEFAULT], payload[200];
    uint64_t state = seed, again = seed;
    struct rpi_writer writer;
    struct rpi_reader reader;
    int count = 0;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    for (;; count++) {
        struct rpi_frame frame = random_frame(&state);
        if (!rpi_writer_fits(&writer, rpi_frame_size(frame.flags, frame.length)))
            break;
        memset(payload, (int)frame.id, sizeof payload);
        uint8_t *at = rpi_writer_frame(&writer, &frame);
        if (!(frame.flags & RPI_FRAME_LARGE))
            rpi_wire_put_payload(at, payload, frame.length);
    }
    rpi_writer_close(&writer, RPI_TASKS, seed);
    if (rpi_reader_open(&reader, bytes, writer.used) != RP_OK || reader.left != count ||
        reader.word != seed)
        return false;
    for (int i = 0; i < count; i++) {
        struct rpi_frame frame, expected = random_frame(&again);
        if (rpi_reader_frame(&reader, &frame) != RP_OK || !same_frame(&frame, &expected))
            return false;
        memset(payload, (int)frame.id, sizeof payload);
        if (frame.payload && memcmp(frame.payload, payload, frame.length) != 0)
            return false;
    }
    return reader.at == reader.end && count > 5;
}

static void random_round_trips(void)
{
    int wrong = 0;
    for (uint64_t seed = 1; seed <= 2000; seed++)
        wrong += !there_and_back(seed);
    CU_ASSERT_EQUAL(wrong, 0);
}

/* ---- damage */

static uint64_t touch(const uint8_t *bytes, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

static uint64_t read_chunk_failures(const struct rpi_frame *frame)
{
    const uint8_t *end = frame->payload + frame->length;
    uint64_t before = ((uint64_t)frame->chunk.count * frame->chunk.out_size + 7) & ~(uint64_t)7;
    uint64_t sum = 0;
    if (before > frame->length)
        return 0;
    const uint8_t *at = frame->payload + before;
    for (uint32_t i = 0; i < frame->failures; i++) {
        struct rpi_item_failure failure;
        if (rpi_item_failure_get(&at, end, &failure) != RP_OK)
            break;
        sum += touch((const uint8_t *)failure.message, failure.length);
    }
    return sum;
}

/* Reads all that a batch says it has, as the engines do; returns how many frames were sound. */
static int read_all(const uint8_t *bytes, size_t size, uint64_t *sum)
{
    struct rpi_reader reader;
    struct rpi_frame frame;
    int frames = 0;
    if (rpi_reader_open(&reader, bytes, size) != RP_OK)
        return 0;
    for (; reader.left && rpi_reader_frame(&reader, &frame) == RP_OK; frames++) {
        char message[RPI_MESSAGE_MAX + 1];
        rp_status status;
        int code;
        if (!frame.payload)
            continue;
        *sum += touch(frame.payload, frame.length);
        if (frame.flags & RPI_FRAME_FAILED &&
            rpi_failure_get(frame.payload, frame.length, &status, &code, message) == RP_OK)
            *sum += strlen(message) + (uint64_t)code;
        else if (frame.flags & RPI_FRAME_CHUNK)
            *sum += read_chunk_failures(&frame);
    }
    return frames;
}

/* In a block of exactly this size, so that a sanitizer sees a read past its end.  Freed by free. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = test_zeroed(size);
    memcpy(copy, bytes, size);
    return copy;
}

static int read_exact(const uint8_t *bytes, size_t size, uint64_t *sum)
{
    uint8_t *copy = exact_copy(bytes, size);
    int frames = read_all(copy, size, sum);
    free(copy);
    return frames;
}

static void every_truncation(void)
{
    uint8_t batches[2][256];
    uint32_t sizes[2] = { write_tasks(batches[0], 256), write_results(batches[1], 256) };
    static const int whole[2] = { 4, 3 };
    uint64_t sum = 0;
    for (int b = 0; b < 2; b++) {
        CU_ASSERT_EQUAL(read_exact(batches[b], sizes[b], &sum), whole[b]);
        for (uint32_t size = 0; size < sizes[b]; size++) {
            CU_ASSERT_EQUAL(read_exact(batches[b], size, &sum), 0); /* it says another size */
            rpi_put32(batches[b] + 4, size);
            CU_ASSERT_TRUE(read_exact(batches[b], size, &sum) < whole[b]);
            rpi_put32(batches[b] + 4, sizes[b]);
        }
    }
    CU_ASSERT_TRUE(sum > 0);
}

static void every_damaged_byte(void)
{
    uint8_t batches[2][256];
    uint32_t sizes[2] = { write_tasks(batches[0], 256), write_results(batches[1], 256) };
    uint64_t sum = 0, sound = 0;
    for (int b = 0; b < 2; b++)
        for (uint32_t at = 0; at < sizes[b]; at++) {
            uint8_t old = batches[b][at];
            for (int value = 0; value < 256; value++) {
                batches[b][at] = (uint8_t)value;
                sound += (uint64_t)read_exact(batches[b], sizes[b], &sum);
            }
            batches[b][at] = old;
        }
    CU_ASSERT_TRUE(sound > 10000); /* most bytes are payload or numbers of any value */
}

static void random_damage(void)
{
    uint8_t batch[256];
    uint64_t state = 1, sum = 0;
    int frames = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t size = i % 2 ? write_tasks(batch, 256) : write_results(batch, 256);
        for (int k = 0; k < 4; k++)
            batch[8 + random_number(&state) % (size - 8)] = (uint8_t)random_number(&state);
        frames += read_exact(batch, size, &sum);
    }
    CU_ASSERT_TRUE(frames > 1000);
}

static void failures_cut_off(void)
{
    char message[RPI_MESSAGE_MAX + 1];
    rp_status status;
    int code;
    for (size_t size = 0; size < sizeof golden_failure; size++) {
        uint8_t *copy = exact_copy(golden_failure, size);
        CU_ASSERT_EQUAL(rpi_failure_get(copy, size, &status, &code, message),
                        size < 8 ? RP_ERR_BROKEN : RP_OK);
        free(copy);
    }
    for (size_t size = 0; size < sizeof golden_item_failure; size++) {
        struct rpi_item_failure failure;
        uint8_t *copy = exact_copy(golden_item_failure, size);
        const uint8_t *at = copy;
        CU_ASSERT_EQUAL(rpi_item_failure_get(&at, copy + size, &failure), RP_ERR_BROKEN);
        CU_ASSERT_PTR_EQUAL(at, copy);
        free(copy);
    }
}

/* A peer's message is cut where ours would be. */
static void message_too_long(void)
{
    uint8_t bytes[8 + 2 * RPI_MESSAGE_MAX];
    char message[RPI_MESSAGE_MAX + 1];
    struct rpi_item_failure failure = {
        .item = 0, .status = RP_ERR_TASK, .message = "", .length = 0
    };
    rp_status status;
    int code;
    memset(bytes, 'x', sizeof bytes);
    CU_ASSERT_EQUAL(rpi_failure_get(bytes, sizeof bytes, &status, &code, message), RP_OK);
    CU_ASSERT_EQUAL(strlen(message), RPI_MESSAGE_MAX);
    rpi_item_failure_put(bytes, &failure);
    rpi_put32(bytes + 12, RPI_MESSAGE_MAX + 1);
    const uint8_t *at = bytes;
    CU_ASSERT_EQUAL(rpi_item_failure_get(&at, bytes + sizeof bytes, &failure), RP_ERR_BROKEN);
}

/* What a peer calls a status is one of ours, or a failed task. */
static void unknown_status(void)
{
    static const uint32_t values[] = { RP_OK, RP_END, 2, 29, 36, 1000, UINT32_MAX };
    uint8_t bytes[16] = { 0 };
    char message[RPI_MESSAGE_MAX + 1];
    rp_status status;
    int code;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        rpi_put32(bytes, values[i]);
        CU_ASSERT_EQUAL(rpi_failure_get(bytes, 8, &status, &code, message), RP_OK);
        CU_ASSERT_EQUAL(status, RP_ERR_TASK);
    }
    rpi_put32(bytes, RP_ERR_LOST);
    CU_ASSERT_EQUAL(rpi_failure_get(bytes, 8, &status, &code, message), RP_OK);
    CU_ASSERT_EQUAL(status, RP_ERR_LOST);
}

static void says(const uint8_t *bytes, size_t size, const char *words)
{
    struct rpi_reader reader;
    CU_ASSERT_EQUAL(rpi_reader_open(&reader, bytes, size), RP_ERR_BROKEN);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), words));
}

static void headers(void)
{
    uint8_t bytes[RPI_BATCH_HEADER];
    struct rpi_writer writer;
    struct rpi_reader reader;
    for (int kind = RPI_TASKS; kind <= RPI_RETURNED; kind++) {
        if (kind == RPI_SHARED_TASKS)
            continue; /* it is read as TASKS, after its epoch */
        rpi_writer_open(&writer, bytes, sizeof bytes);
        rpi_writer_close(&writer, (enum rpi_kind)kind, 0xAABB);
        CU_ASSERT_EQUAL(rpi_reader_open(&reader, bytes, sizeof bytes), RP_OK);
        CU_ASSERT_EQUAL(reader.kind, (enum rpi_kind)kind);
        CU_ASSERT_EQUAL(reader.word, 0xAABB);
        CU_ASSERT_EQUAL(reader.left, 0);
    }
    bytes[1] = 0;
    says(bytes, sizeof bytes, "kind");
    bytes[1] = RPI_RETURNED + 1;
    says(bytes, sizeof bytes, "kind");
    bytes[1] = RPI_TASKS;
    says(bytes, sizeof bytes - 1, "header");
    bytes[0] = RPI_PROTOCOL + 1;
    says(bytes, sizeof bytes, "protocol version 3, this rank speaks 2");
    bytes[0] = RPI_PROTOCOL;
    bytes[4]++;
    says(bytes, sizeof bytes, "size");
}

/* A length near 2^32 must not wrap round to a small one. */
static void huge_length(void)
{
    uint8_t bytes[256];
    uint32_t size = write_tasks(bytes, sizeof bytes);
    for (uint32_t length = UINT32_MAX; length > UINT32_MAX - 100; length--) {
        struct rpi_reader reader;
        struct rpi_frame frame;
        rpi_put32(bytes + RPI_BATCH_HEADER + 12, length);
        CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, bytes, size), RP_OK);
        CU_ASSERT_EQUAL(rpi_reader_frame(&reader, &frame), RP_ERR_BROKEN);
    }
}

/* A payload of its own may be as long as the length can say. */
static void longest_payload(void)
{
    uint8_t bytes[RPI_BATCH_HEADER + RPI_FRAME_HEADER + 8];
    struct rpi_writer writer;
    struct rpi_reader reader;
    const struct rpi_frame out = {
        .id = 1, .attempt = 1, .flags = RPI_FRAME_LARGE, .length = UINT32_MAX
    };
    struct rpi_frame in = { 0 };
    rpi_writer_open(&writer, bytes, sizeof bytes);
    CU_ASSERT_TRUE_FATAL(rpi_writer_fits(&writer, rpi_frame_size(out.flags, out.length)));
    (void)rpi_writer_frame(&writer, &out);
    rpi_writer_close(&writer, RPI_TASKS, 0);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, bytes, writer.used), RP_OK);
    CU_ASSERT_EQUAL(rpi_reader_frame(&reader, &in), RP_OK);
    CU_ASSERT_EQUAL(in.length, UINT32_MAX);
}

/* None becomes 0, which is no limit. */
static void time_limits(void)
{
    CU_ASSERT_EQUAL(rpi_wire_limit_ns(5e-324), 1);
    CU_ASSERT_EQUAL(rpi_wire_limit_ns(1e-12), 1);
    CU_ASSERT_EQUAL(rpi_wire_limit_ns(1.5), 1500000000);
    CU_ASSERT_EQUAL(rpi_wire_limit_ns(1e300), (uint64_t)1e18);
}

static CU_TestInfo bytes[] = { { "writes_golden_tasks", writes_golden_tasks },
                               { "reads_golden_tasks", reads_golden_tasks },
                               { "writes_golden_results", writes_golden_results },
                               { "golden_recall_and_return", golden_recall_and_return },
                               { "golden_failures", golden_failures },
                               { "frame_sizes", frame_sizes },
                               { "fits_to_the_last_byte", fits_to_the_last_byte },
                               { "random_round_trips", random_round_trips },
                               { "headers", headers },
                               { "time_limits", time_limits },
                               { "longest_payload", longest_payload },
                               CU_TEST_INFO_NULL };
static CU_TestInfo damage[] = {
    { "every_truncation", every_truncation }, { "every_damaged_byte", every_damaged_byte },
    { "random_damage", random_damage },       { "failures_cut_off", failures_cut_off },
    { "message_too_long", message_too_long }, { "unknown_status", unknown_status },
    { "huge_length", huge_length },           CU_TEST_INFO_NULL
};
static CU_SuiteInfo suites[] = { { "bytes", NULL, NULL, NULL, NULL, bytes },
                                 { "damage", NULL, NULL, NULL, NULL, damage },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
