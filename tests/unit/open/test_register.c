/* Names of task functions.  The process's table cannot be emptied: each test adds its own names,
 * the fatal ones last. */
#include "harness.h"
#include "memory.h"
#include "open/register.h"

#include <stdio.h>
#include <string.h>

static rp_status first(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    return rp_fail(call, (int)size, "first");
}

static rp_status second(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    return rp_fail(call, (int)size, "second");
}

static struct memory memory;

static struct rpi_registry snapshot(void)
{
    struct rpi_registry registry;
    memory = (struct memory){ 0 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_register_snapshot(&registry, &alloc), RP_OK);
    return registry;
}

static void drop(struct rpi_registry *registry)
{
    rpi_registry_fini(registry);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static bool says(const char *words)
{
    return strstr(rp_error_message(), words);
}

/* Runs first. */
static void empty_table(void)
{
    struct rpi_registry registry = snapshot();
    CU_ASSERT_EQUAL(registry.count, 0);
    CU_ASSERT_EQUAL(registry.hash, 0xCBF29CE484222325U);
    CU_ASSERT_EQUAL(rpi_registry_find(&registry, first), RPI_NO_FUNCTION);
    drop(&registry);
}

static void found_by_function(void)
{
    char name[] = "reg_b";
    CU_ASSERT_EQUAL(rp_register(name, second), RP_OK);
    name[4] = 'z'; /* it was copied */
    CU_ASSERT_EQUAL(rp_register("reg_a", first), RP_OK);
    struct rpi_registry registry = snapshot();
    CU_ASSERT_EQUAL(registry.count, 2);
    CU_ASSERT_STRING_EQUAL(registry.names[0], "reg_a"); /* sorted, not as registered */
    CU_ASSERT_STRING_EQUAL(registry.names[1], "reg_b");
    CU_ASSERT_EQUAL(rpi_registry_find(&registry, first), 0);
    CU_ASSERT_EQUAL(rpi_registry_find(&registry, second), 1);
    CU_ASSERT_EQUAL(rpi_registry_find(&registry, NULL), RPI_NO_FUNCTION);
    drop(&registry);
}

static void same_again_is_nothing_new(void)
{
    struct rpi_registry before = snapshot();
    CU_ASSERT_EQUAL(rp_register("reg_a", first), RP_OK);
    rp_register_at("reg_a", first, "file.c", 3);
    struct rpi_registry after = snapshot();
    CU_ASSERT_EQUAL(before.count, after.count);
    CU_ASSERT_EQUAL(before.hash, after.hash);
    rpi_registry_fini(&before);
    rpi_registry_fini(&after);
}

static void refused_names(void)
{
    char longest[RPI_NAME_MAX + 2];
    memset(longest, 'n', sizeof longest);
    longest[RPI_NAME_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(rp_register(NULL, first), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(rp_register("", first), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(rp_register("reg_null", NULL), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(rp_register(longest, first), RP_ERR_INVALID);
    CU_ASSERT_TRUE(says("255"));
    CU_ASSERT_EQUAL(rp_register("reg_a", second), RP_ERR_INVALID);
    CU_ASSERT_TRUE(says("reg_a"));
    struct rpi_registry registry = snapshot(); /* none of these stops a pool from opening */
    CU_ASSERT_EQUAL(registry.count, 2);
    drop(&registry);
    longest[RPI_NAME_MAX] = '\0';
    CU_ASSERT_EQUAL(rp_register(longest, first), RP_OK);
}

/* One function under several names runs under the first of them. */
static void function_of_two_names(void)
{
    CU_ASSERT_EQUAL(rp_register("aaa_alias", first), RP_OK);
    struct rpi_registry registry = snapshot();
    uint16_t number = rpi_registry_find(&registry, first);
    CU_ASSERT_EQUAL(number, 0);
    CU_ASSERT_STRING_EQUAL(registry.names[number], "aaa_alias");
    drop(&registry);
}

static void hash_tells_names_apart(void)
{
    struct rpi_registry before = snapshot();
    CU_ASSERT_EQUAL(rp_register("xy", first), RP_OK);
    CU_ASSERT_EQUAL(rp_register("xyz", first), RP_OK);
    struct rpi_registry after = snapshot();
    CU_ASSERT_NOT_EQUAL(before.hash, after.hash);
    CU_ASSERT_NOT_EQUAL(before.hash, 0);
    rpi_registry_fini(&before);
    rpi_registry_fini(&after);
}

static void snapshot_stays_as_it_was(void)
{
    struct rpi_registry before = snapshot();
    uint32_t count = before.count;
    char name[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "later_%d", i);
        CU_ASSERT_EQUAL(rp_register(name, second), RP_OK);
    }
    CU_ASSERT_EQUAL(before.count, count);
    CU_ASSERT_STRING_EQUAL(before.names[before.count - 1], "xyz");
    struct rpi_registry after = snapshot();
    CU_ASSERT_EQUAL(after.count, count + 100);
    for (uint32_t i = 1; i < after.count; i++)
        CU_ASSERT_TRUE(strcmp(after.names[i - 1], after.names[i]) < 0);
    rpi_registry_fini(&before);
    rpi_registry_fini(&after);
}

static void snapshot_without_memory(void)
{
    for (uint64_t call = 1; call <= 3; call++) {
        struct rpi_registry registry;
        struct rpi_alloc alloc = memory_hook(&memory);
        memory = (struct memory){ .fail_at = call };
        CU_ASSERT_EQUAL(rpi_register_snapshot(&registry, &alloc), RP_ERR_NOMEM);
        CU_ASSERT_EQUAL(memory.refused, 1);
        CU_ASSERT_EQUAL(memory.live, 0);
    }
}

/* A clash before main reaches no caller: opening a pool reports it, with both source lines. */
static void clash_before_main(void)
{
    struct rpi_registry registry;
    struct rpi_alloc alloc = memory_hook(&memory);
    rp_register_at("reg_clash", first, "one.c", 11);
    rp_register_at("reg_clash", second, "two.c", 22);
    rp_register_at("reg_clash_too", first, "three.c", 33);
    rp_register_at("reg_clash_too", second, "four.c", 44);
    memory = (struct memory){ 0 };
    CU_ASSERT_EQUAL(rpi_register_snapshot(&registry, &alloc), RP_ERR_INVALID);
    CU_ASSERT_TRUE(says("reg_clash "));
    CU_ASSERT_TRUE(says("one.c:11"));
    CU_ASSERT_TRUE(says("two.c:22"));
    CU_ASSERT_EQUAL(memory.live, 0);
}

static CU_TestInfo tests[] = { { "empty_table", empty_table },
                               { "found_by_function", found_by_function },
                               { "same_again_is_nothing_new", same_again_is_nothing_new },
                               { "refused_names", refused_names },
                               { "function_of_two_names", function_of_two_names },
                               { "hash_tells_names_apart", hash_tells_names_apart },
                               { "snapshot_stays_as_it_was", snapshot_stays_as_it_was },
                               { "snapshot_without_memory", snapshot_without_memory },
                               { "clash_before_main", clash_before_main },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "registry", NULL, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
