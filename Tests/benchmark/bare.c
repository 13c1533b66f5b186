// The shortest way through /dev/fuse: one file, plain reads and writes of what lies behind it, by a few threads
// that never sleep elsewhere. No filesystem in user space can be much faster on the machine that runs it, so it
// is what the benchmark holds twinfs against beside its peers.
//
//   bare FILE MOUNTPOINT THREADS     shows FILE as MOUNTPOINT/image until the mount is gone
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, PAYLOAD = 1 << 20, IMAGE = 2, WRITE_HEAD = 80 };
static int device, file;

static void answer(uint64_t unique, int error, const void *body, size_t count) {
    char message[PAGE];
    struct fuse_out_header head = {.len = sizeof head + count, .error = -error, .unique = unique};
    memcpy(message, &head, sizeof head);
    if (count > 0) memcpy(message + sizeof head, body, count);
    if (write(device, message, head.len) == -1 && errno == ENODEV) exit(0);
}

static struct fuse_attr attributes(uint64_t node) {
    struct stat status;
    if (fstat(file, &status) == -1) exit(1);
    struct fuse_attr folder = {.ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0755, .nlink = 2, .blksize = PAGE};
    struct fuse_attr image = {
        .ino = IMAGE, .mode = S_IFREG | 0666, .nlink = 1, .blksize = PAGE,
        .size = (uint64_t)status.st_size, .blocks = (uint64_t)status.st_blocks};
    return node == IMAGE ? image : folder;
}

static void initialize(uint64_t unique, const struct fuse_init_in *offer) {
    const uint32_t wanted = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_DIO;
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_readahead = PAYLOAD,
        .flags = wanted & offer->flags, .max_background = 1024, .congestion_threshold = 768,
        .max_write = PAYLOAD, .time_gran = 1, .max_pages = PAYLOAD / PAGE};
    answer(unique, 0, &out, sizeof out);
}

static void look_up(uint64_t unique, const char *name) {
    struct fuse_entry_out entry = {.nodeid = IMAGE, .entry_valid = 3600, .attr_valid = 3600};
    if (strcmp(name, "image") != 0) return answer(unique, ENOENT, NULL, 0);
    entry.attr = attributes(IMAGE);
    answer(unique, 0, &entry, sizeof entry);
}

// `out` is page-aligned, with room for the head before it.
static void read_file(uint64_t unique, const struct fuse_read_in *in, char *out) {
    ssize_t count = pread(file, out, in->size, (off_t)in->offset);
    if (count == -1) return answer(unique, errno, NULL, 0);
    struct fuse_out_header head = {.len = sizeof head + count, .unique = unique};
    memcpy(out - sizeof head, &head, sizeof head);
    if (write(device, out - sizeof head, head.len) == -1 && errno == ENODEV) exit(0);
}

static void write_file(uint64_t unique, const struct fuse_write_in *in, const char *data) {
    ssize_t count = pwrite(file, data, in->size, (off_t)in->offset);
    if (count == -1) return answer(unique, errno, NULL, 0);
    struct fuse_write_out out = {.size = (uint32_t)count};
    answer(unique, 0, &out, sizeof out);
}

static void serve(char *request, char *out) {
    const struct fuse_in_header *head = (void *)request;
    const void *body = head + 1;
    struct fuse_attr_out attr = {.attr_valid = 3600};
    struct fuse_open_out open = {.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES};
    switch (head->opcode) {
    case FUSE_INIT: return initialize(head->unique, body);
    case FUSE_LOOKUP: return look_up(head->unique, body);
    case FUSE_READ: return read_file(head->unique, body, out);
    case FUSE_WRITE: return write_file(head->unique, body, request + WRITE_HEAD);
    case FUSE_OPEN: return answer(head->unique, 0, &open, sizeof open);
    case FUSE_GETATTR:
        attr.attr = attributes(head->nodeid);
        return answer(head->unique, 0, &attr, sizeof attr);
    case FUSE_FLUSH:
    case FUSE_RELEASE: return answer(head->unique, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return;
    default: return answer(head->unique, ENOSYS, NULL, 0);
    }
}

static void *run(void *nothing) {
    char *memory = aligned_alloc(PAGE, 3 * PAGE + 2 * PAYLOAD);
    if (memory == NULL) exit(1);
    char *request = memory + PAGE - WRITE_HEAD, *out = memory + 3 * PAGE + PAYLOAD;
    for (;;) {
        if (read(device, request, PAGE + PAYLOAD) > 0)
            serve(request, out);
        else if (errno == ENODEV)
            exit(0);
    }
    return nothing;
}

int main(int count, char **words) {
    if (count != 4) return 2;
    file = open(words[1], O_RDWR | O_CLOEXEC);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    char options[64];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    if (file == -1 || mount("bare", words[2], "fuse.bare", 0, options) == -1) {
        perror(words[2]);
        return 1;
    }
    for (int number = 1; number < atoi(words[3]); number++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run, NULL) != 0) return 1;
    }
    run(NULL);
}
