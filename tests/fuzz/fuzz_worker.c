/* A worker's engine and its executor against whatever rank 0, or who passes for it, may send.
 * Input: messages, each size u16, bytes; what a large payload holds is taken from the input as
 * well. */
#include "fuzz.h"
#include "exec/inline.h"
#include "worker/shared_fetch.h"
#include "open/register.h"
#include "worker/worker.h"

#define LIMIT RPI_BATCH_MIN
#define MOST  200000U /* bytes of one block: a forged length gets no more */
#define ITEMS 10000U  /* of one chunk: 2^32 - 1 of no bytes each are no lie, but take minutes */

static struct memory memory;
static struct rpi_worker worker;
static struct rpi_inline executor;
static struct rpi_registry registry;

/* Reads all that it was given, and answers by what it finds. */
static rp_status reader(rp_call *call, const void *arg, size_t size)
{
    size_t input, data;
    uint64_t sum = sum_of(arg, size);
    for (size_t i = 0; i < 3; i++) {
        const void *of = rp_input(call, i, &input);
        sum += of ? sum_of(of, input) : 0;
    }
    const void *of = rp_shared(call, "table", &data);
    sum += of ? sum_of(of, data < 16 ? data : 16) : 0;
    if (sum % 7 == 1)
        return rp_fail(call, 1, "%zu bytes", size);
    if (sum % 7 == 2 && rp_spawn(call, reader, arg, size < 100 ? size : 100, NULL) != RP_OK)
        return rp_cancelled(call) ? RP_ERR_CANCELLED : RP_OK;
    return rp_return(call, arg, sum % 7 == 3 ? size : size < 64 ? size : 64);
}

static rp_status empty(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    return RP_OK;
}

static void begin(void)
{
    static bool registered;
    if (!registered)
        MUST(rp_register("reader", reader) == RP_OK && rp_register("empty", empty) == RP_OK);
    registered = true;
    memory = (struct memory){ .most = MOST };
    struct rpi_alloc hook = memory_hook(&memory);
    MUST(rpi_register_snapshot(&registry, &hook) == RP_OK);
    struct rpi_worker_config config = { .alloc = hook,
                                        .batch_limit = LIMIT,
                                        .functions = registry.count };
    rpi_worker_init(&worker, &config);
    MUST(rpi_inline_init(&executor, &hook, &registry, rpi_wire_inline_limit(LIMIT), 1, "here") ==
         RP_OK);
    executor.call.cancel = &worker.cancel;
    executor.call.shared_cache = &worker.shared_cache;
}

static void end(void)
{
    rpi_inline_fini(&executor);
    rpi_worker_fini(&worker);
    rpi_registry_fini(&registry);
    MUST(memory.live == 0);
}

static void send_all(void)
{
    for (struct rpi_batch *batch; (batch = rpi_worker_outgoing(&worker));) {
        (void)sum_of(batch->bytes, batch->size);
        for (int i = 0; i < batch->piece_count; i++)
            (void)sum_of(batch->pieces[i].data, batch->pieces[i].size);
        for (uint16_t sends = batch->sends; sends > 0; sends--)
            rpi_worker_sent(&worker, batch);
    }
}

static void receive_all(struct input *input)
{
    for (struct rpi_arrival *arrival; (arrival = rpi_worker_incoming(&worker));) {
        input_fill(input, arrival->buffer, arrival->size);
        rpi_worker_arrived(&worker, arrival);
    }
}

/* Shared data gets one page of memory at most, and no other process's copy is found. */
static void supply(void)
{
    static uint8_t page[4096];
    for (struct rpi_shared_datum *datum; (datum = rpi_shared_fetch_work(&worker));) {
        bool done = datum->state != RPI_SEEK && datum->segment.size <= sizeof page;
        if (datum->state == RPI_MAKE)
            datum->segment.data = done ? page : NULL;
        if (!rpi_shared_fetch_worked(
                &worker, datum, done || datum->state == RPI_FILLED || datum->state == RPI_DROPPED))
            return;
    }
}

/* As serve.c does. */
static void run(const struct rpi_task *task)
{
    struct rpi_result result = { .status = RP_ERR_CANCELLED,
                                 .code = RP_ERR_CANCELLED,
                                 .message = "" };
    rpi_inline_expect(&executor, task);
    if (!task->cancelled && !task->missing && !(task->is_chunk && task->chunk.count > ITEMS))
        rpi_inline_execute(&executor, task, &result);
    const uint8_t *at = executor.call.children;
    for (uint32_t i = 0;
         result.status == RP_OK && !task->cancelled && i < executor.call.children_count; i++) {
        uint32_t size = rpi_frame_size(at[11], rpi_get32(at + 12));
        if (!rpi_worker_fits_frame(&worker, size))
            rpi_worker_flush(&worker);
        MUST(rpi_worker_make_room(&worker) && rpi_worker_fits_frame(&worker, size));
        rpi_worker_put_frame(&worker, at, size);
        at += size;
    }
    if (!rpi_worker_fits(&worker, &result))
        rpi_worker_flush(&worker);
    MUST(rpi_worker_make_room(&worker) && rpi_worker_fits(&worker, &result));
    rpi_worker_done(&worker, task, &result, 1e-6);
}

static void effects(struct input *input)
{
    struct rpi_task task;
    for (int turn = 0; turn < 3; turn++) {
        receive_all(input);
        supply();
        while (rpi_worker_next(&worker, &task))
            run(&task);
        rpi_worker_flush(&worker);
        send_all();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, data + size };
    begin();
    while (input.at < input.end) {
        size_t got, length = input_word(&input);
        uint8_t *bytes = input_block(&input, length, &got);
        rp_status status = rpi_worker_receive(&worker, bytes, got);
        MUST(status == RP_OK || status == RP_ERR_BROKEN || status == RP_ERR_NOMEM);
        free(bytes);
        if (length % 5) /* else more comes first */
            effects(&input);
    }
    effects(&input);
    end();
    return 0;
}

/* ---- what an honest rank 0 says */

static struct output output;
static uint8_t batch[LIMIT];
static struct rpi_writer writer;

static void put_task(struct rpi_frame frame, const char *arg)
{
    if (!(frame.flags & RPI_FRAME_LARGE))
        frame.length = (uint32_t)strlen(arg);
    frame.attempt = 1;
    uint8_t *at = rpi_writer_frame(&writer, &frame);
    if (!(frame.flags & RPI_FRAME_LARGE))
        rpi_wire_put_payload(at, arg, frame.length);
}

static void put_batch(enum rpi_kind kind, uint64_t word)
{
    rpi_writer_close(&writer, kind, word);
    output_word(&output, writer.used);
    output_bytes(&output, batch, writer.used);
    rpi_writer_open(&writer, batch, LIMIT);
}

static void put_share(enum rpi_share_what what)
{
    const struct rpi_share_message message = { .what = what,
                                               .fd = 4,
                                               .version = 1,
                                               .size = 64,
                                               .token = 9,
                                               .pid = 77,
                                               .name = "table",
                                               .length = 5 };
    uint32_t size = rpi_share_put(batch, &message);
    output_word(&output, size);
    output_bytes(&output, batch, size);
}

static void put_zeros(size_t size)
{
    while (size--)
        output_byte(&output, 0);
}

void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into),
                const char *into)
{
    rpi_writer_open(&writer, batch, LIMIT);
    for (uint64_t i = 0; i < 5; i++)
        put_task((struct rpi_frame){ .id = i, .function = i % 2 }, "some argument");
    put_task((struct rpi_frame){ .id = 9,
                                 .flags = RPI_FRAME_MAY_SPAWN | RPI_FRAME_RAN,
                                 .ran = 1000000000 },
             "a");
    struct rpi_frame chunk = { .id = 8, .flags = RPI_FRAME_CHUNK };
    chunk.chunk = (struct rpi_chunk){ .count = 4, .in_size = 3, .out_size = 3, .first = 12 };
    put_task(chunk, "abcdefghijkl");
    put_batch(RPI_TASKS, 0);
    put_batch(RPI_STOP, 0);
    give("worker_tasks", output.bytes, output.used, into);

    output.used = 0;
    chunk.chunk.count = 0;
    put_task(chunk, "");
    put_batch(RPI_TASKS, 0);
    give("worker_nothing", output.bytes, output.used, into);

    output.used = 0;
    put_task((struct rpi_frame){ .id = 1, .flags = RPI_FRAME_LARGE, .length = 3000 }, NULL);
    put_task((struct rpi_frame){ .id = 2 }, "beyond it");
    put_batch(RPI_TASKS, 40);
    put_zeros(3000);
    put_task((struct rpi_frame){ .id = 2 }, "");
    put_batch(RPI_CANCEL, 0);
    put_batch(RPI_CANCEL, 0);
    put_batch(RPI_STOP, RPI_STOP_DROP);
    give("worker_large", output.bytes, output.used, into);

    output.used = 0;
    put_task((struct rpi_frame){ .id = 5 }, "an outcome");
    put_task((struct rpi_frame){ .id = 6, .flags = RPI_FRAME_LARGE, .length = 2000 }, NULL);
    struct rpi_frame list = { .id = 7, .flags = RPI_FRAME_NUMBER, .length = 16 };
    uint64_t inputs[2] = { 5, 6 };
    memcpy(rpi_writer_frame(&writer, &list), inputs, sizeof inputs);
    put_batch(RPI_INPUT, 0);
    put_zeros(2000);
    put_task((struct rpi_frame){ .id = 7 }, "comes after");
    put_batch(RPI_TASKS, 7);
    put_task((struct rpi_frame){ .id = 5, .flags = RPI_FRAME_FAILED }, "");
    put_batch(RPI_INPUT, 0);
    give("worker_inputs", output.bytes, output.used, into);

    output.used = 0;
    put_share(RPI_SHARE_NEW);
    rpi_writer_epoch(&writer, 1);
    put_task((struct rpi_frame){ .id = 3 }, "with data");
    put_batch(RPI_SHARED_TASKS, 3);
    put_share(RPI_SHARE_MAP);
    put_share(RPI_SHARE_FILL);
    put_share(RPI_SHARE_DATA);
    put_zeros(64);
    put_share(RPI_SHARE_DROP);
    give("worker_shared", output.bytes, output.used, into);
}
