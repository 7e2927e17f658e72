/* Stands between a program and the disk: counts its I/O calls, logs them, and lets one of them go wrong.
 *
 * Loaded with LD_PRELOAD. Only calls on files below FAULTS_UNDER count. `fault_arm` says which call fails and how;
 * a program that is not written for it is armed by FAULTS_ARM="operations call kind sticky" in its environment.
 * Calls go to the kernel directly, so nothing here depends on the order of libraries. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The order is that of `OPERATIONS` and `KINDS` in harness.py. */
enum operation { OPEN, WRITE, FSYNC, RENAME, UNLINK, TRUNCATE, CHMOD, MKDIR, CLOSE, READ };
static const char *const names[] = {"open", "write", "fsync", "rename", "unlink",
                                    "truncate", "chmod", "mkdir", "close", "read"};
enum kind { NONE, KILL_BEFORE, KILL_AFTER, TORN, SHORT, EIO_, ENOSPC_, FLIP_MIDDLE, FLIP_LAST };

static char under[PATH_MAX];
static size_t under_length;
static pid_t armed_pid; /* a child that is forked later is another process: it is left alone */
static unsigned operations;
static long at;
static int kind, sticky, log_file = -1;
static atomic_long calls;

static void say(const char *line, size_t length) {
    if (log_file >= 0) syscall(SYS_write, log_file, line, length);
}

void fault_arm(unsigned which, long call, int how, int stays) {
    operations = which, at = call, kind = how, sticky = stays;
    atomic_store(&calls, 0);
    armed_pid = getpid();
}

void fault_log(const char *path) {
    if (log_file >= 0) syscall(SYS_close, log_file);
    log_file = path ? syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
    armed_pid = getpid();
}

void fault_mark(const char *text) {
    char line[4096];
    int length = snprintf(line, sizeof line, "mark\t%s\n", text);
    say(line, length < (int)sizeof line ? length : (int)sizeof line - 1);
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("FAULTS_UNDER"), *arm = getenv("FAULTS_ARM"), *log = getenv("FAULTS_LOG");
    if (folder) snprintf(under, sizeof under, "%s", folder), under_length = strlen(under);
    if (log) fault_log(log);
    unsigned which;
    long call;
    int how, stays;
    if (arm && sscanf(arm, "%u %ld %d %d", &which, &call, &how, &stays) == 4) fault_arm(which, call, how, stays);
    /* Programs that this one starts are not meant. */
    unsetenv("FAULTS_ARM"), unsetenv("FAULTS_LOG");
}

static int watched(const char *path) {
    return under_length && !strncmp(path, under, under_length) && (path[under_length] == '/' || !path[under_length]);
}

static int path_of(int folder, const char *name, char *path) {
    char base[PATH_MAX];
    if (!name) return 0;
    if (name[0] == '/') return snprintf(path, PATH_MAX, "%s", name) > 0;
    char link[64];
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
    if (length < 0) return 0;
    base[length] = 0;
    return snprintf(path, PATH_MAX, "%s/%s", base, name) > 0;
}

static int path_of_file(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts a call and says what is to go wrong with it. */
static int gate(enum operation operation, const char *path, const char *path2, int file, long size) {
    int saved = errno, found = NONE;
    if (getpid() != armed_pid || !(watched(path) || (path2 && watched(path2)))) return NONE;
    long call = 0;
    if (operations >> operation & 1) {
        call = atomic_fetch_add(&calls, 1) + 1;
        if (at && (call == at || (sticky && call > at))) found = kind;
    }
    if (log_file >= 0) {
        char line[2 * PATH_MAX + 128];
        int length = snprintf(line, sizeof line, "%ld\t%s\t%d\t%ld\t%ld\t%d\t%s\t%s\n", call,
                              names[operation], file, size, syscall(SYS_gettid), found, path, path2 ? path2 : "");
        say(line, length);
    }
    if (found == KILL_BEFORE) die();
    errno = saved;
    return found;
}

static int refused(int fault) {
    if (fault != EIO_ && fault != ENOSPC_) return 0;
    errno = fault == EIO_ ? EIO : ENOSPC;
    return 1;
}

static long finish(int fault, long result) {
    if (fault == KILL_AFTER) die();
    return result;
}

static int open_at(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int fault = NONE;
    /* Opening to read changes nothing, but fails like the rest. */
    if (path_of(folder, name, path)) fault = gate(OPEN, path, NULL, -1, flags);
    if (refused(fault)) return -1;
    return finish(fault, syscall(SYS_openat, folder, name, flags, mode));
}

static long write_to(int file, const void *bytes, size_t size, off_t place) {
    char path[PATH_MAX];
    int fault = path_of_file(file, path) ? gate(WRITE, path, NULL, file, size) : NONE;
    if (refused(fault)) return -1;
    void *spoiled = NULL;
    if (fault == TORN || fault == SHORT) size = size > 1 ? size / 2 : size;
    if ((fault == FLIP_MIDDLE || fault == FLIP_LAST) && size && (spoiled = malloc(size))) {
        memcpy(spoiled, bytes, size);
        ((char *)spoiled)[fault == FLIP_LAST ? size - 1 : size / 2] ^= 1; /* a page of SQLite fills from its end */
        bytes = spoiled;
    }
    long result = place < 0 ? syscall(SYS_write, file, bytes, size) : syscall(SYS_pwrite64, file, bytes, size, place);
    free(spoiled);
    if (fault == TORN) die();
    return finish(fault, result);
}

static long read_from(int file, void *bytes, size_t size, off_t place) {
    char path[PATH_MAX];
    int fault = path_of_file(file, path) ? gate(READ, path, NULL, file, size) : NONE;
    if (refused(fault)) return -1;
    if (fault == SHORT && size > 1) size /= 2;
    long result = place < 0 ? syscall(SYS_read, file, bytes, size) : syscall(SYS_pread64, file, bytes, size, place);
    if (fault == FLIP_MIDDLE && result > 0) ((char *)bytes)[result / 2] ^= 1;
    if (fault == FLIP_LAST && result > 0) ((char *)bytes)[result - 1] ^= 1;
    return finish(fault, result);
}

#define MODE(flags)                                                   \
    mode_t mode = 0;                                                  \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                          \
        va_list rest;                                                 \
        va_start(rest, flags), mode = va_arg(rest, mode_t), va_end(rest); \
    }

int open(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE(flags) return open_at(folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE(flags) return open_at(folder, name, flags, mode); }
int __open_2(const char *name, int flags) { return open_at(AT_FDCWD, name, flags, 0); }
int __open64_2(const char *name, int flags) { return open_at(AT_FDCWD, name, flags, 0); }
int creat(const char *name, mode_t mode) { return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

ssize_t write(int file, const void *bytes, size_t size) { return write_to(file, bytes, size, -1); }
ssize_t pwrite(int file, const void *bytes, size_t size, off_t place) { return write_to(file, bytes, size, place); }
ssize_t pwrite64(int file, const void *bytes, size_t size, off_t place) { return write_to(file, bytes, size, place); }
ssize_t writev(int file, const struct iovec *parts, int count) {
    /* A short write is allowed: whoever calls must go on by itself. */
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len) return write_to(file, parts[i].iov_base, parts[i].iov_len, -1);
    return 0;
}

ssize_t read(int file, void *bytes, size_t size) { return read_from(file, bytes, size, -1); }
ssize_t pread(int file, void *bytes, size_t size, off_t place) { return read_from(file, bytes, size, place); }
ssize_t pread64(int file, void *bytes, size_t size, off_t place) { return read_from(file, bytes, size, place); }

static int on_file(enum operation operation, int file, long number, long first) {
    char path[PATH_MAX];
    int fault = path_of_file(file, path) ? gate(operation, path, NULL, file, first) : NONE;
    if (operation == CLOSE) {
        /* The file is closed even when closing fails. */
        long result = syscall(SYS_close, file);
        return refused(fault) ? -1 : finish(fault, result);
    }
    if (refused(fault)) return -1;
    return finish(fault, syscall(number, file, first));
}

int fsync(int file) { return on_file(FSYNC, file, SYS_fsync, 0); }
int fdatasync(int file) { return on_file(FSYNC, file, SYS_fdatasync, 0); }
int ftruncate(int file, off_t size) { return on_file(TRUNCATE, file, SYS_ftruncate, size); }
int ftruncate64(int file, off_t size) { return on_file(TRUNCATE, file, SYS_ftruncate, size); }
int fchmod(int file, mode_t mode) { return on_file(CHMOD, file, SYS_fchmod, mode); }
int close(int file) { return on_file(CLOSE, file, SYS_close, 0); }

int renameat2(int from, const char *before, int to, const char *after, unsigned flags) {
    char path[PATH_MAX], path2[PATH_MAX];
    int fault = path_of(from, before, path) && path_of(to, after, path2) ? gate(RENAME, path, path2, -1, 0) : NONE;
    if (refused(fault)) return -1;
    return finish(fault, syscall(SYS_renameat2, from, before, to, after, flags));
}
int rename(const char *before, const char *after) { return renameat2(AT_FDCWD, before, AT_FDCWD, after, 0); }
int renameat(int from, const char *before, int to, const char *after) { return renameat2(from, before, to, after, 0); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    int fault = path_of(folder, name, path) ? gate(UNLINK, path, NULL, -1, 0) : NONE;
    if (refused(fault)) return -1;
    return finish(fault, syscall(SYS_unlinkat, folder, name, flags));
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int folder, const char *name, mode_t mode) {
    char path[PATH_MAX];
    int fault = path_of(folder, name, path) ? gate(MKDIR, path, NULL, -1, mode) : NONE;
    if (refused(fault)) return -1;
    return finish(fault, syscall(SYS_mkdirat, folder, name, mode));
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
