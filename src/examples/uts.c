/* Unbalanced Tree Search: counts the nodes of a tree that is unknown before it is walked, and whose
 * branches differ wildly in size.  Each node is 20 bytes, its children are the SHA-1 of it and
 * their number, so the tree is the same wherever it is walked.  The trees and their parameters are
 * those of the published benchmark (Olivier et al., "UTS: An Unbalanced Tree Search Benchmark",
 * LCPC 2006):
 *
 *   uts -t 1 -a 3 -d 10 -b 4 -r 19
 *       T1, geometric: 4130071 nodes, depth 10, 3305118 leaves
 *   uts -t 0 -b 2000 -q 0.124875 -m 8 -r 42
 *       T3, binomial: 4112897 nodes, depth 1572, 3599034 leaves
 *   uts -t 1 -a 0 -d 20 -b 4 -r 34
 *       T5, geometric, branching less with depth: 4147582 nodes, depth 20, 2181318 leaves
 *
 * A task walks -g nodes depth first and spawns what is left of its part as tasks; a stream brings
 * the counts. */
#include <rankpool.h>

#include <getopt.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE         20  /* bytes of a SHA-1 */
#define MOST_CHILDREN 100 /* of a node, but for a binomial tree's root */

enum tree { BINOMIAL = 0, GEOMETRIC = 1 };
enum shape { LINEAR = 0, FIXED = 3 };

/* The tree's parameters, and what a task is. */
struct node {
    unsigned char state[STATE];
    int depth;
};

struct tree_options {
    int tree, shape, depth, seed, children; /* -t -a -d -r -m */
    double branching, probability;          /* -b -q */
    int grain;                              /* -g: nodes a task walks */
};

struct part {
    struct tree_options options;
    struct node node;
};

struct counts {
    unsigned long long nodes, leaves;
    int depth;
};

static int sha1(const unsigned char *data, size_t size, unsigned char *out)
{
    return EVP_Digest(data, size, out, NULL, EVP_sha1(), NULL);
}

static void put_number(unsigned char *to, int number)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)((unsigned)number >> (24 - 8 * i));
}

static int make_child(const struct node *parent, int number, struct node *child)
{
    unsigned char bytes[STATE + 4];
    memcpy(bytes, parent->state, STATE);
    put_number(bytes + STATE, number);
    child->depth = parent->depth + 1;
    return sha1(bytes, sizeof bytes, child->state);
}

static int make_root(const struct tree_options *options, struct node *root)
{
    unsigned char bytes[STATE] = { 0 };
    put_number(bytes + 16, options->seed);
    root->depth = 0;
    return sha1(bytes, sizeof bytes, root->state);
}

/* The node's number in [0, 1). */
static double fraction(const struct node *node)
{
    const unsigned char *s = node->state + 16;
    unsigned value = ((unsigned)s[0] << 24 | (unsigned)s[1] << 16 | (unsigned)s[2] << 8 | s[3]) &
                     0x7FFFFFFFU;
    return value / 2147483648.0;
}

static int geometric(const struct tree_options *options, const struct node *node)
{
    double branching = options->branching;
    if (node->depth > 0 && options->shape == LINEAR)
        branching *= 1.0 - (double)node->depth / options->depth;
    else if (node->depth >= options->depth)
        return 0;
    if (branching <= 0)
        return 0;
    return (int)floor(log(1 - fraction(node)) / log(1 - 1 / (1 + branching)));
}

static int count_children(const struct tree_options *options, const struct node *node)
{
    int count;
    if (options->tree == GEOMETRIC)
        count = geometric(options, node);
    else if (node->depth == 0)
        return (int)floor(options->branching);
    else
        count = fraction(node) < options->probability ? options->children : 0;
    return count > MOST_CHILDREN ? MOST_CHILDREN : count;
}

/* A stack of nodes to walk, in one piece of memory. */
struct stack {
    struct node *nodes;
    size_t count, capacity;
};

static struct node *push(struct stack *stack)
{
    if (stack->count == stack->capacity) {
        size_t capacity = stack->capacity ? 2 * stack->capacity : 256;
        struct node *nodes = realloc(stack->nodes, capacity * sizeof *nodes);
        if (!nodes)
            return NULL;
        stack->nodes = nodes;
        stack->capacity = capacity;
    }
    return &stack->nodes[stack->count++];
}

static int visit(const struct tree_options *options, struct stack *stack, struct counts *counts)
{
    struct node node = stack->nodes[--stack->count];
    int children = count_children(options, &node);
    counts->nodes++;
    counts->leaves += children == 0;
    if (node.depth > counts->depth)
        counts->depth = node.depth;
    for (int i = 0; i < children; i++) {
        struct node *child = push(stack);
        if (!child || !make_child(&node, i, child))
            return 0;
    }
    return 1;
}

static rp_status walk(rp_call *call, const void *arg, size_t size)
{
    struct part part = *(const struct part *)arg;
    struct counts counts = { 0 };
    struct stack stack = { 0 };
    rp_status status = RP_OK;
    (void)size;
    struct node *first = push(&stack);
    if (!first)
        return rp_fail(call, 1, "no memory for the nodes");
    *first = part.node;
    for (int i = 0; i < part.options.grain && stack.count > 0 && status == RP_OK; i++)
        if (!visit(&part.options, &stack, &counts))
            status = rp_fail(call, 1, "no memory for the nodes, or no SHA-1");
    while (status == RP_OK && stack.count > 0) {
        part.node = stack.nodes[--stack.count];
        status = rp_spawn(call, walk, &part, sizeof part, NULL);
    }
    free(stack.nodes);
    return status == RP_OK ? rp_return(call, &counts, sizeof counts) : status;
}
RP_TASK(walk);

static int failed(const char *what)
{
    (void)fprintf(stderr, "uts: %s: %s\n", what, rp_error_message());
    return 0;
}

static int add_up(rp_stream *stream, struct counts *total)
{
    rp_item item = RP_ITEM_INIT;
    rp_status status;
    while ((status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK) {
        const struct counts *counts = item.outcome->data;
        if (item.outcome->status != RP_OK) {
            (void)fprintf(stderr, "uts: %s\n", item.outcome->message);
            return 0;
        }
        total->nodes += counts->nodes;
        total->leaves += counts->leaves;
        total->depth = counts->depth > total->depth ? counts->depth : total->depth;
    }
    return status == RP_END ? 1 : failed("rp_stream_next");
}

static int search(rp_pool *pool, const struct tree_options *options)
{
    struct part root = { .options = *options };
    struct counts total = { 0 };
    rp_stream *stream;
    if (!make_root(options, &root.node))
        return 0;
    if (rp_stream_open(pool, NULL, &stream) != RP_OK)
        return failed("rp_stream_open");
    if (rp_stream_submit(stream, walk, &root, sizeof root, NULL, NULL) != RP_OK ||
        rp_stream_end(stream) != RP_OK)
        return failed("rp_stream_submit");
    int good = add_up(stream, &total);
    (void)rp_stream_close(&stream);
    if (good)
        (void)printf("nodes %llu  leaves %llu  depth %d\n", total.nodes, total.leaves, total.depth);
    return good;
}

static int parse(int argc, char **argv, struct tree_options *options)
{
    int letter;
    while ((letter = getopt_long(argc, argv, "t:a:d:r:m:b:q:g:", NULL, NULL)) != -1) {
        double value = optarg ? strtod(optarg, NULL) : 0;
        switch (letter) {
        case 't':
            options->tree = (int)value;
            break;
        case 'a':
            options->shape = (int)value;
            break;
        case 'd':
            options->depth = (int)value;
            break;
        case 'r':
            options->seed = (int)value;
            break;
        case 'm':
            options->children = (int)value;
            break;
        case 'b':
            options->branching = value;
            break;
        case 'q':
            options->probability = value;
            break;
        case 'g':
            options->grain = (int)value;
            break;
        default:
            return 0;
        }
    }
    return optind == argc && options->grain > 0 &&
           (options->tree == BINOMIAL || options->tree == GEOMETRIC) &&
           (options->shape == LINEAR || options->shape == FIXED);
}

int main(int argc, char **argv)
{
    struct tree_options options = { .tree = GEOMETRIC,
                                    .shape = FIXED,
                                    .depth = 10,
                                    .seed = 19,
                                    .branching = 4,
                                    .children = 8,
                                    .probability = 0.124875,
                                    .grain = 100 };
    bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
    rp_pool *pool;
    if (rp_open(NULL, &pool) != RP_OK) {
        (void)failed("rp_open");
        return 1;
    }
    if (!pool)
        return 0;
    if (help || !parse(argc, argv, &options)) {
        (void)fprintf(help ? stdout : stderr,
                      "usage: uts [-t 0|1] [-a 0|3] [-d DEPTH] [-r SEED] [-b BRANCHING] [-q "
                      "PROBABILITY] [-m CHILDREN] [-g GRAIN]\n");
        (void)rp_terminate(&pool);
        return help ? 0 : 2;
    }
    if (!search(pool, &options)) {
        (void)rp_terminate(&pool);
        return 1;
    }
    return rp_close(&pool) != RP_OK;
}
