/* The table of chains against a plain array of the same records. */
#include "base/table.h"
#include "harness.h"
#include "memory.h"

enum { MANY = 1000 };

struct record {
    struct rpi_link link;
    uint64_t key;
    bool in;
};

static struct memory memory;
static struct rpi_alloc alloc;
static struct rpi_table table;
static struct record records[MANY];

static void begin(uint32_t buckets)
{
    memory = (struct memory){ 0 };
    alloc = memory_hook(&memory);
    table = (struct rpi_table){ 0 };
    CU_ASSERT_TRUE_FATAL(rpi_table_make(&table, &alloc, buckets));
    for (uint64_t i = 0; i < MANY; i++)
        records[i] = (struct record){ .key = i * i + 7 };
}

static void end(void)
{
    rpi_table_free(&table, &alloc);
    CU_ASSERT_PTR_NULL(table.buckets);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void put(struct record *record)
{
    rpi_list_append(rpi_table_bucket(&table, record->key), &record->link);
    record->in = true;
}

static void take(struct record *record)
{
    rpi_list_remove(&record->link);
    record->in = false;
}

static const struct record *find(uint64_t key)
{
    const struct rpi_link *head = rpi_table_bucket(&table, key);
    for (const struct rpi_link *link = head->next; link != head; link = link->next)
        if (RPI_MEMBER(link, struct record, link)->key == key)
            return RPI_MEMBER(link, struct record, link);
    return NULL;
}

/* Each record that is in, once, and no other. */
static void walk(void)
{
    static int met[MANY];
    uint64_t key = 0;
    for (int i = 0; i < MANY; i++)
        met[i] = 0;
    for (const struct rpi_link *link = NULL; (link = rpi_table_next(&table, link, key));) {
        const struct record *record = RPI_MEMBER(link, struct record, link);
        key = record->key;
        met[record - records]++;
    }
    for (int i = 0; i < MANY; i++)
        CU_ASSERT_EQUAL(met[i], records[i].in);
}

static void finds_and_walks(void)
{
    for (uint32_t buckets = 1; buckets <= 4096; buckets *= 16) {
        begin(buckets);
        walk();
        for (int i = 0; i < MANY; i++)
            put(&records[i]);
        walk();
        for (int i = 0; i < MANY; i += 3)
            take(&records[i]);
        walk();
        for (int i = 0; i < MANY; i++)
            CU_ASSERT_PTR_EQUAL(find(records[i].key), records[i].in ? &records[i] : NULL);
        for (int i = 0; i < MANY; i++)
            if (records[i].in)
                take(&records[i]);
        walk();
        end();
    }
}

static void empty_before_it_is_made(void)
{
    struct rpi_table none = { 0 };
    CU_ASSERT_PTR_NULL(rpi_table_bucket(&none, 5));
    CU_ASSERT_PTR_NULL(rpi_table_next(&none, NULL, 0));
}

static void made_once(void)
{
    begin(8);
    const struct rpi_link *buckets = table.buckets;
    put(&records[3]);
    CU_ASSERT_TRUE(rpi_table_make(&table, &alloc, 64));
    CU_ASSERT_PTR_EQUAL(table.buckets, buckets);
    CU_ASSERT_PTR_EQUAL(find(records[3].key), &records[3]);
    take(&records[3]);
    end();
}

static void no_memory(void)
{
    memory = (struct memory){ .fail_at = 1 };
    alloc = memory_hook(&memory);
    table = (struct rpi_table){ 0 };
    CU_ASSERT_FALSE(rpi_table_make(&table, &alloc, 8));
    CU_ASSERT_PTR_NULL(rpi_table_bucket(&table, 1));
    CU_ASSERT_TRUE(rpi_table_make(&table, &alloc, 8));
    end();
}

/* Each record once, and then nothing. */
static void empties(void)
{
    for (uint32_t buckets = 1; buckets <= 4096; buckets *= 16) {
        begin(buckets);
        for (int i = 0; i < MANY; i++)
            put(&records[i]);
        int popped = 0;
        for (struct rpi_link *link; (link = rpi_table_pop(&table)); popped++) {
            struct record *record = RPI_MEMBER(link, struct record, link);
            CU_ASSERT_TRUE(record->in);
            record->in = false;
        }
        CU_ASSERT_EQUAL(popped, MANY);
        CU_ASSERT_PTR_NULL(rpi_table_pop(&table));
        end();
    }
    table = (struct rpi_table){ 0 };
    CU_ASSERT_PTR_NULL(rpi_table_pop(&table));
}

static CU_TestInfo tests[] = { { "finds_and_walks", finds_and_walks },
                               { "empties", empties },
                               { "empty_before_it_is_made", empty_before_it_is_made },
                               { "made_once", made_once },
                               { "no_memory", no_memory },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "table", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
