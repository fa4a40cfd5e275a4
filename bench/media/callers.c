// SPDX-License-Identifier: Apache-2.0
// Callers of the media server benchmark (bench only; the product needs no compiler).
//
//   callers FIRST_PORT SOCKETS SECONDS < sessions
//
// Each line of standard input is a session: the number of a socket, and the port of 127.0.0.1 to which 50 packets of PCMA a
// second go from then on, each session with its own phase (loud noise, and half of the time faint noise: something like
// speech). Socket s is bound to FIRST_PORT + 2 * s. What comes back is looked at; a stream is told by the port that its
// packets come from. Arrivals are stamped by the kernel. "ready" is printed once the sockets are there. When standard input
// ends, one second warms up, then it is counted for SECONDS. Prints one JSON object: packets, skipped sequence numbers,
// steps of the timestamp other than 160, and the jitter, which is the difference between the gap of two packets and 20 ms;
// "first_ns" is when the first packet from each port came (nanoseconds of the realtime clock).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 172, PERIOD = 20, BATCH = 128, MAX_STREAMS = 8192, MAX_SOCKETS = 256, BINS = 100000, CONTROL = 64 };

struct heard {
    uint64_t at, first;
    uint32_t timestamp, packets;
    uint16_t sequence;
};

static int sockets[MAX_SOCKETS], socket_count, stream_count, batch_size;
static struct sockaddr_in destination[MAX_STREAMS];
static uint16_t sequence[MAX_STREAMS];
static int members[MAX_SOCKETS][MAX_STREAMS], member_count[MAX_SOCKETS];
static struct heard heard[65536]; // by source port
static uint32_t histogram[BINS];  // of jitter, in microseconds
static uint64_t counted_from = UINT64_MAX, counted_to, sent, received, gaps, skipped, restamped, longest;

static uint8_t voices[2][PACKET];
static uint8_t out[BATCH][PACKET], in[BATCH][2048], control[BATCH][CONTROL];
static struct iovec out_vec[BATCH], in_vec[BATCH];
static struct mmsghdr out_msg[BATCH], in_msg[BATCH];
static struct sockaddr_in from[BATCH];

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
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
        int size = 8 << 20, on = 1;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        setsockopt(sockets[i], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        if (bind(sockets[i], (struct sockaddr *)&a, sizeof a)) {
            perror("bind");
            exit(1);
        }
    }
    for (int i = 0; i < BATCH; i++) {
        in_vec[i] = (struct iovec){in[i], sizeof in[i]};
        out_vec[i] = (struct iovec){out[i], PACKET};
        out_msg[i].msg_hdr = (struct msghdr){.msg_iov = &out_vec[i], .msg_iovlen = 1, .msg_namelen = sizeof(struct sockaddr_in)};
    }
    for (int k = 12; k < PACKET; k++) {
        voices[0][k] = (uint8_t)(0xd5 ^ (rand() & 0x8f)); // A-law, small steps around zero
        voices[1][k] = (uint8_t)(0xd5 ^ (0x40 | (rand() & 0x8f)));
    }
}

static uint64_t stamp_of(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
        }
    return nanoseconds(CLOCK_REALTIME);
}

static void count(const uint8_t *packet, unsigned size, struct heard *stream, uint64_t at) {
    uint16_t number = (uint16_t)(packet[2] << 8 | packet[3]);
    uint32_t timestamp = (uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 | (uint32_t)packet[6] << 8 | packet[7];
    if (size != PACKET || packet[0] != 0x80)
        return;
    if (!stream->first)
        stream->first = at;
    if (stream->at && at >= counted_from && at < counted_to) {
        int64_t off = (int64_t)(at - stream->at) - PERIOD * 1000000;
        uint64_t jitter = (uint64_t)(off < 0 ? -off : off) / 1000;
        histogram[jitter < BINS ? jitter : BINS - 1]++;
        longest = jitter > longest ? jitter : longest;
        skipped += (uint16_t)(number - stream->sequence - 1);
        restamped += timestamp - stream->timestamp != 160;
        gaps++;
    }
    if (at >= counted_from && at < counted_to)
        received++, stream->packets++;
    stream->at = at, stream->sequence = number, stream->timestamp = timestamp;
}

static void receive(void) {
    for (int s = 0; s < socket_count; s++) {
        int n;
        do {
            for (int i = 0; i < BATCH; i++)
                in_msg[i].msg_hdr = (struct msghdr){.msg_iov = &in_vec[i], .msg_iovlen = 1, .msg_name = &from[i],
                    .msg_namelen = sizeof from[i], .msg_control = control[i], .msg_controllen = CONTROL};
            n = recvmmsg(sockets[s], in_msg, BATCH, MSG_DONTWAIT, NULL);
            for (int i = 0; i < n; i++)
                count(in[i], in_msg[i].msg_len, &heard[ntohs(from[i].sin_port)], stamp_of(&in_msg[i].msg_hdr));
        } while (n == BATCH);
    }
}

static void flush(int s) {
    for (int done = 0; done < batch_size;) {
        int n = sendmmsg(sockets[s], out_msg + done, (unsigned)(batch_size - done), 0);
        done += n > 0 ? n : 1;
    }
    batch_size = 0;
}

static void add(int stream) {
    uint8_t *p = out[batch_size];
    uint16_t q = sequence[stream]++;
    uint32_t timestamp = htonl(q * 160u), ssrc = htonl(0x5000u + (uint32_t)stream);
    memcpy(p + 12, voices[q / 25 % 2] + 12, PACKET - 12);
    p[0] = 0x80, p[1] = 8, p[2] = (uint8_t)(q >> 8), p[3] = (uint8_t)q;
    memcpy(p + 4, &timestamp, 4);
    memcpy(p + 8, &ssrc, 4);
    out_msg[batch_size++].msg_hdr.msg_name = &destination[stream];
    sent++;
}

static void send_slot(int slot) {
    for (int s = 0; s < socket_count; s++) {
        for (int k = 0; k < member_count[s]; k++) {
            int i = members[s][k];
            if (i * 7 % PERIOD != slot) // the phase of stream i
                continue;
            add(i);
            if (batch_size == BATCH)
                flush(s);
        }
        flush(s);
    }
}

static void add_session(int s, int port) {
    int i = stream_count;
    if (s < 0 || s >= socket_count || i == MAX_STREAMS)
        return;
    destination[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    destination[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sequence[i] = (uint16_t)(i * 977);
    members[s][member_count[s]++] = stream_count++;
}

// The lines that have come; whether more may follow.
static int read_sessions(void) {
    static char text[4096];
    static size_t kept;
    for (;;) {
        ssize_t n = read(0, text + kept, sizeof text - kept - 1);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        text[kept += (size_t)n] = 0;
        char *line = text, *newline;
        for (; (newline = strchr(line, '\n')); line = newline + 1) {
            int s, port;
            if (sscanf(line, "%d %d", &s, &port) == 2)
                add_session(s, port);
        }
        kept = (size_t)(text + kept - line);
        memmove(text, line, kept + 1);
    }
}

static double percentile(double q) {
    uint64_t seen = 0;
    for (int i = 0; i < BINS; i++)
        if ((seen += histogram[i]) >= q * (double)gaps && gaps)
            return i / 1000.0;
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 4)
        return fprintf(stderr, "usage: callers FIRST_PORT SOCKETS SECONDS < sessions\n"), 2;
    socket_count = atoi(argv[2]);
    if (socket_count < 1 || socket_count > MAX_SOCKETS)
        return fprintf(stderr, "callers: 1 to %d sockets\n", MAX_SOCKETS), 2;
    open_sockets(atoi(argv[1]));
    puts("ready");
    fflush(stdout);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    double seconds = atof(argv[3]);
    uint64_t start = nanoseconds(CLOCK_MONOTONIC), late = 0;
    uint64_t end = UINT64_MAX;
    for (uint64_t due = start, slot = 0; due < end; due += 1000000, slot++) {
        sleep_until(due);
        late += counted_to && nanoseconds(CLOCK_MONOTONIC) - due > 5000000;
        if (!counted_to && !read_sessions()) {
            counted_from = nanoseconds(CLOCK_REALTIME) + 1000000000;
            counted_to = counted_from + (uint64_t)(seconds * 1e9);
            end = due + 1000000000 + (uint64_t)(seconds * 1e9);
        }
        send_slot((int)(slot % PERIOD));
        receive();
    }
    sleep_until(end + 100000000);
    receive();

    uint32_t least = UINT32_MAX;
    int streams = 0;
    for (int i = 0; i < 65536; i++)
        if (heard[i].packets)
            streams++, least = heard[i].packets < least ? heard[i].packets : least;
    printf("{\"sent\": %lu, \"received\": %lu, \"streams\": %d, \"fewest\": %u, \"skipped\": %lu, \"restamped\": %lu, \"late_slots\": %lu, "
           "\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"p999_ms\": %.2f, \"longest_ms\": %.1f, \"first_ns\": {",
           sent, received, streams, streams ? least : 0, skipped, restamped, late, percentile(0.5), percentile(0.99), percentile(0.999),
           (double)longest / 1000);
    const char *separator = "";
    for (int i = 0; i < 65536; i++)
        if (heard[i].first)
            printf("%s\"%d\": %lu", separator, i, heard[i].first), separator = ", ";
    puts("}}");
    return 0;
}
