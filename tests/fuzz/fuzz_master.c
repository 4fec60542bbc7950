/* Rank 0's engine, with tasks of every kind at three workers and at itself, against whatever a
 * worker may send. Input: messages, each worker u8, size u16, bytes; what a large payload holds is
 * taken from the input as well. */
#include "fuzz.h"
#include "open/register.h"
#include "master/master.h"
#include "master/shared.h"
#include "tables/completions.h"

#define WORKERS  3
#define LIMIT    RPI_BATCH_MIN
#define MOST     (1U << 20) /* bytes of one block: a forged length gets no more */
#define SETTLES  40
#define ITEMS    40
#define IN_SIZE  3
#define OUT_SIZE 5

static struct memory memory;
static struct rpi_alloc hook;
static struct rpi_registry registry;
static struct rpi_master master;
static struct rpi_completions completions;
static double now;
static uint64_t ids[SETTLES];
static int id_count;
static uint8_t *map_in, *map_out; /* of exactly their size */
static rp_status *map_statuses;
static uint8_t *borrowed;
static uint8_t shared[64];

static rp_status add(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    return RP_OK;
}

static rp_status sub(rp_call *call, const void *arg, size_t size)
{
    return add(call, arg, size);
}

static void no_log(rp_level level, const char *line, void *user)
{
    (void)level;
    (void)user;
    (void)sum_of(line, strlen(line));
}

static void never_called(rp_pool *pool, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)pool;
    (void)future;
    (void)outcome;
    (void)user;
}

static uint64_t submit(struct rpi_request request)
{
    uint64_t id = 0;
    MUST(rpi_master_submit(&master, &request, now, &id) == RP_OK);
    if (!request.released)
        ids[id_count++] = id;
    return id;
}

static void submit_map(uint64_t count, uint64_t chunk)
{
    const struct rpi_map_request request = { .in = map_in,
                                             .out = map_out,
                                             .in_size = IN_SIZE,
                                             .out_size = OUT_SIZE,
                                             .count = count,
                                             .chunk = chunk,
                                             .statuses = map_statuses };
    MUST(rpi_master_map(&master, &request, now, &ids[id_count]) == RP_OK);
    id_count++;
}

static void submit_all(void)
{
    static const struct rpi_options streamed = { .completions = &completions },
                                    careful = { .retries = 2, .on_done = never_called },
                                    urgent = {
                                        .priority = 5, .time_limit = 2, .worker = 2, .hard = true
                                    };
    uint64_t first = submit((struct rpi_request){ .arg = "an argument", .size = 11 });
    rp_future after[2] = { { first } };
    for (int i = 0; i < 4; i++) {
        completions.open++;
        (void)submit((struct rpi_request){
            .function = (uint16_t)(i & 1), .arg = "tree", .size = 4, .options = &streamed });
    }
    after[1].id = submit((struct rpi_request){ .arg = borrowed, .size = 5000, .borrow = true });
    (void)submit((struct rpi_request){ .arg = "careful", .size = 7, .options = &careful });
    (void)submit(
        (struct rpi_request){ .function = 1, .arg = "urgent", .size = 6, .options = &urgent });
    (void)submit(
        (struct rpi_request){ .arg = "after", .size = 5, .after = after, .after_count = 2 });
    submit_map(ITEMS, 7);
    const struct rpi_shm segment = { .data = shared, .size = sizeof shared, .fd = 3, .token = 9 };
    MUST(rpi_master_share(&master, "table", &segment) == RP_OK);
    for (int i = 0; i < 6; i++)
        (void)submit(
            (struct rpi_request){ .function = 1, .arg = borrowed, .size = 100, .released = i % 2 });
}

static void begin(void)
{
    static const struct rpi_log log = { .sink = no_log };
    static bool registered;
    if (!registered)
        MUST(rp_register("add", add) == RP_OK && rp_register("sub", sub) == RP_OK);
    registered = true;
    memory = (struct memory){ .most = MOST };
    hook = memory_hook(&memory);
    now = 1000;
    id_count = 0;
    MUST(rpi_register_snapshot(&registry, &hook) == RP_OK);
    struct rpi_master_config config = { .alloc = hook,
                                        .log = &log,
                                        .registry = &registry,
                                        .workers = WORKERS,
                                        .batch_limit = LIMIT,
                                        .first_generation = 5 };
    MUST(rpi_master_init(&master, &config) == RP_OK);
    for (int i = 0; i <= WORKERS; i++) {
        master.roster.seats[i].host = i < 3 ? "here" : "there";
        master.roster.seats[i].pid = 100 + i;
    }
    completions = (struct rpi_completions){ .open = 0 };
    MUST(rpi_idqueue_reserve(&completions.ready, &hook, 8) == RP_OK);
    map_in = test_zeroed((size_t)ITEMS * IN_SIZE);
    map_out = test_zeroed((size_t)ITEMS * OUT_SIZE);
    map_statuses = test_zeroed(ITEMS * sizeof *map_statuses);
    borrowed = test_zeroed(5000);
    for (int i = 0; i < 2; i++)
        master.timing.functions[i].mean = 1e-5; /* short: they share batches */
    submit_all();
}

/* ---- what rank 0 does by itself */

static void (*look_at)(const struct rpi_batch *batch); /* NULL, or shown each batch */

static void effects(struct input *input)
{
    now += 1e-3;
    rpi_master_dispatch(&master, now);
    for (struct rpi_batch *batch; (batch = rpi_master_outgoing(&master));) {
        (void)sum_of(batch->bytes, batch->size);
        for (int i = 0; i < batch->piece_count; i++)
            (void)sum_of(batch->pieces[i].data, batch->pieces[i].size);
        if (look_at)
            look_at(batch);
        for (uint16_t sends = batch->sends; sends > 0; sends--)
            rpi_master_sent(&master, batch);
    }
    for (struct rpi_arrival *arrival; (arrival = rpi_master_incoming(&master));) {
        input_fill(input, arrival->buffer, arrival->size);
        if (rpi_master_arrived(&master, arrival, now) == RP_ERR_NOMEM)
            return; /* it stays; the end frees it */
    }
}

/* What the application would see. */
static void look_at_outcomes(void)
{
    uint64_t id;
    for (int i = 0; i < id_count; i++) {
        struct rpi_future *future = rpi_master_future(&master, ids[i]);
        rp_outcome outcome = RP_OUTCOME_INIT;
        if (!future || future->state != RP_DONE)
            continue;
        rpi_master_outcome(&master, future, &outcome);
        (void)sum_of(outcome.message, strlen(outcome.message));
        (void)sum_of(outcome.data, outcome.size);
    }
    while (completions.ready.count) {
        id = rpi_idqueue_pop(&completions.ready);
        struct rpi_future *future = rpi_future_of(&master.futures, id);
        MUST(future && future->state == RP_DONE && future->flags & RPI_FUTURE_STREAMED);
        future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
        completions.open--;
        if (future->flags & RPI_FUTURE_RELEASED)
            rpi_master_release(&master, id, future);
    }
}

static void end(void)
{
    for (struct rpi_shared_version *version;
         (version = rpi_shared_versions_dead(&master.versions));)
        rpi_shared_version_free(&master.versions, version);
    rpi_shared_versions_end(&master.versions);
    for (struct rpi_shared_version *version;
         (version = rpi_shared_versions_dead(&master.versions));)
        rpi_shared_version_free(&master.versions, version);
    rpi_master_fini(&master);
    rpi_idqueue_fini(&completions.ready, &hook);
    rpi_registry_fini(&registry);
    free(map_in);
    free(map_out);
    free(map_statuses);
    free(borrowed);
    MUST(memory.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = { data, data + size };
    begin();
    effects(&input);
    while (input.at < input.end) {
        int worker = input_byte(&input) % (WORKERS + 1);
        size_t got, length = input_word(&input);
        uint8_t *bytes = input_block(&input, length < RPI_BATCH_MAX ? length : RPI_BATCH_MAX, &got);
        rp_status status = rpi_master_receive(&master, worker, bytes, got, now);
        MUST(status == RP_OK || status == RP_ERR_BROKEN || status == RP_ERR_NOMEM);
        free(bytes);
        effects(&input);
        look_at_outcomes();
    }
    end();
    return 0;
}

/* ---- honest answers */

static struct output *answers; /* of all kinds, batch by batch */
static enum kind { GOOD, LARGE, FAILED, PARENTS } kind;

static struct rpi_frame answer_to(const struct rpi_frame *task)
{
    struct rpi_frame frame = {
        .id = task->id, .function = task->function, .attempt = task->attempt, .ran = 12345
    };
    frame.flags = (uint8_t)(RPI_FRAME_RAN | (task->flags & RPI_FRAME_CHUNK));
    frame.chunk = task->chunk;
    if (task->flags & RPI_FRAME_CHUNK)
        frame.length = task->chunk.count * OUT_SIZE;
    else
        frame.length = kind == LARGE ? 4000 : task->function ? 8 : 20;
    if (kind == FAILED && task->flags & RPI_FRAME_CHUNK) {
        frame.failures = 1;
        frame.length = rpi_wire_padded(frame.length) + rpi_item_failure_size(4);
    } else if (kind == FAILED) {
        frame.flags |= RPI_FRAME_FAILED;
        frame.length = rpi_failure_size(5);
    } else if (kind == LARGE && !(task->flags & RPI_FRAME_CHUNK)) {
        frame.flags |= RPI_FRAME_LARGE;
    }
    return frame;
}

static void put_answer(struct rpi_writer *writer, const struct rpi_frame *task)
{
    static uint8_t payload[LIMIT];
    if (kind == PARENTS && task->flags & RPI_FRAME_MAY_SPAWN)
        for (uint32_t i = 0; i < 2; i++) {
            struct rpi_frame child = {
                .id = task->id, .attempt = task->attempt, .number = i, .length = 5
            };
            child.flags = (uint8_t)(RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER |
                                    (i ? RPI_FRAME_CHUNK : 0));
            rpi_wire_put_payload(rpi_writer_frame(writer, &child), "child", 5);
        }
    struct rpi_frame frame = answer_to(task);
    memset(payload, 0, sizeof payload);
    if (frame.flags & RPI_FRAME_FAILED)
        rpi_failure_put(payload, RP_ERR_TASK, 3, "wrong", 5);
    if (frame.failures)
        rpi_item_failure_put(
            payload + rpi_wire_padded(task->chunk.count * OUT_SIZE),
            &(struct rpi_item_failure){
                .item = 2, .status = RP_ERR_TASK, .message = "item", .length = 4 });
    uint8_t *at = rpi_writer_frame(writer, &frame);
    if (!(frame.flags & RPI_FRAME_LARGE))
        rpi_wire_put_payload(at, payload, frame.length);
}

static void put_message(int worker, const void *bytes, size_t size)
{
    output_byte(answers, (unsigned)worker);
    output_word(answers, size);
    output_bytes(answers, bytes, size);
}

static void answer_share(const struct rpi_reader *reader, int worker)
{
    static const enum rpi_share_what steps[] = { RPI_SHARE_WANT, RPI_SHARE_ROOM, RPI_SHARE_HAVE };
    struct rpi_share_message message;
    uint8_t bytes[RPI_SHARE_MOST];
    if (rpi_share_get(reader, &message) != RP_OK || message.what != RPI_SHARE_NEW)
        return;
    for (size_t i = 0; i < 3; i++) {
        const struct rpi_share_message answer = { .what = steps[i],
                                                  .version = message.version,
                                                  .fd = 40 + worker };
        put_message(worker, bytes, rpi_share_put(bytes, &answer));
    }
}

static void answer_batch(const struct rpi_batch *batch)
{
    static uint8_t bytes[LIMIT * 2];
    struct rpi_reader reader;
    struct rpi_writer writer;
    MUST(rpi_reader_open(&reader, batch->bytes, batch->size) == RP_OK);
    if (reader.kind == RPI_SHARE)
        answer_share(&reader, batch->peer);
    if (reader.kind != RPI_TASKS)
        return;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    while (reader.left) {
        struct rpi_frame frame = { 0 };
        MUST(rpi_reader_frame(&reader, &frame) == RP_OK);
        put_answer(&writer, &frame);
    }
    rpi_writer_close(&writer, RPI_RESULTS, 777);
    put_message(batch->peer, bytes, writer.used);
}

void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into),
                const char *into)
{
    static const char *const names[] = { "master_good", "master_large", "master_failed",
                                         "master_parents" };
    static struct output output;
    answers = &output;
    for (int i = GOOD; i <= PARENTS; i++) {
        struct input nothing = { NULL, NULL };
        output.used = 0;
        kind = (enum kind)i;
        begin();
        look_at = answer_batch;
        effects(&nothing);
        for (size_t read = 0, turns = 0; read < output.used && turns < 12; turns++) {
            int worker = output.bytes[read];
            size_t size = output.bytes[read + 1] | (size_t)output.bytes[read + 2] << 8;
            MUST(rpi_master_receive(&master, worker, output.bytes + read + 3, size, now) == RP_OK);
            read += 3 + size;
            effects(&nothing);
        }
        look_at = NULL;
        look_at_outcomes();
        end();
        give(names[i], output.bytes, output.used, into);
    }
}
