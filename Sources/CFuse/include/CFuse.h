// libfuse3's low-level API, and inline wrappers for what its macros hide from Swift.
#ifndef CFUSE_H
#define CFUSE_H

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

// What Debian 12's <linux/fuse.h> does not know yet; the values are the kernel's.
static const uint32_t CFUSE_OPEN_PASSTHROUGH = 1u << 7;
static const uint32_t CFUSE_INIT_EXT = 1u << 30;
static const uint32_t CFUSE_INIT2_DIRECT_IO_ALLOW_MMAP = 0x10;
static const uint32_t CFUSE_INIT2_PASSTHROUGH = 0x20;
static const uint32_t CFUSE_INIT2_HAS_RESEND = 0x80;
static const int32_t CFUSE_NOTIFY_RESEND = 7;
static const uint32_t CFUSE_WRITE_KILL_SUIDGID = 1u << 2;

// The answer to OPEN as newer kernels read it: the last word was padding before.
struct cfuse_open_out {
    uint64_t fh;
    uint32_t open_flags;
    int32_t backing_id;
};

// The answer to CREATE: an entry, then an open.
struct cfuse_create_out {
    struct fuse_entry_out entry;
    struct cfuse_open_out open;
};

static inline void cfuse_set_max_stack_depth(struct fuse_init_out *out, uint32_t depth) {
    out->unused[0] = depth;
}

// An entry as CREATE's answer carries it; both times in seconds.
static inline void cfuse_fill_entry(
    struct fuse_entry_out *out, uint64_t node, const struct stat *status, uint64_t valid) {
    out->nodeid = node;
    out->generation = 0;
    out->entry_valid = out->attr_valid = valid;
    out->entry_valid_nsec = out->attr_valid_nsec = 0;
    out->attr = (struct fuse_attr){
        .ino = status->st_ino,
        .size = (uint64_t)status->st_size,
        .blocks = (uint64_t)status->st_blocks,
        .atime = (uint64_t)status->st_atim.tv_sec,
        .mtime = (uint64_t)status->st_mtim.tv_sec,
        .ctime = (uint64_t)status->st_ctim.tv_sec,
        .atimensec = (uint32_t)status->st_atim.tv_nsec,
        .mtimensec = (uint32_t)status->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)status->st_ctim.tv_nsec,
        .mode = status->st_mode,
        .nlink = (uint32_t)status->st_nlink,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .rdev = (uint32_t)status->st_rdev,
        .blksize = (uint32_t)status->st_blksize,
    };
}

// A notification to the kernel: to wake a poller, which it gave the number of.
struct cfuse_poll_notification {
    struct fuse_out_header header;
    uint64_t poller;
};

struct cfuse_backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};

// FUSE_DEV_IOC_BACKING_OPEN: the backing id, or -1 and errno.
static inline int cfuse_backing_open(int device, int fd) {
    struct cfuse_backing_map map = {.fd = fd};
    return ioctl(device, _IOW(229, 1, struct cfuse_backing_map), &map);
}
// FUSE_DEV_IOC_BACKING_CLOSE.
static inline int cfuse_backing_close(int device, uint32_t id) {
    return ioctl(device, _IOW(229, 2, uint32_t), &id);
}

// fuse_session_new is a macro in newer versions. `options` is what stands after -o.
static inline struct fuse_session *cfuse_session_new(
    const char *options, const struct fuse_lowlevel_ops *operations, void *userdata) {
    char *arguments[] = {(char *)"twinfs", (char *)"-o", (char *)options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, arguments);
    struct fuse_session *session = fuse_session_new(&args, operations, sizeof *operations, userdata);
    fuse_opt_free_args(&args);
    return session;
}

static inline ssize_t cfuse_writev(int fd, struct iovec *vector, int count) {
    return writev(fd, vector, count);
}
static inline ssize_t cfuse_write(int fd, const void *buffer, size_t count) {
    return write(fd, buffer, count);
}
static inline ssize_t cfuse_read(int fd, void *buffer, size_t count) {
    return read(fd, buffer, count);
}

// What belongs to the calling request thread; NULL on any other thread.
extern _Thread_local void *cfuse_thread_state_;
static inline void *cfuse_thread_state(void) { return cfuse_thread_state_; }
static inline void cfuse_set_thread_state(void *state) { cfuse_thread_state_ = state; }

// From now on libfuse's messages go to a buffer instead of standard error.
void cfuse_capture_messages(void);
// Copies the last message, without its newline, into `buffer`; returns its length.
size_t cfuse_last_message(char *buffer, size_t capacity);

#endif
