// Processes by descriptor, signals by descriptor, and packets that carry a descriptor.
#ifndef CLINUX_PROCESSES_H
#define CLINUX_PROCESSES_H

#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static inline int clinux_open_process(pid_t id) { return (int)syscall(SYS_pidfd_open, id, 0); }
static inline int clinux_signal_process(int process, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, process, signal, NULL, 0);
}

// How a child has ended; returns its id, or 0 while it runs. `*signalled` says what `*value` is.
static inline int clinux_reap(int process, int *signalled, int *value) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (waitid(P_PIDFD, (id_t)process, &info, WEXITED | WNOHANG) == -1) return -1;
    *signalled = info.si_code != CLD_EXITED;
    *value = info.si_status;
    return info.si_pid;
}

static inline int clinux_signal_descriptor(const sigset_t *set) {
    return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
}
// The number of the next signal.
static inline int clinux_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : -1;
}

static inline int clinux_packet_pair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

// Room for many packets in the socket. Beyond the limit for everybody only with CAP_NET_ADMIN.
static inline void clinux_widen_socket(int socket, int bytes) {
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == -1)
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

// One packet, with the descriptor `passed` unless that is -1, to `address` unless that is NULL: a path, or a
// name that begins with @ for one without a file.
static inline ssize_t clinux_send_packet(
    int socket, const void *bytes, size_t count, int passed, int waits, const char *address) {
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct sockaddr_un to;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (passed != -1) {
        memset(&control, 0, sizeof control);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &passed, sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    if (address) {
        size_t length = strlen(address);
        if (length >= sizeof to.sun_path) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memset(&to, 0, sizeof to);
        to.sun_family = AF_UNIX;
        memcpy(to.sun_path, address, length);
        if (address[0] == '@') to.sun_path[0] = 0;
        message.msg_name = &to;
        // A path ends in a zero byte, a name without a file does not.
        message.msg_namelen =
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (address[0] != '@'));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
}

// One packet, and in `*passed` the descriptor that came with it or -1; 0 where the other end is closed.
static inline ssize_t clinux_receive_packet(
    int socket, void *bytes, size_t count, int *passed, int waits) {
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *passed = -1;
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT));
    if (length <= 0) return length;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS) memcpy(passed, CMSG_DATA(header), sizeof(int));
    return length;
}

#endif
