#include "exec/child_result.h"

#define bad(what) rpi_error(RP_ERR_CRASHED, "what its process left is damaged: %s", what)

uint64_t rpi_child_result_put(uint8_t *to, const struct rpi_result *result, uint64_t children_size)
{
    size_t length = strlen(result->message);
    uint64_t size = rpi_child_result_children(result->size) + children_size;
    rpi_put64(to, size);
    rpi_put32(to + 8, (uint32_t)result->status);
    rpi_put32(to + 12, (uint32_t)result->code);
    rpi_put32(to + 16, result->failures);
    rpi_put32(to + 20, result->children_count);
    rpi_put32(to + 24, (uint32_t)length);
    rpi_put32(to + 28, (uint32_t)result->size);
    rpi_put64(to + 32, children_size);
    memcpy(to + RPI_CHILD_RESULT_MESSAGE, result->message, length);
    return size;
}

uint64_t rpi_child_result_size(const uint8_t *head, uint64_t room)
{
    uint64_t size = rpi_get64(head), children = rpi_get64(head + 32);
    if (children > UINT32_MAX || size > room)
        return 0;
    return size == rpi_child_result_children(rpi_get32(head + 28)) + children ? size : 0;
}

bool rpi_child_result_failures(const uint8_t *at, uint64_t size, uint32_t count, uint32_t items)
{
    const uint8_t *end = at + size;
    uint64_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct rpi_item_failure failure;
        if (rpi_item_failure_get(&at, end, &failure) != RP_OK || failure.item < next ||
            failure.item >= items)
            return false;
        next = (uint64_t)failure.item + 1;
    }
    return at == end;
}

static rp_status check_chunk(const struct rpi_chunk *chunk, const struct rpi_result *result)
{
    uint64_t results = (uint64_t)chunk->count * chunk->out_size,
             before = (results + 7U) & ~(uint64_t)7;
    if (result->failures == 0)
        return result->size == results ? RP_OK : bad("a chunk's results have another size");
    if (result->size < before ||
        !rpi_child_result_failures((const uint8_t *)result->data + before, result->size - before,
                                   result->failures, chunk->count))
        return bad("a chunk's failures are no failures");
    return RP_OK;
}

static rp_status check_children(const struct rpi_child_result_frame *frame,
                                const struct rpi_result *result, uint64_t size)
{
    const uint8_t needed = RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER,
                  never = RPI_FRAME_LARGE | RPI_FRAME_FAILED;
    struct rpi_reader reader = { .at = result->children, .end = result->children + size };
    if (result->children_count && (!frame->task->may_spawn || result->status != RP_OK))
        return bad("it has children that may not be");
    for (uint32_t i = 0; i < result->children_count; i++) {
        struct rpi_frame child = { 0 };
        reader.left = 1;
        if (rpi_reader_frame(&reader, &child) != RP_OK || (child.flags & needed) != needed ||
            child.flags & never || child.id != frame->task->id ||
            child.attempt != frame->task->attempt || child.number != i ||
            child.function >= frame->functions || child.length > frame->child_limit)
            return bad("one of its children is no child");
    }
    return reader.at == reader.end ? RP_OK : bad("there is more than its children");
}

static bool is_status(uint32_t status)
{
    return status == RP_OK || status == RP_ERR_TASK || status == RP_ERR_CANCELLED ||
           status == RP_ERR_DEADLINE;
}

rp_status rpi_child_result_get(const uint8_t *bytes, uint64_t size,
                               const struct rpi_child_result_frame *frame, char *message,
                               struct rpi_result *result)
{
    if (size < RPI_CHILD_RESULT_DATA || rpi_child_result_size(bytes, size) != size)
        return bad("its size is not what it says");
    uint32_t status = rpi_get32(bytes + 8), length = rpi_get32(bytes + 24);
    if (!is_status(status) || length > RPI_MESSAGE_MAX)
        return bad("its status or its message");
    *result = (struct rpi_result){ .status = (rp_status)status,
                                   .code = (int)rpi_get32(bytes + 12),
                                   .message = message };
    result->failures = rpi_get32(bytes + 16);
    result->children_count = rpi_get32(bytes + 20);
    result->size = rpi_get32(bytes + 28);
    result->data = bytes + RPI_CHILD_RESULT_DATA;
    result->children = bytes + rpi_child_result_children(result->size);
    memcpy(message, bytes + RPI_CHILD_RESULT_MESSAGE, length);
    message[length] = '\0';
    rp_status sound = check_children(frame, result, rpi_get64(bytes + 32));
    if (sound == RP_OK && result->status == RP_OK && frame->task->is_chunk)
        sound = check_chunk(&frame->task->chunk, result);
    if (sound == RP_OK && !frame->task->is_chunk && result->failures)
        sound = bad("it is no chunk, but has failures");
    return sound;
}
