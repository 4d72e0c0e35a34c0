/* SPDX-License-Identifier: PostgreSQL
 *
 * The load generator of contrib/bench: one thread, one epoll descriptor, thousands of clients.
 *
 * load busy: opens -c clients, keeps -b of them asking in a closed loop for -T seconds after one
 * second of warming up, prints rate and latencies. What is still unanswered at the end is waited
 * for and counted, so that a starved client shows. With -s each client first sets what makes it one
 * of so many different sessions; neighbours have equal ones.
 *
 * load login: opens, logs in and closes in a loop, -k at a time, for -T seconds.
 *
 * load idle: opens -c clients that ask one query each, or with -s set up their sessions, and then
 * rest; prints what the resident memory of process -P grew by for each.
 *
 * Prints one line of name=value. The status is 0 also when there were errors: errors= counts them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wire.h"

#define WARM_UP_US    1000000
#define DRAIN_US      30000000
#define OPEN_LIMIT_US 120000000
#define SETTLE_US     3000000
#define WARM_CLIENTS  10
#define MAX_ERRORS    1000
#define EVENTS        256

enum phase { OPENING, BUSY, DRAINING, LOGINS, RESTING };

/* Clients that think before they ask again; all think equally long, so first in is first out. */
struct thinker {
	struct wire *wire;
	uint64_t until_us;
};

struct load {
	struct wire_target target;
	struct wire *wires;
	long n_wires;
	long clients, busy, parallel, seconds, think_us, pid, states;
	bool ask_once; /* each client asks one query as soon as it is logged in */
	enum phase phase;
	long started, opened, in_flight;
	uint64_t count_from_us, end_us;
	long served; /* answers of all kinds, for the CPU time of each */
	long within; /* counted answers before end_us */
	uint32_t *latencies;
	size_t n_latencies, room;
	struct thinker *thinkers; /* ring of `clients` */
	size_t think_head, think_count;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

static void *checked(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static void note_latency(struct load *l, const struct wire *w)
{
	uint64_t now = wire_now_us();

	l->served++;
	if (w->since_us < l->count_from_us)
		return;
	if (l->n_latencies == l->room) {
		l->room = l->room ? l->room * 2 : 65536;
		l->latencies = checked(realloc(l->latencies, l->room * sizeof(*l->latencies)));
	}
	l->latencies[l->n_latencies++] = (uint32_t)(now - w->since_us);
	if (now <= l->end_us)
		l->within++;
}

static void open_next(struct load *l)
{
	while (l->started < l->clients && l->started - l->opened < l->parallel &&
	       l->target.complaints < MAX_ERRORS) {
		if (!wire_open(&l->wires[l->started++], &l->target))
			l->opened++;
	}
}

/* A client asks; one that cannot is out of the game. */
static void ask(struct load *l, struct wire *w)
{
	if (wire_query(w))
		l->in_flight++;
}

static void after_answer(struct load *l, struct wire *w)
{
	struct thinker *t;

	l->in_flight--;
	note_latency(l, w);
	if (l->phase != BUSY)
		return;
	if (l->think_us == 0) {
		ask(l, w);
		return;
	}
	t = &l->thinkers[(l->think_head + l->think_count++) % (size_t)l->clients];
	t->wire = w;
	t->until_us = wire_now_us() + (uint64_t)l->think_us;
}

static void wake_thinkers(struct load *l)
{
	uint64_t now = wire_now_us();

	while (l->think_count > 0 && l->thinkers[l->think_head].until_us <= now) {
		if (l->phase == BUSY)
			ask(l, l->thinkers[l->think_head].wire);
		l->think_head = (l->think_head + 1) % (size_t)l->clients;
		l->think_count--;
	}
}

static void login_again(struct load *l, struct wire *w)
{
	while (wire_now_us() < l->end_us && l->target.complaints < MAX_ERRORS) {
		if (wire_open(w, &l->target))
			return;
	}
	l->in_flight--;
}

static bool set_state(const struct load *l, struct wire *w)
{
	long state = (w - l->wires) * l->states / l->n_wires;
	char query[256];

	snprintf(query, sizeof(query),
		 "SET app.tenant = 'tenant %ld'; SET search_path = tenant_%ld, public; "
		 "SET timezone = 'Etc/GMT+%ld'; SET statement_timeout = %ld",
		 state, state, state % 12, 60000 + state);
	return wire_ask(w, query);
}

/* What a client asks when it is logged in, if anything. */
static bool ask_first(const struct load *l, struct wire *w)
{
	if (w->has_asked)
		return false;
	return l->states > 0 ? set_state(l, w) : l->ask_once && wire_query(w);
}

static void on_ready(struct load *l, struct wire *w)
{
	switch (l->phase) {
	case OPENING:
		if (ask_first(l, w))
			return;
		l->opened++;
		open_next(l);
		break;
	case BUSY:
	case DRAINING:
		after_answer(l, w);
		break;
	case LOGINS:
		note_latency(l, w);
		wire_close(w);
		login_again(l, w);
		break;
	case RESTING:
		break;
	}
}

static void on_failure(struct load *l, struct wire *w, enum wire_state before)
{
	if (l->phase == OPENING) {
		l->opened++;
		open_next(l);
	} else if (l->phase == LOGINS) {
		login_again(l, w);
	} else if (before == WIRE_BUSY) {
		l->in_flight--;
	}
}

static void turn(struct load *l)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(l->target.epoll_fd, events, EVENTS, l->think_count > 0 ? 1 : 50);

	for (int i = 0; i < n; i++) {
		struct wire *w = events[i].data.ptr;
		enum wire_state before = w->state;
		enum wire_result r = wire_run(w);

		if (r == WIRE_READY)
			on_ready(l, w);
		else if (r == WIRE_FAILED)
			on_failure(l, w, before);
	}
	wake_thinkers(l);
}

/* Opens clients until there are `upto`; false when that takes too long. */
static bool open_clients(struct load *l, long upto)
{
	uint64_t limit = wire_now_us() + OPEN_LIMIT_US;
	long all = l->clients;

	l->phase = OPENING;
	l->clients = upto;
	open_next(l);
	while (l->opened < upto && l->target.complaints < MAX_ERRORS && wire_now_us() < limit)
		turn(l);
	l->clients = all;
	return l->opened == upto;
}

static void turn_until(struct load *l, uint64_t end_us)
{
	while (wire_now_us() < end_us)
		turn(l);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t percentile(const struct load *l, double p)
{
	size_t k = (size_t)((double)l->n_latencies * p / 100);

	return l->n_latencies == 0 ? 0 : l->latencies[k < l->n_latencies ? k : l->n_latencies - 1];
}

static double ratio_99_50(const uint32_t *sorted, size_t n)
{
	return sorted[n / 2] > 0 ? (double)sorted[n * 99 / 100] / sorted[n / 2] : 0.0;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* p99/p50 among as many answers in a row as clients ask, the median of all such rows: what one
 * client is treated worse than another at the same time. Over the whole run p99/p50 also tells how
 * evenly the machine ran. Sorts the latencies row by row. */
static double spread_at_a_time(struct load *l)
{
	size_t len = (size_t)l->busy, rows = len > 0 ? l->n_latencies / len : 0;
	double *ratios, median;

	if (rows == 0)
		return 0.0;
	ratios = checked(malloc(rows * sizeof(*ratios)));
	for (size_t i = 0; i < rows; i++) {
		qsort(l->latencies + i * len, len, sizeof(*l->latencies), compare);
		ratios[i] = ratio_99_50(l->latencies + i * len, len);
	}
	qsort(ratios, rows, sizeof(*ratios), compare_doubles);
	median = ratios[rows / 2];
	free(ratios);
	return median;
}

static void print_latencies(struct load *l, double seconds)
{
	double p50, p99, spread = spread_at_a_time(l);

	if (l->n_latencies > 0)
		qsort(l->latencies, l->n_latencies, sizeof(*l->latencies), compare);
	p50 = percentile(l, 50);
	p99 = percentile(l, 99);
	printf("count=%zu errors=%lu rate=%.1f p50_us=%.0f p90_us=%u p99_us=%.0f max_us=%u "
	       "p99/p50=%.3f spread=%.3f served=%ld\n",
	       l->n_latencies, l->target.complaints, (double)l->within / seconds, p50,
	       percentile(l, 90), p99, percentile(l, 100), p50 > 0 ? p99 / p50 : 0.0, spread,
	       l->served);
}

static void run_busy(struct load *l)
{
	uint64_t limit;

	if (!open_clients(l, l->clients))
		die("not all clients could be opened");
	l->phase = BUSY;
	l->count_from_us = wire_now_us() + WARM_UP_US;
	l->end_us = l->count_from_us + (uint64_t)l->seconds * 1000000;
	for (long i = 0; i < l->busy; i++) {
		struct wire *w = &l->wires[i * l->clients / l->busy];

		if (w->state == WIRE_IDLE)
			ask(l, w);
	}
	turn_until(l, l->end_us);
	l->phase = DRAINING;
	limit = l->end_us + DRAIN_US;
	while (l->in_flight > 0 && wire_now_us() < limit)
		turn(l);
	l->target.complaints += (unsigned long)l->in_flight;
	print_latencies(l, (double)l->seconds);
}

static void run_login(struct load *l)
{
	uint64_t limit;

	l->phase = LOGINS;
	l->count_from_us = wire_now_us();
	l->end_us = l->count_from_us + (uint64_t)l->seconds * 1000000;
	for (long i = 0; i < l->parallel; i++) {
		l->in_flight++;
		login_again(l, &l->wires[i]);
	}
	limit = l->end_us + DRAIN_US;
	while (l->in_flight > 0 && wire_now_us() < limit)
		turn(l);
	l->target.complaints += (unsigned long)l->in_flight;
	print_latencies(l, (double)l->seconds);
}

/* Not the figure of /proc/PID/status: the kernel keeps that one only roughly. */
static long resident_kb(long pid)
{
	char path[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Rss: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	if (kb < 0)
		die("cannot read the memory of the process");
	return kb;
}

static void run_idle(struct load *l)
{
	long before, after;

	l->ask_once = true;
	if (!open_clients(l, WARM_CLIENTS))
		die("not all clients could be opened");
	before = resident_kb(l->pid);
	if (!open_clients(l, l->clients))
		die("not all clients could be opened");
	l->phase = RESTING;
	turn_until(l, wire_now_us() + SETTLE_US);
	after = resident_kb(l->pid);
	printf("count=%ld errors=%lu before_kb=%ld after_kb=%ld bytes_each=%.0f\n", l->clients,
	       l->target.complaints, before, after,
	       (double)(after - before) * 1024 / (double)(l->clients - WARM_CLIENTS));
}

static long number(const char *text, long min, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < min || n > max)
		die("a number is out of range");
	return n;
}

static void parse_options(struct load *l, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "p:U:d:w:q:c:b:k:T:i:P:s:t")) != -1) {
		switch (c) {
		case 'p':
			l->target.addr.sin_port = htons((uint16_t)number(optarg, 1, 65535));
			break;
		case 'U':
			l->target.user = optarg;
			break;
		case 'd':
			l->target.database = optarg;
			break;
		case 'w':
			l->target.password = optarg;
			break;
		case 'q':
			l->target.query = optarg;
			break;
		case 'c':
			l->clients = number(optarg, 1, 100000);
			break;
		case 'b':
			l->busy = number(optarg, 1, 100000);
			break;
		case 'k':
			l->parallel = number(optarg, 1, 10000);
			break;
		case 'T':
			l->seconds = number(optarg, 1, 3600);
			break;
		case 'i':
			l->think_us = number(optarg, 0, INT_MAX);
			break;
		case 'P':
			l->pid = number(optarg, 1, INT_MAX);
			break;
		case 's':
			l->states = number(optarg, 1, 1000);
			break;
		case 't':
			l->target.tls = checked(SSL_CTX_new(TLS_client_method()));
			break;
		default:
			die("usage: load busy|login|idle -p port -U user -d database [-w password]"
			    " [-q query] [-c clients] [-b busy] [-k parallel] [-T seconds]"
			    " [-i think_us] [-P pid] [-s states] [-t]");
		}
	}
	if (l->busy > l->clients)
		die("more clients busy than there are");
}

static void fini(struct load *l)
{
	for (long i = 0; i < l->n_wires; i++)
		if (l->wires[i].state != WIRE_CLOSED)
			wire_close(&l->wires[i]);
	SSL_CTX_free(l->target.tls);
	close(l->target.epoll_fd);
	free(l->wires);
	free(l->thinkers);
	free(l->latencies);
}

int main(int argc, char **argv)
{
	struct load l = {
	    .target = {.addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		       .user = "bench",
		       .database = "bench",
		       .password = "",
		       .query = "SELECT 1"},
	    .clients = 16,
	    .busy = 1,
	    .parallel = 16,
	    .seconds = 5,
	};
	const char *mode = argc > 1 ? argv[1] : "";

	optind = 2;
	parse_options(&l, argc, argv);
	l.n_wires = l.clients > l.parallel ? l.clients : l.parallel;
	l.wires = checked(calloc((size_t)l.n_wires, sizeof(*l.wires)));
	l.thinkers = checked(calloc((size_t)l.clients, sizeof(*l.thinkers)));
	l.target.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l.target.epoll_fd < 0)
		die("no epoll descriptor");
	if (strcmp(mode, "busy") == 0)
		run_busy(&l);
	else if (strcmp(mode, "login") == 0)
		run_login(&l);
	else if (strcmp(mode, "idle") == 0 && l.pid > 0 && l.clients > WARM_CLIENTS)
		run_idle(&l);
	else
		die("usage: load busy|login|idle ... (idle needs -P pid and more than 10 clients)");
	fini(&l);
	return 0;
}
