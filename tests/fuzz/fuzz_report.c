/* What a tasks' process leaves in the memory that it shares with its worker: reports, and the
 * failures of a chunk that it did not live to report.  Input: flags u8 (1 a chunk, 2 it may spawn),
 * items u8, bytes of a result u8, failures u8, then the report. */
#include "fuzz.h"
#include "exec/child_result.h"

#define FUNCTIONS   5
#define CHILD_LIMIT 512

static void read_report(const struct rpi_task *task, const uint8_t *bytes, size_t size)
{
    const struct rpi_child_result_frame frame = { .task = task,
                                                  .functions = FUNCTIONS,
                                                  .child_limit = CHILD_LIMIT };
    char message[RPI_MESSAGE_MAX + 1];
    struct rpi_result result;
    if (size >= RPI_CHILD_RESULT_DATA)
        MUST(rpi_child_result_size(bytes, size) <= size);
    if (rpi_child_result_get(bytes, size, &frame, message, &result) != RP_OK)
        return;
    const uint8_t *data = result.data;
    MUST(data >= bytes && data + result.size <= bytes + size);
    MUST(result.message == message && strlen(message) <= RPI_MESSAGE_MAX);
    MUST(task->is_chunk || !result.failures);
    (void)sum_of(data, result.size);
    if (result.children_count)
        MUST(task->may_spawn && result.status == RP_OK);
    (void)sum_of(result.children, (size_t)(bytes + size - result.children));
    if (task->is_chunk && result.status == RP_OK)
        MUST(result.size >= (size_t)task->chunk.count * task->chunk.out_size);
}

static void read_failures(const uint8_t *bytes, size_t size, uint32_t count, uint32_t items)
{
    if (rpi_child_result_failures(bytes, size, count, items))
        MUST(count <= items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, data + size };
    struct rpi_task task = { .id = 77, .attempt = 2 };
    uint8_t flags = input_byte(&input);
    size_t got;
    task.is_chunk = flags & 1;
    task.may_spawn = flags & 2;
    task.chunk.count = input_byte(&input);
    task.chunk.out_size = input_byte(&input);
    uint8_t failures = input_byte(&input);
    uint8_t *bytes = input_block(&input, size, &got);
    read_report(&task, bytes, got);
    read_failures(bytes, got, failures, task.chunk.count);
    free(bytes);
    return 0;
}

/* The four bytes, then an honest report; returns their size. */
static size_t seed(uint8_t *to, uint8_t flags, const char *text, rp_status status,
                   uint32_t children)
{
    uint8_t *bytes = to + 4;
    struct rpi_result result = {
        .status = status, .code = 3, .message = text, .size = 12, .children_count = children
    };
    const struct rpi_item_failure failure = {
        .item = 1, .status = RP_ERR_TASK, .code = 9, .message = "no good", .length = 7
    };
    memset(to, 0, 4);
    to[0] = flags;
    if (flags & 1) {
        to[1] = to[3] = 3;
        to[2] = 4;
        rpi_item_failure_put(bytes + RPI_CHILD_RESULT_DATA + 16, &failure);
        result.size = 16 + rpi_item_failure_size(7);
        result.failures = 1;
    }
    uint64_t at = rpi_child_result_children(result.size), from = at;
    for (uint32_t i = 0; i < children; i++) {
        struct rpi_writer writer = { .base = bytes + at, .limit = 256 };
        struct rpi_frame child = {
            .id = 77, .number = i, .attempt = 2, .function = 3, .length = 16
        };
        child.flags = RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER;
        (void)rpi_writer_frame(&writer, &child);
        at += writer.used;
    }
    return 4 + (size_t)rpi_child_result_put(bytes, &result, at - from);
}

void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into),
                const char *into)
{
    static uint8_t bytes[4096];
    give("report_result", bytes, seed(bytes, 0, "", RP_OK, 0), into);
    memset(bytes, 0, sizeof bytes);
    give("report_failed", bytes, seed(bytes, 0, "it went wrong", RP_ERR_TASK, 0), into);
    memset(bytes, 0, sizeof bytes);
    give("report_children", bytes, seed(bytes, 2, "", RP_OK, 3), into);
    memset(bytes, 0, sizeof bytes);
    give("report_chunk", bytes, seed(bytes, 1, "", RP_OK, 0), into);
}
