// Calls on a file that is held by an O_PATH descriptor: through /proc/self/fd where the call wants a path.
#ifndef CLINUX_NODES_H
#define CLINUX_NODES_H

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

struct clinux_proc_path {
    char text[32];
};
static inline struct clinux_proc_path clinux_proc_path(int fd) {
    struct clinux_proc_path path;
    snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

static inline int clinux_open_node(int parent, const char *name) {
    return clinux_openat2(
        parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}
static inline int clinux_create(int parent, const char *name, int flags, mode_t mode) {
    return clinux_openat2(
        parent, name, (uint64_t)(unsigned)flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}
static inline int clinux_reopen(int fd, int flags) {
    return open(clinux_proc_path(fd).text, flags | O_CLOEXEC);
}
static inline int clinux_node_status(int fd, struct stat *status) {
    return fstatat(fd, "", status, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}
static inline int clinux_node_chmod(int fd, mode_t mode) {
    return chmod(clinux_proc_path(fd).text, mode);
}
static inline int clinux_node_chown(int fd, uid_t uid, gid_t gid) {
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}
static inline int clinux_node_utimens(int fd, const struct timespec times[2]) {
    return utimensat(fd, "", times, AT_EMPTY_PATH);
}
static inline int clinux_node_link(int fd, int parent, const char *name) {
    return linkat(AT_FDCWD, clinux_proc_path(fd).text, parent, name, AT_SYMLINK_FOLLOW);
}
static inline ssize_t clinux_node_readlink(int fd, char *buffer, size_t capacity) {
    return readlinkat(fd, "", buffer, capacity);
}
static inline int clinux_node_setxattr(
    int fd, const char *name, const void *value, size_t count, int flags) {
    return setxattr(clinux_proc_path(fd).text, name, value, count, flags);
}
static inline ssize_t clinux_node_getxattr(int fd, const char *name, void *value, size_t count) {
    return getxattr(clinux_proc_path(fd).text, name, value, count);
}
static inline ssize_t clinux_node_listxattr(int fd, char *names, size_t count) {
    return listxattr(clinux_proc_path(fd).text, names, count);
}
static inline int clinux_node_removexattr(int fd, const char *name) {
    return removexattr(clinux_proc_path(fd).text, name);
}

// What direct I/O of a regular file demands of offsets and lengths (`*offset`) and of memory (`*memory`), in bytes
// (statx(2) with STATX_DIOALIGN, Linux 6.1). ENOTSUP where the file is none, or its filesystem does not say.
static inline int clinux_direct_alignment(int fd, uint32_t *offset, uint32_t *memory) {
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_DIOALIGN, &status) == -1) return -1;
    *offset = status.stx_dio_offset_align;
    *memory = status.stx_dio_mem_align;
    if (S_ISREG(status.stx_mode) && status.stx_mask & STATX_DIOALIGN && *offset && *memory) return 0;
    errno = ENOTSUP;
    return -1;
}

static inline ssize_t clinux_getdents(int fd, void *buffer, size_t count) {
    return syscall(SYS_getdents64, fd, buffer, count);
}

// Gives the calling thread a umask of its own.
static inline int clinux_unshare_umask(void) { return unshare(CLONE_FS); }

static inline int clinux_unmount(const char *path) { return umount2(path, UMOUNT_NOFOLLOW); }

static const long CLINUX_UTIME_NOW = UTIME_NOW;
static const long CLINUX_UTIME_OMIT = UTIME_OMIT;
static const int CLINUX_O_PATH = O_PATH;
static const int CLINUX_O_SYNC = O_SYNC;
static const int CLINUX_O_DSYNC = O_DSYNC;

#endif
