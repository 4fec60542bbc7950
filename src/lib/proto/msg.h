/* The wire format.  All numbers are little-endian.
 *
 *   batch   0 version u8   1 kind u8   2 count u16 (frames)   4 bytes u32 (of the whole batch)
 *           8 word u64, then `count` frames, each beginning at a multiple of 8
 *           word: TASKS: the first frame's task number; each later one is the number before plus 1
 *                        or, with RPI_FRAME_NUMBER, its own
 *                 RESULTS: the mean nanoseconds of the frames without RPI_FRAME_RAN
 *                 STOP: rpi_stop
 *   frame   0 id u64   8 function u16   10 attempt u8   11 flags u8   12 length u32 (of payload)
 *           RPI_FRAME_NUMBER: task number u64 (TASKS, CANCEL)
 *           RPI_FRAME_RAN:    nanoseconds u64: its run time (RESULTS) or time limit (TASKS)
 *           RPI_FRAME_CHUNK:  count u32, failures u32, in_size u32, out_size u32, first u64
 *           then the payload, padded to a multiple of 8; with RPI_FRAME_LARGE it travels as a
 *           message of its own, in the order of the frames
 *   CANCEL  with frames: these tasks, or with RPI_FRAME_NUMBER the chunks of that map; without: all
 *   INPUT   from rank 0, before the tasks that need it: the outcome of task `id`; with
 *           RPI_FRAME_FAILED: it is no longer needed; with RPI_FRAME_NUMBER: the payload is a list
 *           of ids u64, the inputs of task `id` from number u64 on
 *   SHARED_TASKS  as TASKS, but with the epoch u64 (shared_versions.h) of all its tasks after the
 *           header; TASKS have epoch 0
 *   SHARE   word: the version.  No frames; after the header what u32 (rpi_share_what)   fd i32
 *           size u64   pid i64   token u64   length u32 of the name   0 u32   the name, padded to a
 *           multiple of 8.  Rank 0 sends NEW and DROP, which keep their place among the tasks, and
 *           answers, which do not; a worker sends questions:
 *
 *             NEW   -->       from this epoch on the name means `size` bytes (0: nothing), which
 *                             process pid has as fd (-1: it cannot be mapped)
 *                   <-- WANT  a task needs it, and it is not found there
 *                   <-- ALONE nor where MAP said
 *             MAP   -->       process pid of your host has it as fd
 *             FILL  -->       make room for it
 *                   <-- ROOM  there is room                              <-- NO_ROOM
 *             DATA  -->       its bytes follow as a large payload
 *                   <-- HAVE  it is here as fd (-1: others cannot map it)
 *             GONE  -->       it is dead: no task of it counts any more (answers every question,
 *                             also of a worker that waits for a neighbour)
 *             DROP  -->       no task after this message needs it
 *   RECALL  from rank 0, no frames: the worker must hand back what it has not started
 *   RETURNED  from a worker, after a RECALL or a CANCEL: frames of id and attempt only, of tasks
 *           that it will not run and sends no results of.  What runs or has a large argument stays;
 *           at a RECALL an idle worker keeps its next task.  word: 1 = the answer to a RECALL is
 *           complete, 0 = more follows, or it was a CANCEL.  With RPI_FRAME_CHUNK, at a RECALL: a
 *           chunk that stays keeps its first `count` items, at least one, and its result has only
 *           these: those that have begun, or the first.  All else in the frame is 0
 *   RPI_FRAME_SPAWNED: function and payload are the child's; number u64 is its ordinal, from 0;
 *           RAN: its time limit; CHUNK: its options, priority i32, retries u32, attempts u32, 0
 *           u32, cost f64; never LARGE.  Children count when their parent's frame reports success
 *   payload with RPI_FRAME_FAILED: status u32, code i32, then the message; of a chunk: every item
 *           failed so
 *   payload of a chunk with failures: count * out_size bytes of results, padded to 8, then for each
 *           failure item u32, status u32, code i32, length u32 of the message, the message padded
 *           to 8 */
#ifndef RPI_MSG_H
#define RPI_MSG_H

#ifndef RPI_PROTOCOL
#define RPI_PROTOCOL 2
#endif

#define RPI_BATCH_HEADER 16
/* bytes: eager over shared memory (4 KiB with MPI's header) and tcp */
#define RPI_BATCH_DEFAULT 4032
#define RPI_BATCH_MIN     2048 /* a failure with its whole message fits */
#define RPI_BATCH_MAX     65536
#define RPI_FRAME_HEADER  16
#define RPI_CHUNK_FIELDS  24
#define RPI_SHARE_FIELDS  40
#define RPI_CHUNK_FAILURE 16 /* before a failed item's message */

enum rpi_kind {
    RPI_TASKS = 1,
    RPI_RESULTS = 2,
    RPI_STOP = 3,
    RPI_HELLO = 4,
    RPI_VERDICT = 5,
    RPI_CANCEL = 6,
    RPI_INPUT = 7,
    RPI_SHARE = 8,
    RPI_SHARED_TASKS = 9,
    RPI_RECALL = 10,
    RPI_RETURNED = 11
};

enum rpi_share_what {
    RPI_SHARE_NEW = 1,
    RPI_SHARE_DROP = 2,
    RPI_SHARE_WANT = 3,
    RPI_SHARE_ALONE = 4,
    RPI_SHARE_MAP = 5,
    RPI_SHARE_FILL = 6,
    RPI_SHARE_ROOM = 7,
    RPI_SHARE_NO_ROOM = 8,
    RPI_SHARE_DATA = 9,
    RPI_SHARE_HAVE = 10,
    RPI_SHARE_GONE = 11,
};

enum rpi_stop {
    RPI_STOP_DROP = 1,  /* what has not started is dropped */
    RPI_STOP_ALONE = 2, /* the pool has failed: each rank leaves by itself */
};

#define RPI_RETURNED_ALL 1

enum rpi_frame_flag {
    RPI_FRAME_LARGE = 1,
    RPI_FRAME_NUMBER = 2,
    RPI_FRAME_RAN = 4,
    RPI_FRAME_CHUNK = 8,
    RPI_FRAME_FAILED = 16,
    RPI_FRAME_MAY_SPAWN = 64, /* TASKS: its function may call rp_spawn */
    RPI_FRAME_SPAWNED = 128, /* RESULTS: no result, but a child of the task `id`, whose own frame is
                                still to come */
    RPI_FRAME_CANCELLED = 32, /* never travels: a worker's mark on a task in its inbox */
};

#endif
