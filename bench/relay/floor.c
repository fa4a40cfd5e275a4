// SPDX-License-Identifier: Apache-2.0
// The least that a relay of this design can cost on a machine: epoll, recv and send on connected sockets, in C.
//
//   floor CALLS GATHER_MICROSECONDS FIRST_RELAY_PORT FIRST_PHONE_PORT PHONE_SOCKETS
//
// Prints its ports, one per line, and relays until killed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int other[65536];

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int open_socket(int port, int phone, int set) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in own = loopback(port), theirs = loopback(phone);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (bind(fd, (struct sockaddr *)&own, sizeof own) || connect(fd, (struct sockaddr *)&theirs, sizeof theirs)) {
        perror("floor");
        exit(1);
    }
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    printf("%d\n", port);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 6)
        return fprintf(stderr, "usage: floor CALLS GATHER_US RELAY_PORT PHONE_PORT PHONE_SOCKETS\n"), 2;
    int set = epoll_create1(0), port = atoi(argv[3]), phones = atoi(argv[4]), count = atoi(argv[5]);
    for (int i = 0; i < atoi(argv[1]); i++, port += 4) {
        int a = open_socket(port, phones + 2 * (2 * i % count), set);
        int b = open_socket(port + 2, phones + 2 * ((2 * i + 1) % count), set);
        other[a] = b, other[b] = a;
    }
    fflush(stdout);
    close(1);
    struct timespec gather = {.tv_nsec = atol(argv[2]) * 1000};
    struct epoll_event events[1024];
    char packet[2048];
    for (;;) {
        int n = epoll_wait(set, events, 1024, -1);
        for (int i = 0; i < n; i++) {
            ssize_t size = recv(events[i].data.fd, packet, sizeof packet, 0);
            if (size > 0)
                send(other[events[i].data.fd], packet, (size_t)size, 0);
        }
        nanosleep(&gather, NULL);
    }
}
