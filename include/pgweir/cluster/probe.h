/* SPDX-License-Identifier: PostgreSQL
 *
 * What the monitor asks of a node, and what the answer says. One query serves a primary and a
 * standby, of PostgreSQL 12 and later, and needs no more than pg_monitor (PostgreSQL docs,
 * "Recovery Information Functions", "Backup Control Functions", "pg_stat_wal_receiver").
 *
 * Pure. Any thread.
 */
#ifndef PGWEIR_CLUSTER_PROBE_H
#define PGWEIR_CLUSTER_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PW_PROBE_COLUMNS = 12, PW_IDENTITY_COLUMNS = 2 };

struct pw_probe_answer {
	bool is_standby;
	/* A primary's own, from the name of the file that it writes: the control file says it a
	 * checkpoint later. A standby's: its receiver's; 0 = it has none. */
	uint32_t timeline;
	uint64_t insert, flush;   /* a primary's */
	uint64_t replay, receive; /* a standby's; 0 = nothing yet */
	bool is_paused;
	bool is_receiving; /* its receiver streams */
	bool is_hidden;    /* it has one, of which whoever asks may see nothing */
	bool is_waiting;   /* something is received and not replayed, and replay waits for more */
	uint64_t async_us; /* after so long whatever was committed without waiting is flushed */
};

struct pw_probe_identity {
	uint64_t system;  /* the system identifier: the same on all nodes of a system */
	unsigned version; /* 150004 */
};

/* To be asked once on each connection. */
const char *pw_probe_identity_query(void);
/* To be asked in each round, of a server of that version. */
const char *pw_probe_query(unsigned version);

/* Of the only row, as text; a column that is NULL is NULL. False: it is not such a row. */
bool pw_probe_read_identity(const char *const columns[PW_IDENTITY_COLUMNS],
			    struct pw_probe_identity *identity);
bool pw_probe_read(const char *const columns[PW_PROBE_COLUMNS], struct pw_probe_answer *answer);

#endif
