/* The command rankpool: what it can do, one noun a file. */
#include "launch.h"
#include "rank.h"
#include "log.h"

#include <fcntl.h>
#include <rankpool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit status */
    const char *help;                  /* NULL: not for people */
} commands[] = {
    { "launch", launch,
      "run a program over MPI so that it survives lost workers, and return its true exit status" },
    { RANK_COMMAND, rank_run, NULL },
};

static void help(FILE *file)
{
    (void)fputs("usage: rankpool COMMAND [OPTIONS] ...\n"
                "       rankpool --version | --help\n\n",
                file);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].help)
            (void)fprintf(file, "  %-8s  %s\n", commands[i].name, commands[i].help);
    (void)fputs("\nrankpool COMMAND --help tells more of each; the manual page is rankpool(1).\n",
                file);
}

/* A caller that has closed one of descriptors 0 to 2 wants nothing of it; if it stayed free, a file
 * of ours or a pipe of mpirun's would get its number. */
static void fill_standard_files(void)
{
    int file;
    do
        file = open("/dev/null", O_RDWR);
    while (file >= STDIN_FILENO && file <= STDERR_FILENO);
    if (file > STDERR_FILENO)
        (void)close(file);
}

int main(int argc, char **argv)
{
    fill_standard_files();
    const char *word = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (strcmp(word, "--version") == 0) {
        (void)printf("rankpool %s\n", rp_version());
        return 0;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help(stdout);
        return 0;
    }
    if (*word)
        log_line("there is no command %s; rankpool --help lists them", word);
    else
        help(stderr);
    return USAGE_ERROR;
}
