/* Unbalanced tree search by rp_spawn: the tree T1 (geometric, 4,130,071 nodes, each a SHA-1) with
 * one task a node and with a hundred, beside the sequential program on the same machine in the same
 * run.  run: mpirun -n 2 */
#include "figure.h"

#include <math.h>
#include <mpi.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE     20
#define DEPTH     10
#define BRANCHING 4.0
#define SEED      19
#define NODES     4130071
#define CHILDREN  100

struct node {
    unsigned char state[STATE];
    int depth;
};

struct part {
    int grain; /* nodes a task walks */
    struct node node;
};

static void sha1(const unsigned char *data, size_t size, unsigned char *out)
{
    (void)EVP_Digest(data, size, out, NULL, EVP_sha1(), NULL);
}

static void put_number(unsigned char *to, int number)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)((unsigned)number >> (24 - 8 * i));
}

static struct node root_node(void)
{
    struct node root = { .depth = 0 };
    unsigned char bytes[STATE] = { 0 };
    put_number(bytes + 16, SEED);
    sha1(bytes, sizeof bytes, root.state);
    return root;
}

static void make_child(const struct node *parent, int number, struct node *child)
{
    unsigned char bytes[STATE + 4];
    memcpy(bytes, parent->state, STATE);
    put_number(bytes + STATE, number);
    child->depth = parent->depth + 1;
    sha1(bytes, sizeof bytes, child->state);
}

static int count_children(const struct node *node)
{
    const unsigned char *s = node->state + 16;
    unsigned value = ((unsigned)s[0] << 24 | (unsigned)s[1] << 16 | (unsigned)s[2] << 8 | s[3]) &
                     0x7FFFFFFFU;
    if (node->depth >= DEPTH)
        return 0;
    int count = (int)floor(log(1 - value / 2147483648.0) / log(1 - 1 / (1 + BRANCHING)));
    return count > CHILDREN ? CHILDREN : count;
}

/* Walks at most `most` nodes from those on the stack; what is left of it stays. */
static size_t walk_nodes(struct node **stack, size_t *count, size_t *capacity, size_t most)
{
    size_t walked = 0;
    for (; walked<most && * count> 0; walked++) {
        struct node node = (*stack)[--*count];
        int children = count_children(&node);
        if (*count + (size_t)children > *capacity) {
            *capacity = 2 * *capacity + CHILDREN;
            *stack = realloc(*stack, *capacity * sizeof **stack);
            must(*stack ? RP_OK : RP_ERR_NOMEM, "spawn");
        }
        for (int i = 0; i < children; i++)
            make_child(&node, i, &(*stack)[(*count)++]);
    }
    return walked;
}

static rp_status walk(rp_call *call, const void *arg, size_t size)
{
    static struct node *stack;
    static size_t capacity;
    struct part part = *(const struct part *)arg;
    size_t count = 1;
    (void)size;
    if (!capacity) {
        capacity = CHILDREN;
        stack = malloc(capacity * sizeof *stack);
        must(stack ? RP_OK : RP_ERR_NOMEM, "spawn");
    }
    stack[0] = part.node;
    uint64_t walked = walk_nodes(&stack, &count, &capacity, (size_t)part.grain);
    while (count > 0) {
        part.node = stack[--count];
        rp_status status = rp_spawn(call, walk, &part, sizeof part, NULL);
        if (status != RP_OK)
            return status;
    }
    return rp_return(call, &walked, sizeof walked);
}
RP_TASK(walk);

/* ---- nodes a second */

static double sequential(void)
{
    size_t capacity = CHILDREN, count = 1;
    struct node *stack = malloc(capacity * sizeof *stack);
    must(stack ? RP_OK : RP_ERR_NOMEM, "spawn");
    double begin = seconds();
    stack[0] = root_node();
    size_t walked = walk_nodes(&stack, &count, &capacity, SIZE_MAX);
    double time = seconds() - begin;
    must(walked == NODES ? RP_OK : RP_ERR_BROKEN, "a wrong count of nodes");
    free(stack);
    return NODES / time;
}

static double spawned(rp_pool *pool, int grain)
{
    struct part root = { .grain = grain, .node = root_node() };
    rp_stream *stream;
    rp_item item = RP_ITEM_INIT;
    rp_status status;
    uint64_t walked = 0;
    double begin = seconds();
    must(rp_stream_open(pool, NULL, &stream), "rp_stream_open");
    must(rp_stream_submit(stream, walk, &root, sizeof root, NULL, NULL), "rp_stream_submit");
    must(rp_stream_end(stream), "rp_stream_end");
    while ((status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK) {
        must(item.outcome->status, "a task");
        walked += *(const uint64_t *)item.outcome->data;
    }
    must(status == RP_END ? RP_OK : status, "rp_stream_next");
    double time = seconds() - begin;
    must(rp_stream_close(&stream), "rp_stream_close");
    must(walked == NODES ? RP_OK : RP_ERR_BROKEN, "a wrong count of nodes");
    return NODES / time;
}

int main(void)
{
    rp_pool *pool;
    double one[BENCH_ROUNDS], hundred[BENCH_ROUNDS], limit[BENCH_ROUNDS];
    must(rp_open(NULL, &pool), "rp_open");
    if (!pool)
        return 0;
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        limit[i] = 1e-6 * sequential();
        one[i] = 1e-6 * spawned(pool, 1) / (double)rp_workers(pool);
        hundred[i] = 1e-6 * spawned(pool, 100) / (double)rp_workers(pool);
    }
    figure("spawn-1", "Mnodes/s", one, "sequential", limit, BENCH_ROUNDS);
    figure("spawn-100", "Mnodes/s", hundred, "sequential", limit, BENCH_ROUNDS);
    return rp_close(&pool) != RP_OK;
}
