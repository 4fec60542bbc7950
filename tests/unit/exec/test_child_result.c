/* What a tasks' process leaves in the shared memory: reports, their damage, and chunks that are put
 * together again. */
#include "harness.h"

#include "exec/child_result.h"
#include "exec/chunk_resume.h"
#include "exec/postmortem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FUNCTIONS = 5, CHILD_LIMIT = 512, ROOM = 16384 };

static _Alignas(64) uint8_t bytes[ROOM];
static char message[RPI_MESSAGE_MAX + 1];
static struct rpi_task task;
static const struct rpi_child_result_frame frame = { .task = &task,
                                                     .functions = FUNCTIONS,
                                                     .child_limit = CHILD_LIMIT };

static void begin(void)
{
    memset(bytes, 0, sizeof bytes);
    task = (struct rpi_task){ .id = 77, .attempt = 2, .may_spawn = true };
}

/* Puts a child with an argument of `length` bytes at `at`; its size. */
static uint32_t put_child(uint8_t *at, uint64_t id, uint32_t number, uint32_t length)
{
    struct rpi_writer writer = { .base = at, .limit = ROOM };
    struct rpi_frame child = {
        .id = id, .number = number, .attempt = 2, .function = 3, .length = length
    };
    child.flags = RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER;
    (void)rpi_writer_frame(&writer, &child);
    return writer.used;
}

static rp_status get(uint64_t size, struct rpi_result *result)
{
    return rpi_child_result_get(bytes, size, &frame, message, result);
}

/* A report of `data_size` bytes and `children` children; its size. */
static uint64_t put(const char *text, rp_status status, size_t data_size, uint32_t children)
{
    struct rpi_result result = {
        .status = status, .code = 5, .message = text, .size = data_size, .children_count = children
    };
    uint64_t at = rpi_child_result_children(data_size), from = at;
    memset(bytes + RPI_CHILD_RESULT_DATA, 'd', data_size);
    for (uint32_t i = 0; i < children; i++)
        at += put_child(bytes + at, 77, i, 8 * i);
    return rpi_child_result_put(bytes, &result, at - from);
}

static void whole(void)
{
    struct rpi_result result;
    begin();
    uint64_t size = put("", RP_OK, 13, 3);
    CU_ASSERT_EQUAL(rpi_child_result_size(bytes, ROOM), size);
    CU_ASSERT_EQUAL(rpi_child_result_size(bytes, size - 1), 0);
    CU_ASSERT_EQUAL(get(size, &result), RP_OK);
    CU_ASSERT_EQUAL(result.status, RP_OK);
    CU_ASSERT_EQUAL(result.size, 13);
    CU_ASSERT_PTR_EQUAL(result.data, bytes + RPI_CHILD_RESULT_DATA);
    CU_ASSERT_EQUAL(result.children_count, 3);
    CU_ASSERT_PTR_EQUAL(result.children, bytes + RPI_CHILD_RESULT_DATA + 16);
    size = put("it went wrong", RP_ERR_TASK, 0, 0);
    CU_ASSERT_EQUAL(get(size, &result), RP_OK);
    CU_ASSERT_EQUAL(result.status, RP_ERR_TASK);
    CU_ASSERT_EQUAL(result.code, 5);
    CU_ASSERT_STRING_EQUAL(result.message, "it went wrong");
}

static void damaged_head(void)
{
    struct rpi_result result;
    begin();
    uint64_t size = put("text", RP_ERR_TASK, 0, 0);
    const struct {
        int at;
        uint32_t value;
    } damage[] = { { 0, 0 },     { 0, (uint32_t)size - 1 },
                   { 4, 1 },     { 8, RP_ERR_CRASHED },
                   { 8, 12345 }, { 16, 1 },
                   { 20, 1 },    { 24, RPI_MESSAGE_MAX + 1 },
                   { 28, 8 },    { 28, UINT32_MAX },
                   { 32, 8 },    { 36, 1 } };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        uint8_t before[RPI_CHILD_RESULT_DATA];
        memcpy(before, bytes, sizeof before);
        rpi_put32(bytes + damage[i].at, damage[i].value);
        CU_ASSERT_EQUAL(get(size, &result), RP_ERR_CRASHED);
        memcpy(bytes, before, sizeof before);
    }
    CU_ASSERT_EQUAL(get(size, &result), RP_OK);
    for (uint64_t cut = 0; cut < size; cut += 61)
        CU_ASSERT_EQUAL(get(cut, &result), RP_ERR_CRASHED);
}

static void damaged_children(void)
{
    struct rpi_result result;
    begin();
    uint64_t size = put("", RP_OK, 0, 2), at = rpi_child_result_children(0);
    CU_ASSERT_EQUAL(get(size, &result), RP_OK);
    task.may_spawn = false;
    CU_ASSERT_EQUAL(get(size, &result), RP_ERR_CRASHED);
    task.may_spawn = true;
    const struct {
        uint64_t at;
        uint8_t value;
    } damage[] = { { at, 78 },
                   { at + 8, FUNCTIONS },
                   { at + 10, 1 },
                   { at + 11, RPI_FRAME_SPAWNED },
                   { at + 11, RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER | RPI_FRAME_LARGE },
                   { at + 12, 200 },
                   { at + 15, 255 },
                   { at + 16, 1 } };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        uint8_t before = bytes[damage[i].at];
        bytes[damage[i].at] = damage[i].value;
        CU_ASSERT_EQUAL(get(size, &result), RP_ERR_CRASHED);
        bytes[damage[i].at] = before;
    }
    CU_ASSERT_EQUAL(get(size, &result), RP_OK);
    rpi_put32(bytes + 20, 1); /* one less than there are */
    CU_ASSERT_EQUAL(get(size, &result), RP_ERR_CRASHED);
    rpi_put32(bytes + 20, 3);
    CU_ASSERT_EQUAL(get(size, &result), RP_ERR_CRASHED);
}

static uint32_t put_failure(uint8_t *at, uint32_t item, const char *text)
{
    struct rpi_item_failure failure = {
        .item = item, .status = RP_ERR_TASK, .code = 4, .message = text
    };
    failure.length = (uint32_t)strlen(text);
    rpi_item_failure_put(at, &failure);
    return rpi_item_failure_size(failure.length);
}

static void chunks(void)
{
    struct rpi_result result, given = { .status = RP_OK, .message = "" };
    begin();
    task.may_spawn = false;
    task.is_chunk = true;
    task.chunk = (struct rpi_chunk){ .count = 5, .in_size = 4, .out_size = 4 };
    given.size = 20;
    CU_ASSERT_EQUAL(get(rpi_child_result_put(bytes, &given, 0), &result), RP_OK);
    given.size = 19;
    CU_ASSERT_EQUAL(get(rpi_child_result_put(bytes, &given, 0), &result), RP_ERR_CRASHED);
    uint8_t *failures = bytes + RPI_CHILD_RESULT_DATA + 24;
    uint32_t first = put_failure(failures, 1, "one"),
             both = first + put_failure(failures + first, 4, "four");
    given.size = 24 + both;
    given.failures = 2;
    CU_ASSERT_EQUAL(get(rpi_child_result_put(bytes, &given, 0), &result), RP_OK);
    given.failures = 1;
    CU_ASSERT_EQUAL(get(rpi_child_result_put(bytes, &given, 0), &result), RP_ERR_CRASHED);
    given.failures = 3;
    CU_ASSERT_EQUAL(get(rpi_child_result_put(bytes, &given, 0), &result), RP_ERR_CRASHED);
    given.failures = 2;
    rpi_put32(failures + first, 1); /* not above the item before */
    CU_ASSERT_EQUAL(get(rpi_child_result_put(bytes, &given, 0), &result), RP_ERR_CRASHED);
    rpi_put32(failures + first, 5);
    CU_ASSERT_EQUAL(get(rpi_child_result_put(bytes, &given, 0), &result), RP_ERR_CRASHED);
}

/* Whatever the bytes are, nothing is read beyond them: they end at the end of what was reserved. */
static void garbage(void)
{
    uint64_t state = 1;
    int taken = 0;
    begin();
    for (int round = 0; round < 20000; round++) {
        struct rpi_result result;
        uint64_t size = put("", RP_OK, (size_t)round % 40, (uint32_t)round % 3);
        uint8_t *copy = malloc(size);
        CU_ASSERT_FATAL(copy != NULL);
        memcpy(copy, bytes, size);
        task.is_chunk = round % 2;
        task.chunk = (struct rpi_chunk){ .count = 3, .out_size = 4 };
        for (int i = 0; i < 1 + round % 4; i++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            uint64_t at = state >> 33, end = i % 2 ? size : 40;
            copy[at % end] = (uint8_t)(state >> 25);
        }
        taken += rpi_child_result_get(copy, size, &frame, message, &result) == RP_OK;
        free(copy);
    }
    CU_ASSERT(taken < 15000); /* some of it is harmless */
}

/* ---- salvage */

static void salvaged(void)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    struct rpi_chunk_resume salvage;
    struct rpi_task rest;
    struct rpi_result result = { .status = RP_ERR_CRASHED, .code = 11, .message = "died" };
    static const uint32_t in[7] = { 0, 1, 2, 3, 4, 5, 6 };
    uint8_t failures[64];
    uint32_t size = put_failure(failures, 1, "one");
    begin();
    task.is_chunk = true;
    task.arg = in;
    task.size = sizeof in;
    task.chunk = (struct rpi_chunk){ .count = 7, .in_size = 4, .out_size = 4, .first = 100 };
    CU_ASSERT_EQUAL(rpi_chunk_resume_begin(&salvage, &alloc, &task), RP_OK);
    CU_ASSERT_EQUAL(rpi_chunk_resume_add(&salvage, (const uint8_t *)in, 2, failures, size, 1),
                    RP_OK);
    CU_ASSERT_EQUAL(rpi_chunk_resume_fail(&salvage, 1, &result), RP_OK);
    rpi_chunk_resume_rest(&salvage, &rest);
    CU_ASSERT_EQUAL(rest.chunk.count, 4);
    CU_ASSERT_EQUAL(rest.chunk.first, 103);
    CU_ASSERT_EQUAL(rest.size, 16);
    CU_ASSERT_PTR_EQUAL(rest.arg, in + 3);
    CU_ASSERT_EQUAL(rpi_chunk_resume_add(&salvage, (const uint8_t *)(in + 3), 4, failures, size, 1),
                    RP_OK);
    rpi_chunk_resume_finish(&salvage, &result);
    CU_ASSERT_EQUAL(result.status, RP_OK);
    CU_ASSERT_EQUAL(result.failures, 3);
    CU_ASSERT(rpi_child_result_failures((const uint8_t *)result.data + 32, result.size - 32, 3, 7));
    const uint8_t *at = (const uint8_t *)result.data + 32,
                  *end = (const uint8_t *)result.data + result.size;
    const uint32_t items[] = { 1, 2, 4 };
    for (int i = 0; i < 3; i++) {
        struct rpi_item_failure failure = { 0 };
        CU_ASSERT_EQUAL(rpi_item_failure_get(&at, end, &failure), RP_OK);
        CU_ASSERT_EQUAL(failure.item, items[i]);
        CU_ASSERT_EQUAL(failure.status, i == 1 ? RP_ERR_CRASHED : RP_ERR_TASK);
    }
    CU_ASSERT_EQUAL(memcmp((const uint8_t *)result.data + 12, in + 3, 16), 0);
    rpi_buffer_free(result.owned);
}

static void all_salvaged(void)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    struct rpi_chunk_resume salvage;
    struct rpi_result result = { .status = RP_ERR_CANCELLED, .message = "" };
    begin();
    task.is_chunk = true;
    task.chunk = (struct rpi_chunk){ .count = 1000, .in_size = 0, .out_size = 3 };
    CU_ASSERT_EQUAL(rpi_chunk_resume_begin(&salvage, &alloc, &task), RP_OK);
    CU_ASSERT_EQUAL(rpi_chunk_resume_fail(&salvage, 1000, &result), RP_OK);
    rpi_chunk_resume_finish(&salvage, &result);
    CU_ASSERT_EQUAL(result.failures, 1000);
    CU_ASSERT(rpi_child_result_failures((const uint8_t *)result.data + 3000, result.size - 3000,
                                        1000, 1000));
    rpi_buffer_free(result.owned);
}

/* ---- tail */

static void tail_says(const char *said, const char *kept)
{
    struct rpi_postmortem_tail tail;
    char lines[RPI_POSTMORTEM_TAIL_BYTES + 1];
    CU_ASSERT_EQUAL_FATAL(rpi_postmortem_tail_open(&tail), RP_OK);
    int error = dup(STDERR_FILENO), other[2];
    CU_ASSERT_EQUAL_FATAL(pipe(other), 0);
    CU_ASSERT_EQUAL(write(tail.sink, said, strlen(said)), (ssize_t)strlen(said));
    (void)dup2(other[1], STDERR_FILENO);
    rpi_postmortem_tail_forward(&tail);
    (void)dup2(error, STDERR_FILENO);
    char passed[8192];
    CU_ASSERT_EQUAL(read(other[0], passed, sizeof passed),
                    (ssize_t)strlen(said)); /* every byte goes on */
    CU_ASSERT_EQUAL(memcmp(passed, said, strlen(said)), 0);
    CU_ASSERT_EQUAL(rpi_postmortem_tail_lines(&tail, lines, sizeof lines), strlen(kept));
    CU_ASSERT_STRING_EQUAL(lines, kept);
    rpi_postmortem_tail_begin(&tail);
    CU_ASSERT_EQUAL(rpi_postmortem_tail_lines(&tail, lines, sizeof lines), 0);
    rpi_postmortem_tail_close(&tail);
    (void)close(error);
    (void)close(other[0]);
    (void)close(other[1]);
}

static void tails(void)
{
    char text[5000];
    tail_says("one line", "one line");
    tail_says("a\nb\tc\x1b\n\n", "a|b c ");
    memset(text, 'x', sizeof text);
    memcpy(text + sizeof text - 12, "\nlast line\n", 12);
    tail_says(text, "last line");
}

int main(int argc, char **argv)
{
    static CU_TestInfo reports[] = { { "whole", whole },
                                     { "damaged_head", damaged_head },
                                     { "damaged_children", damaged_children },
                                     { "chunks", chunks },
                                     { "garbage", garbage },
                                     CU_TEST_INFO_NULL };
    static CU_TestInfo others[] = { { "salvaged", salvaged },
                                    { "all_salvaged", all_salvaged },
                                    { "tails", tails },
                                    CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "reports", NULL, NULL, NULL, NULL, reports },
                                     { "others", NULL, NULL, NULL, NULL, others },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
