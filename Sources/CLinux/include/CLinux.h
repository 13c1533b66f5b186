// The system calls and ioctls of Linux that Swift's Glibc module does not show.
// Everything here is a thin static inline: no state, no policy.
#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

// openat2(2); returns -1 and errno like openat(2).
static inline int clinux_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}
static const uint64_t CLINUX_RESOLVE_BENEATH = RESOLVE_BENEATH;
static const uint64_t CLINUX_RESOLVE_NO_MAGICLINKS = RESOLVE_NO_MAGICLINKS;
static const uint64_t CLINUX_RESOLVE_NO_SYMLINKS = RESOLVE_NO_SYMLINKS;

static inline int clinux_renameat2(int from, const char *old, int to, const char *new_, unsigned flags) {
    return (int)syscall(SYS_renameat2, from, old, to, new_, flags);
}

// Size of a block device in bytes (BLKGETSIZE64).
static inline int clinux_block_size(int fd, uint64_t *bytes) { return ioctl(fd, BLKGETSIZE64, bytes); }

// Which disk of this boot a block device is (BLKGETDISKSEQ, Linux 5.15).
static inline int clinux_disk_sequence(int fd, uint64_t *number) {
    return ioctl(fd, _IOR(0x12, 128, uint64_t), number);
}

// fcntl(F_OFD_SETLK) over the whole file. `type` is F_RDLCK, F_WRLCK or F_UNLCK.
static inline int clinux_ofd_lock(int fd, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

// The filesystem's magic number (f_type of fstatfs(2)); -1 and errno where it cannot be asked.
static inline int64_t clinux_filesystem_type(int fd) {
    struct statfs statistics;
    return fstatfs(fd, &statistics) == 0 ? (int64_t)(uint32_t)statistics.f_type : -1;
}

static inline int clinux_clone(int target, int source) { return ioctl(target, FICLONE, source); }

// Takes a read lease and gives it back: EAGAIN where the file is open for writing. Somebody who opens it in
// between makes the kernel send a signal; SIGURG is ignored unless asked for, the default would kill.
static inline int clinux_probe_writers(int fd) {
    if (fcntl(fd, F_SETSIG, SIGURG) == -1 || fcntl(fd, F_SETLEASE, F_RDLCK) == -1) return -1;
    return fcntl(fd, F_SETLEASE, F_UNLCK);
}

// Identity of the calling thread alone: the raw calls, because glibc's wrappers change every thread.
static inline int clinux_set_thread_groups(size_t count, const gid_t *groups) {
    return (int)syscall(SYS_setgroups, count, groups);
}
static inline void clinux_set_thread_fsids(uid_t uid, gid_t gid) {
    syscall(SYS_setfsgid, gid);
    syscall(SYS_setfsuid, uid);
}

static inline int clinux_set_io_flusher(void) { return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); }

// pread(2) and pwrite(2) whose pages do not stay in the page cache (RWF_DONTCACHE); EOPNOTSUPP where that is unknown.
static inline ssize_t clinux_read_without_pages(int fd, void *buffer, size_t count, off_t offset) {
    struct iovec piece = {buffer, count};
    return preadv2(fd, &piece, 1, offset, RWF_DONTCACHE);
}
static inline ssize_t clinux_write_without_pages(int fd, const void *data, size_t count, off_t offset) {
    struct iovec piece = {(void *)data, count};
    return pwritev2(fd, &piece, 1, offset, RWF_DONTCACHE);
}

static inline int clinux_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

#include "CLinuxNodes.h"
#include "CLinuxProcesses.h"

#endif
