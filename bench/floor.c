/* The floor under every container engine: the fewest system calls that make a container of an unpacked root file system.
 * Seven namespaces born at once, an overlay over LOWER, /proc, pivot_root, execve. One id is mapped; no cgroup, no
 * seccomp filter, no network set up, nothing recorded.
 *
 *     floor LOWER SCRATCH ARGV...   runs one container, its upper directory in SCRATCH, and ends as it did
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *call) {
    fprintf(stderr, "floor: %s: %s\n", call, strerror(errno));
    _exit(125);
}

static void put(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, text, strlen(text)) < 0) die(path);
    close(file);
}

int main(int count, char **arguments) {
    if (count < 4) {
        fputs("usage: floor LOWER SCRATCH ARGV...\n", stderr);
        return 125;
    }
    char uids[32], gids[32], options[8192];
    snprintf(uids, sizeof uids, "0 %u 1", geteuid());
    snprintf(gids, sizeof gids, "0 %u 1", getegid());
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=upper,workdir=work,userxattr", arguments[1]);
    if (chdir(arguments[2])) die("chdir");
    const char *parts[] = {"upper", "work", "merged"};
    for (int i = 0; i < 3; i++)
        if (mkdir(parts[i], 0755) && errno != EEXIST) die("mkdir");

    unsigned long all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
    long child = syscall(SYS_clone, all | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) die("clone");
    if (child == 0) {
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", uids);
        put("/proc/self/gid_map", gids);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("mount /");
        if (mount("overlay", "merged", "overlay", 0, options)) die("mount overlay");
        if (chdir("merged") || mount("proc", "proc", "proc", 0, NULL)) die("mount proc");
        if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/")) die("pivot_root");
        execvp(arguments[3], arguments + 3);
        die(arguments[3]);
    }
    int status;
    if (waitpid(child, &status, 0) < 0) die("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
