/* The wire's readers by themselves: batches of any kind, messages about shared data, failures.
 * Input: what to read u8, then the bytes. */
#include "fuzz.h"
#include "proto/wire.h"

static void read_batch(const uint8_t *data, size_t size)
{
    struct rpi_reader reader;
    if (rpi_reader_open(&reader, data, size) != RP_OK)
        return;
    MUST(reader.at >= data && reader.end <= data + size);
    if (reader.kind == RPI_SHARE) {
        struct rpi_share_message message;
        if (rpi_share_get(&reader, &message) == RP_OK)
            (void)sum_of(message.name, message.length);
        return;
    }
    while (reader.left) {
        struct rpi_frame frame = { 0 };
        if (rpi_reader_frame(&reader, &frame) != RP_OK)
            return;
        if (frame.payload)
            (void)sum_of(frame.payload, frame.length);
        MUST(reader.at <= reader.end && !frame.payload == !!(frame.flags & RPI_FRAME_LARGE));
    }
}

static void read_failure(const uint8_t *data, size_t size)
{
    char message[RPI_MESSAGE_MAX + 1];
    rp_status status;
    int code;
    if (rpi_failure_get(data, size, &status, &code, message) != RP_OK)
        return;
    MUST(status != RP_OK && strlen(message) <= RPI_MESSAGE_MAX && strlen(message) <= size);
}

static void read_item_failures(const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size;
    struct rpi_item_failure failure;
    while (at < end && rpi_item_failure_get(&at, end, &failure) == RP_OK) {
        MUST(at <= end && failure.status != RP_OK);
        (void)sum_of(failure.message, failure.length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, data + size };
    uint8_t what = input_byte(&input);
    size_t got;
    uint8_t *bytes = input_block(&input, size, &got);
    switch (what % 3) {
    case 0:
        read_batch(bytes, got);
        break;
    case 1:
        read_failure(bytes, got);
        break;
    default:
        read_item_failures(bytes, got);
        break;
    }
    free(bytes);
    return 0;
}

static void give_batch(void (*give)(const char *, const uint8_t *, size_t, const char *),
                       const char *into)
{
    static const char *const arguments[] = { "first", "", "third of them" };
    static uint8_t bytes[1 + 512];
    struct rpi_writer writer;
    rpi_writer_open(&writer, bytes + 1, 512);
    for (uint32_t i = 0; i < 3; i++) {
        struct rpi_frame frame = { .id = i + 7,
                                   .function = (uint16_t)i,
                                   .attempt = 1,
                                   .length = (uint32_t)strlen(arguments[i]) };
        frame.flags = i == 1 ? RPI_FRAME_NUMBER | RPI_FRAME_RAN : i == 2 ? RPI_FRAME_CHUNK : 0;
        frame.chunk = (struct rpi_chunk){ .count = 1, .in_size = 13, .out_size = 4, .first = 5 };
        rpi_wire_put_payload(rpi_writer_frame(&writer, &frame), arguments[i], frame.length);
    }
    (void)rpi_writer_frame(
        &writer, &(struct rpi_frame){ .id = 9, .flags = RPI_FRAME_LARGE, .length = 1 << 20 });
    rpi_writer_close(&writer, RPI_TASKS, 41);
    give("wire_tasks", bytes, 1 + writer.used, into);
    rpi_writer_close(&writer, RPI_RESULTS, 1000);
    give("wire_results", bytes, 1 + writer.used, into);
}

void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into),
                const char *into)
{
    static uint8_t bytes[1 + RPI_SHARE_MOST];
    give_batch(give, into);
    const struct rpi_share_message message = { .what = RPI_SHARE_MAP,
                                               .fd = 4,
                                               .version = 3,
                                               .size = 1 << 20,
                                               .token = 99,
                                               .pid = 77,
                                               .name = "table",
                                               .length = 5 };
    give("wire_share", bytes, 1 + rpi_share_put(bytes + 1, &message), into);
    bytes[0] = 1;
    rpi_failure_put(bytes + 1, RP_ERR_TASK, -5, "it went wrong", 13);
    give("wire_failure", bytes, 1 + rpi_failure_size(13), into);
    bytes[0] = 2;
    const struct rpi_item_failure failure = {
        .item = 3, .status = RP_ERR_TASK, .code = 9, .message = "no good", .length = 7
    };
    rpi_item_failure_put(bytes + 1, &failure);
    rpi_item_failure_put(bytes + 1 + rpi_item_failure_size(7), &failure);
    give("wire_item_failures", bytes, 1 + 2 * rpi_item_failure_size(7), into);
}
