/* Without libFuzzer: each argument is an input, or a directory of them.  -w DIRECTORY writes the
 * inputs to begin with. */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static int inputs;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    static uint8_t bytes[1 << 20];
    if (!file) {
        perror(path);
        exit(2);
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    uint8_t *exact = test_room(NULL, size ? size : 1);
    memcpy(exact, bytes, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    inputs++;
}

static void run(const char *path)
{
    struct stat about;
    DIR *directory = stat(path, &about) == 0 && S_ISDIR(about.st_mode) ? opendir(path) : NULL;
    if (!directory) {
        run_file(path);
        return;
    }
    /* cppcheck-suppress readdirCalled */
    for (const struct dirent *entry; (entry = readdir(directory));) {
        char name[4096];
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            run_file(name);
    }
    (void)closedir(directory);
}

static void write_seed(const char *name, const uint8_t *data, size_t size, const char *into)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", into, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "-w") == 0) {
        fuzz_seeds(write_seed, argv[2]);
        return 0;
    }
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    printf("%d inputs\n", inputs);
    return inputs > 0 ? 0 : 2;
}
