/* SPDX-License-Identifier: PostgreSQL
 *
 * Functions that fail on one kind of node stand behind a CASE. A node that is promoted between two
 * of them answers with an error, once.
 */
#include "config.h"

#include "pgweir/cluster/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pgweir/base/status.h"
#include "pgweir/cluster/lsn.h"

/* Three times wal_writer_delay (PostgreSQL docs, "Asynchronous Commit"). */
enum { ASYNC_DELAYS = 3 };

/* Of PostgreSQL 12, and from 13 on. Not asked for where there is nothing to be replayed: then all
 * that matters is known. */
#define WAITING "'RecoveryWalAll', 'RecoveryWalStream'"

/* clang-format off */
#define PROBE(paused)                                                                              \
	"SELECT s.is_standby,"                                                                     \
	" CASE WHEN NOT s.is_standby THEN pg_current_wal_insert_lsn() END,"                        \
	" CASE WHEN NOT s.is_standby THEN pg_current_wal_flush_lsn() END,"                         \
	" CASE WHEN NOT s.is_standby"                                                              \
	" THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,"                    \
	" CASE WHEN s.is_standby THEN pg_last_wal_replay_lsn() END,"                               \
	" CASE WHEN s.is_standby THEN pg_last_wal_receive_lsn() END,"                              \
	" CASE WHEN s.is_standby THEN " paused " END,"                                             \
	" r.status = 'streaming', r.received_tli,"                                                 \
	" (date_part('epoch', current_setting('wal_writer_delay')::interval) * 1000000)::int8,"    \
	" CASE WHEN s.is_standby AND pg_last_wal_replay_lsn() < pg_last_wal_receive_lsn()"         \
	" THEN (SELECT bool_or(wait_event IN (" WAITING ")) FROM pg_stat_activity"                 \
	" WHERE backend_type = 'startup') END,"                                                    \
	" r.pid IS NOT NULL AND r.status IS NULL"                                                  \
	" FROM (SELECT pg_is_in_recovery() AS is_standby) s"                                       \
	" LEFT JOIN pg_stat_wal_receiver r ON s.is_standby"
/* clang-format on */

const char *pw_probe_identity_query(void)
{
	return "SELECT system_identifier, current_setting('server_version_num')"
	       " FROM pg_control_system()";
}

const char *pw_probe_query(unsigned version)
{
	return version >= 140000 ? PROBE("pg_get_wal_replay_pause_state() <> 'not paused'")
				 : PROBE("pg_is_wal_replay_paused()");
}

static bool read_number(const char *text, int base, uint64_t *number)
{
	char *end;
	long long value;

	if (!text)
		return false;
	errno = 0;
	value = strtoll(text, &end, base);
	*number = (uint64_t)value;
	return errno == 0 && end != text && *end == '\0';
}

static bool read_bool(const char *text)
{
	return text && strcmp(text, "t") == 0;
}

/* A standby that has replayed nothing yet says NULL. */
static bool read_position(const char *text, bool may_lack, uint64_t *lsn)
{
	*lsn = 0;
	return text ? pw_lsn_parse(text, strlen(text), lsn) : may_lack;
}

static bool read_timeline(const char *text, int base, bool may_lack, uint32_t *timeline)
{
	uint64_t number = 0;

	if (!text)
		return may_lack;
	if (!read_number(text, base, &number) || number == 0 || number > UINT32_MAX)
		return false;
	*timeline = (uint32_t)number;
	return true;
}

bool pw_probe_read_identity(const char *const columns[PW_IDENTITY_COLUMNS],
			    struct pw_probe_identity *identity)
{
	uint64_t version;

	if (!read_number(columns[0], 10, &identity->system) ||
	    !read_number(columns[1], 10, &version) || version > UINT32_MAX)
		return false;
	identity->version = (unsigned)version;
	return true;
}

bool pw_probe_read(const char *const columns[PW_PROBE_COLUMNS], struct pw_probe_answer *answer)
{
	uint64_t delay_us;
	bool is_standby = read_bool(columns[0]);

	memset(answer, 0, sizeof(*answer));
	if (!columns[0] || !read_number(columns[9], 10, &delay_us))
		return false;
	answer->is_standby = is_standby;
	answer->is_paused = read_bool(columns[6]);
	answer->is_receiving = read_bool(columns[7]);
	answer->is_waiting = read_bool(columns[10]);
	answer->is_hidden = read_bool(columns[11]);
	answer->async_us = ASYNC_DELAYS * delay_us;
	return read_position(columns[1], is_standby, &answer->insert) &&
	       read_position(columns[2], is_standby, &answer->flush) &&
	       read_position(columns[4], true, &answer->replay) &&
	       read_position(columns[5], true, &answer->receive) &&
	       read_timeline(columns[is_standby ? 8 : 3], is_standby ? 10 : 16, is_standby,
			     &answer->timeline);
}
