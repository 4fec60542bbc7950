/* What a task's process says of a task's end, as bytes in the memory that it shares with its
 * worker:
 *
 *   0 bytes u64 (of all)   8 status u32   12 code i32   16 failures u32 (of a chunk)
 *   20 children u32   24 bytes of the message u32   28 bytes of the result u32
 *   32 bytes of the children u64   64 the message
 *   RPI_CHILD_RESULT_DATA the result, padded to 8, then the children as frames of a batch of
 *   results
 *
 * The task could write to that memory: nothing in it is believed before it is checked. */
#ifndef RPI_CHILD_RESULT_H
#define RPI_CHILD_RESULT_H

#include "proto/wire.h"

#define RPI_CHILD_RESULT_MESSAGE 64
#define RPI_CHILD_RESULT_DATA    1088 /* a multiple of 64 */

/* Writes all but the result and the children, which are in their places
 * (rpi_child_result_children).  Returns its size. */
uint64_t rpi_child_result_put(uint8_t *to, const struct rpi_result *result, uint64_t children_size);
/* Where the children begin after a result of `size` bytes. */
static inline uint64_t rpi_child_result_children(uint64_t size)
{
    return RPI_CHILD_RESULT_DATA + ((size + 7U) & ~(uint64_t)7);
}

/* What a report must fit to. */
struct rpi_child_result_frame {
    const struct rpi_task *task;
    uint32_t functions;   /* registered */
    uint32_t child_limit; /* bytes of a child's argument */
};

/* Bytes of the report whose first RPI_CHILD_RESULT_DATA bytes these are; 0: it is damaged, or
 * longer than `room`. */
uint64_t rpi_child_result_size(const uint8_t *head, uint64_t room);
/* Takes a report apart; `message` gets at most RPI_MESSAGE_MAX bytes and a zero.  *result points
 * into `bytes` and to `message`. RP_ERR_CRASHED, with what is wrong in rp_error_message(): it is
 * damaged.  Reads nothing beyond `size`, whatever the bytes are (tests/fuzz/fuzz_report.c). */
RP_MUST_USE rp_status rpi_child_result_get(const uint8_t *bytes, uint64_t size,
                                           const struct rpi_child_result_frame *frame,
                                           char *message, struct rpi_result *result);

/* Whether `size` bytes at `at` are `count` failures of a chunk's items, in order, each below
 * `items`. */
bool rpi_child_result_failures(const uint8_t *at, uint64_t size, uint32_t count, uint32_t items);

#endif
