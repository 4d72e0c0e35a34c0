/* SPDX-License-Identifier: PostgreSQL
 *
 * One query finds the functions whose bodies hold a word that may leave something in a session,
 * then whatever speaks of these, and then whether a trigger, view, policy or the like depends on
 * one. It errs towards doubt: words in comments and names of columns count.
 */
#include "config.h"

#include "pgweir/pool/code.h"

#include <string.h>

#include "pgweir/pool/catalog.h"

/* ---- the question ---- */

/* Extensions that leave nothing in a session. */
#define HARMLESS_EXTENSIONS                                                                        \
	"amcheck,bloom,btree_gin,btree_gist,citext,cube,dict_int,dict_xsyn,earthdistance,"         \
	"fuzzystrmatch,hstore,intagg,intarray,isn,lo,ltree,moddatetime,pageinspect,"               \
	"pg_buffercache,pg_freespacemap,pg_prewarm,pg_stat_statements,pg_trgm,pg_visibility,"      \
	"pg_walinspect,pgcrypto,pgrowlocks,pgstattuple,plpgsql,postgis,refint,seg,sslinfo,tcn,"    \
	"tsm_system_rows,tsm_system_time,unaccent,uuid-ossp,vector,xml2"

/* Regular expressions are written without a backslash: in a literal it would mean what
 * standard_conforming_strings says. */
#define WORD_BEGINS "[[:<:]]"
#define WORD_ENDS   "[[:>:]]"
#define NAME_CHARS  "[[:alnum:]_]*"
#define SPACES      "[[:space:]]"

/* Words that do not stand in a body which leaves nothing. */
#define DOUBTFUL_WORDS                                                                             \
	WORD_BEGINS "(set_config|execute|discard|reset|listen|unlisten|deallocate|prepare|load|"   \
		    "create|temp|temporary|pg_temp|hold|setseed|query_to_xml" NAME_CHARS           \
		    "|ts_stat|ts_rewrite|dblink" NAME_CHARS "|pg_advisory_lock|"                   \
		    "pg_advisory_lock_shared|pg_advisory_unlock" NAME_CHARS                        \
		    "|pg_try_advisory_lock|pg_try_advisory_lock_shared|"                           \
		    "pg_replication_origin" NAME_CHARS "|pg_backup_" NAME_CHARS "|pg_" NAME_CHARS  \
		    "replication_slot|pg_settings|currval|lastval)" WORD_ENDS
/* SET where a statement begins, before or behind comments, or where no UPDATE explains it. */
#define SET_STATEMENT                                                                              \
	"(^|;|" WORD_BEGINS "(begin|then|else|loop|atomic)" WORD_ENDS "|>>)" SPACES "*se"          \
	"t" WORD_ENDS
#define IS_DOUBTFUL                                                                                \
	"NOT (lanname::pg_catalog.text" PW_IS_ONE_OF("sql,plpgsql") ") OR src" PW_OP(              \
	    "~*") "'" DOUBTFUL_WORDS "' OR pg_catalog.regexp_replace(src, '" WORD_BEGINS           \
		  "update" WORD_ENDS "[^;]*?" WORD_BEGINS "set" WORD_ENDS                          \
		  "', '', 'gi')" PW_OP("~*") "'" WORD_BEGINS "set" WORD_ENDS "' OR src" PW_OP(     \
		      "~*") "'" SET_STATEMENT "' OR pg_catalog.regexp_replace(src, "               \
			    "'/[*].*?[*]/|--[^\n]*', ' ', 'g')" PW_OP("~*") "'" SET_STATEMENT "'"
/* A setting with a dot, in quotes or behind SET. */
#define DOTTED                                                                                     \
	"(?:''|" WORD_BEGINS "set" SPACES "+(?:session" SPACES "+|local" SPACES                    \
	"+)?)([a-z_]" NAME_CHARS "[.][a-z_]" NAME_CHARS ")"
/* What cannot be asked about afterwards: a setting whose name is no literal, and others. */
#define UNKNOWABLE                                                                                 \
	"set_config" SPACES "*[(]" SPACES "*[^[:space:]'']|" WORD_BEGINS                           \
	"(setseed|load|pg_replication_origin" NAME_CHARS "|pg_backup_" NAME_CHARS                  \
	"|pg_" NAME_CHARS "replication_slot)" WORD_ENDS
/* The first part of one that is put together: 'app.' || x, 'app.n' || x, format('app.%s', x). */
#define MADE "([a-z_]" NAME_CHARS ")[.](?:''|" NAME_CHARS "''" SPACES "*[|][|]|" NAME_CHARS "%)"

/* clang-format off */
static const char tables[] =
    "WITH RECURSIVE body AS MATERIALIZED ("
     "SELECT p.oid, p.proname::pg_catalog.text AS name, l.lanname,"
     " pg_catalog.concat(COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc),"
     " ' ; ', p.proconfig::pg_catalog.text) AS src"
     " FROM pg_catalog.pg_proc p, pg_catalog.pg_language l"
     " WHERE l.oid" PW_OP("=") "p.prolang AND p.oid" PW_IS_USERS
     " AND p.prokind" PW_OP("<>") "'a'::pg_catalog.\"char\""
     " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d, pg_catalog.pg_extension e"
      " WHERE d.classid" PW_OP("=") PW_CLASS("pg_proc") " AND d.objid" PW_OP("=") "p.oid"
      " AND d.refclassid" PW_OP("=") PW_CLASS("pg_extension")
      " AND d.refobjid" PW_OP("=") "e.oid"
      " AND e.extname::pg_catalog.text" PW_IS_ONE_OF(HARMLESS_EXTENSIONS) ")),"
    /* ... and whatever speaks of them. */
    " base AS MATERIALIZED (SELECT oid, name, src FROM body WHERE " IS_DOUBTFUL "),"
    " doubtful AS (SELECT oid, name, src FROM base"
     " UNION SELECT oid, name, src FROM body"
     " WHERE (SELECT pg_catalog.count(*) FROM base)" PW_OP(">=") "100"
     " UNION SELECT b.oid, b.name, b.src FROM doubtful f, body b"
     " WHERE pg_catalog.strpos(pg_catalog.lower(b.src), pg_catalog.lower(f.name))" PW_OP(">") "0"
     /* Too many to be told apart: all are. */
     " AND (SELECT pg_catalog.count(*) FROM base)" PW_OP("<") "100),"
    /* Settings with a dot that they may set. */
    " dotted AS (SELECT DISTINCT m[1] AS name FROM (SELECT pg_catalog.regexp_matches("
     "pg_catalog.lower(src), '" DOTTED "', 'g') AS m FROM doubtful) x),"
    /* No dependency on PostgreSQL's own functions is recorded: they are looked for in trees. */
    " inner_code AS MATERIALIZED (SELECT pg_catalog.concat(':funcid (',"
     " pg_catalog.string_agg(oid::pg_catalog.text, '|'), ')" WORD_ENDS "|:relid ',"
     " 'pg_catalog.pg_settings'::pg_catalog.regclass::pg_catalog.oid, ' ') AS pattern"
     " FROM pg_catalog.pg_proc WHERE oid" PW_OP("<") "16384::pg_catalog.oid"
     " AND proname::pg_catalog.text" PW_OP("~") "'^(set_config|setseed|query_to_xml.*|ts_stat|"
     "ts_rewrite|pg_advisory_lock(_shared)?|pg_advisory_unlock.*|"
     "pg_try_advisory_lock(_shared)?|pg_replication_origin_session_.*)$'),"
    " tree AS (SELECT ev_action::pg_catalog.text AS t FROM pg_catalog.pg_rewrite"
     " WHERE oid" PW_IS_USERS
     " UNION ALL SELECT adbin::pg_catalog.text FROM pg_catalog.pg_attrdef"
     " UNION ALL SELECT pg_catalog.concat(polqual, polwithcheck) FROM pg_catalog.pg_policy"
     " UNION ALL SELECT conbin::pg_catalog.text FROM pg_catalog.pg_constraint"
     " WHERE oid" PW_IS_USERS " AND conbin IS NOT NULL"
     " UNION ALL SELECT tgqual::pg_catalog.text FROM pg_catalog.pg_trigger"
     " WHERE tgqual IS NOT NULL) ";

static const char verdict[] =
    "pg_catalog.concat("
     "CASE WHEN EXISTS (SELECT FROM doubtful) THEN 'f' END,"
     " CASE WHEN EXISTS (SELECT FROM doubtful f, pg_catalog.pg_depend d"
     " WHERE d.refclassid" PW_OP("=") PW_CLASS("pg_proc") " AND d.refobjid" PW_OP("=") "f.oid"
     " AND (d.classid" PW_OP("<>") PW_CLASS("pg_proc")
     " OR EXISTS (SELECT FROM pg_catalog.pg_proc a WHERE a.oid" PW_OP("=") "d.objid"
     " AND a.prokind" PW_OP("=") "'a'::pg_catalog.\"char\")))"
     " OR EXISTS (SELECT FROM tree, inner_code WHERE t" PW_OP("~") "pattern)"
     /* A function of a row can be called like a column of it. */
     " OR EXISTS (SELECT FROM doubtful f, pg_catalog.pg_proc p, pg_catalog.pg_type y"
     " WHERE f.oid" PW_OP("=") "p.oid AND p.pronargs" PW_OP("=") "1"
     " AND y.oid" PW_OP("=") "p.proargtypes[0]"
     " AND y.typtype" PW_OP("<>") "'b'::pg_catalog.\"char\")"
     /* One that bears the name of PostgreSQL's own. */
     " OR EXISTS (SELECT FROM doubtful f, pg_catalog.pg_proc p WHERE p.oid" PW_OP("<")
     "16384::pg_catalog.oid AND p.proname::pg_catalog.text" PW_OP("=") "f.name) THEN 't' END,"
     " CASE WHEN EXISTS (SELECT FROM (SELECT pg_catalog.regexp_matches(pg_catalog.lower(src),"
     " '" MADE "', 'g') AS m FROM doubtful WHERE src" PW_OP("~*") "'set_config|" WORD_BEGINS
     "set" WORD_ENDS "') x WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n"
     " WHERE n.nspname::pg_catalog.text" PW_OP("=") "m[1])) OR EXISTS (SELECT FROM doubtful WHERE src" PW_OP("~*") "'" UNKNOWABLE "') THEN 'o' END)";
/* clang-format on */

void pw_code_add_question(struct pw_strbuf *sql)
{
	pw_strbuf_add_string(sql, tables);
	pw_strbuf_add_string(sql, "SELECT ");
	pw_strbuf_add_string(sql, verdict);
	pw_strbuf_add_string(sql, " UNION ALL SELECT name FROM dotted");
}

void pw_code_add_settings(struct pw_strbuf *sql)
{
	pw_strbuf_add_char(sql, '(');
	pw_strbuf_add_string(sql, tables);
	pw_strbuf_add_string(sql, "SELECT 'c'::pg_catalog.text, ");
	pw_strbuf_add_string(sql, verdict);
	pw_strbuf_add_string(sql, ", NULL::pg_catalog.text UNION ALL "
				  "SELECT 's'::pg_catalog.text, name, "
				  "pg_catalog.current_setting(name, true) FROM dotted)");
}

/* ---- what is known ---- */

void pw_code_init(struct pw_code *code)
{
	atomic_init(&code->verdict, 0);
	atomic_init(&code->epoch, 0);
	atomic_init(&code->given_us, 0);
	atomic_init(&code->generation, 0);
	atomic_init(&code->is_asked, false);
	atomic_init(&code->is_full, false);
	pthread_mutex_init(&code->lock, NULL);
	pw_strbuf_init(&code->dotted);
	code->n_dotted = 0;
}

void pw_code_fini(struct pw_code *code)
{
	pw_strbuf_fini(&code->dotted);
	pthread_mutex_destroy(&code->lock);
}

bool pw_code_is_known(struct pw_code *code, unsigned ddl_epoch, unsigned *what)
{
	bool is_known = atomic_load_explicit(&code->epoch, memory_order_acquire) == ddl_epoch;

	*what =
	    is_known ? atomic_load_explicit(&code->verdict, memory_order_relaxed) : PW_CODE_UNKNOWN;
	return is_known;
}

/* What was asked for a moment ago is not asked again at every change of a table. */
static bool is_due(struct pw_code *code, unsigned ddl_epoch, uint64_t now_us, bool is_waited_for)
{
	/* Another worker's clock may be ahead. */
	uint64_t given_us = atomic_load_explicit(&code->given_us, memory_order_relaxed);
	uint64_t age = now_us > given_us ? now_us - given_us : 0;
	unsigned epoch = atomic_load_explicit(&code->epoch, memory_order_acquire);

	if (given_us == 0)
		return true;
	if (epoch != ddl_epoch)
		return age > PW_CODE_PAUSE_US;
	return age > (is_waited_for ? PW_CODE_AGE_MAX_US : PW_CODE_AGE_US);
}

bool pw_code_begin(struct pw_code *code, unsigned ddl_epoch, uint64_t now_us, bool is_waited_for)
{
	return is_due(code, ddl_epoch, now_us, is_waited_for) &&
	       !atomic_exchange(&code->is_asked, true);
}

void pw_code_end(struct pw_code *code, const unsigned *what, unsigned ddl_epoch, uint64_t now_us)
{
	if (what) {
		/* A change of which nobody has told us: what happened meanwhile is not known. */
		if (atomic_load(&code->epoch) == ddl_epoch && *what & ~atomic_load(&code->verdict))
			atomic_fetch_add(&code->generation, 1);
		/* Whoever reads the epoch before the verdict knows too little at worst. */
		atomic_store(&code->epoch, 0);
		atomic_store(&code->verdict, *what);
		atomic_store(&code->epoch, ddl_epoch);
	}
	atomic_store(&code->given_us, now_us);
	atomic_store(&code->is_asked, false);
}

static bool has_name(const struct pw_strbuf *names, const char *name)
{
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		if (strcmp(names->data + at, name) == 0)
			return true;
	}
	return false;
}

void pw_code_add_dotted(struct pw_code *code, const char *name)
{
	pthread_mutex_lock(&code->lock);
	if (!has_name(&code->dotted, name)) {
		if (code->n_dotted < PW_CODE_NAMES_MAX)
			pw_strbuf_add(&code->dotted, name, strlen(name) + 1);
		code->n_dotted++;
		if (code->n_dotted > PW_CODE_NAMES_MAX || code->dotted.has_failed)
			atomic_store(&code->is_full, true);
	}
	pthread_mutex_unlock(&code->lock);
}

void pw_code_dotted(struct pw_code *code, struct pw_strbuf *out)
{
	pthread_mutex_lock(&code->lock);
	if (code->dotted.len > 0)
		pw_strbuf_add(out, code->dotted.data, code->dotted.len);
	pthread_mutex_unlock(&code->lock);
}
