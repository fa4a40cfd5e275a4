// SPDX-License-Identifier: Apache-2.0
// RTP generator of the relay benchmark (bench only; the product needs no compiler).
//
//   rtpgen FIRST_PORT SOCKETS SECONDS < destinations
//
// Standard input names one relay port of 127.0.0.1 per line: one G.711 stream (172 octets every 20 ms) each.
// Stream i leaves from socket i % SOCKETS, bound to FIRST_PORT + 2 * (i % SOCKETS), and its packets must come
// back to any of the sockets. Each stream has its own phase within the 20 ms, in steps of 1 ms, as unsynchronised
// phones have. The first second warms up and is not counted. Prints one JSON object.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { PACKET = 172, PERIOD = 20, BATCH = 128, MAX_STREAMS = 8192, MAX_SOCKETS = 256, BINS = 100000 };

struct stamp { // follows the 12 octets of the RTP header
    uint32_t stream;
    uint64_t sent_at;
} __attribute__((packed));

static int sockets[MAX_SOCKETS], socket_count, stream_count, batch_size;
static struct sockaddr_in destination[MAX_STREAMS];
static uint16_t sequence[MAX_STREAMS];
static uint32_t histogram[BINS]; // delays in microseconds
static uint64_t counted_from, sent, received, failed, longest;

static uint8_t out[BATCH][PACKET], in[BATCH][2048];
static struct iovec out_vec[BATCH], in_vec[BATCH];
static struct mmsghdr out_msg[BATCH], in_msg[BATCH];

static uint64_t nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t at) {
    struct timespec t = {.tv_sec = (time_t)(at / 1000000000), .tv_nsec = (long)(at % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static void open_sockets(int first_port) {
    for (int i = 0; i < socket_count; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(first_port + 2 * i))};
        int size = 8 << 20;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        if (bind(sockets[i], (struct sockaddr *)&a, sizeof a)) {
            perror("bind");
            exit(1);
        }
    }
    for (int i = 0; i < BATCH; i++) {
        in_vec[i] = (struct iovec){in[i], sizeof in[i]};
        out_vec[i] = (struct iovec){out[i], PACKET};
        in_msg[i].msg_hdr = (struct msghdr){.msg_iov = &in_vec[i], .msg_iovlen = 1};
        out_msg[i].msg_hdr = (struct msghdr){.msg_iov = &out_vec[i], .msg_iovlen = 1, .msg_namelen = sizeof(struct sockaddr_in)};
        memset(out[i], 0xd5, PACKET);
    }
}

static void count(const uint8_t *packet, unsigned size, uint64_t now) {
    struct stamp stamp;
    if (size != PACKET || packet[0] != 0x80)
        return;
    memcpy(&stamp, packet + 12, sizeof stamp);
    if (stamp.sent_at < counted_from)
        return;
    uint64_t delay = (now - stamp.sent_at) / 1000;
    histogram[delay < BINS ? delay : BINS - 1]++;
    longest = delay > longest ? delay : longest;
    received++;
}

static void receive(void) {
    for (int s = 0; s < socket_count; s++) {
        int n;
        do {
            n = recvmmsg(sockets[s], in_msg, BATCH, MSG_DONTWAIT, NULL);
            uint64_t now = nanoseconds();
            for (int i = 0; i < n; i++)
                count(in[i], in_msg[i].msg_len, now);
        } while (n == BATCH);
    }
}

static void flush(int s) {
    for (int done = 0; done < batch_size;) {
        int n = sendmmsg(sockets[s], out_msg + done, (unsigned)(batch_size - done), 0);
        failed += n <= 0;
        done += n > 0 ? n : 1;
    }
    batch_size = 0;
}

static void add(int stream) {
    uint8_t *p = out[batch_size];
    uint16_t q = sequence[stream]++;
    uint32_t timestamp = htonl(q * 160u), ssrc = htonl(0x5000u + (uint32_t)stream);
    struct stamp stamp = {(uint32_t)stream, nanoseconds()};
    p[0] = 0x80, p[1] = 8, p[2] = (uint8_t)(q >> 8), p[3] = (uint8_t)q;
    memcpy(p + 4, &timestamp, 4);
    memcpy(p + 8, &ssrc, 4);
    memcpy(p + 12, &stamp, sizeof stamp);
    out_msg[batch_size++].msg_hdr.msg_name = &destination[stream];
    sent += stamp.sent_at >= counted_from;
}

static void send_slot(int slot) {
    for (int s = 0; s < socket_count; s++) {
        for (int i = s; i < stream_count; i += socket_count) {
            if ((i / 2 * 7 + i % 2 * 11) % PERIOD != slot) // the phase of stream i
                continue;
            add(i);
            if (batch_size == BATCH)
                flush(s);
        }
        flush(s);
    }
}

static double percentile(double q) {
    uint64_t seen = 0;
    for (int i = 0; i < BINS; i++)
        if ((seen += histogram[i]) >= q * (double)received && received)
            return i / 1000.0;
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return fprintf(stderr, "usage: rtpgen FIRST_PORT SOCKETS SECONDS < destinations\n"), 2;
    socket_count = atoi(argv[2]);
    if (socket_count < 1 || socket_count > MAX_SOCKETS)
        return fprintf(stderr, "rtpgen: 1 to %d sockets\n", MAX_SOCKETS), 2;
    open_sockets(atoi(argv[1]));
    for (int port; stream_count < MAX_STREAMS && scanf("%d", &port) == 1; stream_count++) {
        destination[stream_count] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        destination[stream_count].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sequence[stream_count] = (uint16_t)(stream_count * 977);
    }
    for (int i = 0; i < BATCH; i++)
        out_msg[i].msg_hdr.msg_name = &destination[0];

    uint64_t start = nanoseconds(), late = 0;
    counted_from = start + 1000000000;
    uint64_t end = counted_from + (uint64_t)(atof(argv[3]) * 1e9);
    for (uint64_t due = start, slot = 0; due < end; due += 1000000, slot++) {
        sleep_until(due);
        late += nanoseconds() - due > 5000000;
        send_slot((int)(slot % PERIOD));
        receive();
    }
    for (uint64_t last = nanoseconds() + 300000000; nanoseconds() < last; sleep_until(nanoseconds() + 1000000))
        receive();

    printf("{\"sent\": %lu, \"received\": %lu, \"send_failures\": %lu, \"late_slots\": %lu, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"longest_ms\": %.1f}\n",
           sent, received, failed, late, percentile(0.5), percentile(0.99), (double)longest / 1000);
    return 0;
}
