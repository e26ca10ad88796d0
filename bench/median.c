/* median ROUNDS [-b 'SHELL LINE'] COMMAND... ';' [-b 'SHELL LINE'] COMMAND... ';' ...
 *
 * Runs the commands in turn, ROUNDS times each, so that a slow moment of the machine falls on all of them, and prints the
 * median milliseconds of each, one number a line. What -b names is run before each run of its command and not measured.
 * A first round warms the caches and is not counted. Standard output of the commands goes nowhere. A command that fails
 * ends it all.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct subject {
    char *before, **command;
    double *times;
};

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static double run(struct subject *subject, int nowhere) {
    if (subject->before && system(subject->before)) {
        fprintf(stderr, "median: failed: %s\n", subject->before);
        exit(1);
    }
    double start = now();
    pid_t child = vfork();
    if (child == 0) {
        dup2(nowhere, 1);
        execvp(subject->command[0], subject->command);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status) {
        fprintf(stderr, "median: %s: failed with wait status %d\n", subject->command[0], status);
        exit(1);
    }
    return now() - start;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 0, subjects = 0;
    if (rounds < 1) return 2;
    struct subject list[16] = {0};
    for (int i = 2; i < count && subjects < 16; i++, subjects++) {
        struct subject *subject = &list[subjects];
        if (!strcmp(arguments[i], "-b") && i + 2 < count) {
            subject->before = arguments[i + 1];
            i += 2;
        }
        subject->command = arguments + i;
        subject->times = calloc(rounds, sizeof(double));
        while (i < count && strcmp(arguments[i], ";")) i++;
        if (i < count) arguments[i] = NULL;
    }
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int round = -1; round < rounds; round++)
        for (int i = 0; i < subjects; i++) {
            double time = run(&list[i], nowhere);
            if (round >= 0) list[i].times[round] = time;
        }
    for (int i = 0; i < subjects; i++) {
        qsort(list[i].times, rounds, sizeof(double), ascending);
        printf("%.3f\n", list[i].times[rounds / 2]);
    }
    return 0;
}
