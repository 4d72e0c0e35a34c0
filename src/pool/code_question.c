/* SPDX-License-Identifier: PostgreSQL
 *
 * One query finds the functions whose bodies hold a word that may leave something in a session,
 * then whatever speaks of these, and then which of them a trigger, view, policy, operator or the
 * like depends on. It errs towards doubt: words in comments and names of columns count.
 *
 * Each step goes over all bodies at most once: a database may have thousands of them, of which any
 * may call any.
 */
#include "config.h"

#include "pgweir/pool/code.h"

#include <string.h>

#include "pgweir/pool/catalog.h"

/* Extensions that leave nothing in a session ... */
#define HARMLESS_EXTENSIONS                                                                        \
	"amcheck,bloom,btree_gin,btree_gist,citext,cube,dict_int,dict_xsyn,earthdistance,"         \
	"fuzzystrmatch,hstore,intagg,intarray,isn,lo,ltree,moddatetime,pageinspect,"               \
	"pg_buffercache,pg_freespacemap,pg_prewarm,pg_stat_statements,pg_trgm,pg_visibility,"      \
	"pg_walinspect,pgcrypto,pgrowlocks,pgstattuple,plpgsql,postgis,refint,seg,sslinfo,tcn,"    \
	"tsm_system_rows,tsm_system_time,unaccent,uuid-ossp,vector"
/* ... but by these functions of theirs: pg_trgm's sets a setting, isn's what no server tells,
 * PostGIS' alter tables. */
#define THEIR_OTHERS                                                                               \
	"set_limit,isn_weak,addgeometrycolumn,dropgeometrycolumn,dropgeometrytable,"               \
	"updategeometrysrid,populate_geometry_columns"

/* Regular expressions are written without a backslash: in a literal it would mean what
 * standard_conforming_strings says. All that they look at is in small letters. */
#define IN_C        " COLLATE pg_catalog.\"C\""
#define WORD_BEGINS "[[:<:]]"
#define WORD_ENDS   "[[:>:]]"
#define WORD(words) WORD_BEGINS "(?:" words ")" WORD_ENDS
#define NAME_CHARS  "[[:alnum:]_]*"
#define SPACES      "[[:space:]]"
#define COMMENT     "/[*].*?[*]/|--[^\n]*\n"
/* What may stand between two words, and what then does. */
#define GAP   "(?:" SPACES "|" COMMENT ")*"
#define A_GAP "(?:" SPACES "|" COMMENT ")+"
/* A name as it may be written without quotes, beyond ASCII too. */
#define NAME_BEGINS "[^[:space:]!-@[-^`{-~]"
#define NAME_GOES   "[^[:space:]!-#%-/:-@[-^`{-~]"
#define NAME        NAME_BEGINS NAME_GOES "*"

/* Words that do not stand in a body which leaves nothing. */
#define DOUBTFUL_WORDS                                                                             \
	WORD("set_config|execute|discard|reset|listen|unlisten|deallocate|prepare|load|create|"    \
	     "temp|temporary|pg_temp|hold|setseed|query_to_xml" NAME_CHARS                         \
	     "|ts_stat|ts_rewrite|xpath_table|dblink" NAME_CHARS                                   \
	     "|pg_advisory_lock|pg_advisory_lock_shared|pg_advisory_unlock" NAME_CHARS             \
	     "|pg_try_advisory_lock|pg_try_advisory_lock_shared|"                                  \
	     "pg_replication_origin" NAME_CHARS "|pg_backup_" NAME_CHARS "|pg_" NAME_CHARS         \
	     "replication_slot|binary_upgrade_" NAME_CHARS "|pg_settings|currval|lastval")
/* A name that is written in escapes, and DO, whose text may be. */
#define ESCAPED "u&\""
#define DO_TEXT WORD("do") GAP "(?:language" A_GAP NAME GAP ")?(?:e|u&)?[''$]"
/* SET where a statement begins, or where no UPDATE explains it. */
#define SET_STATEMENT "(?:^|;|" WORD("begin|then|else|loop|atomic") "|>>)" GAP WORD("set")
#define WITHOUT_UPDATES(text)                                                                      \
	"pg_catalog.regexp_replace(" text ", '" WORD("update") "[^;]*?" WORD("set") "', '', 'g')"
#define MATCHES(text, pattern) text IN_C PW_OP("~") "'" pattern "'"
#define HAS(text, word)        "pg_catalog.strpos(" text ", '" word "')" PW_OP(">") "0"
#define IS_DOUBTFUL                                                                                                                          \
	"NOT (language" PW_IS_ONE_OF("sql,plpgsql") ") OR " MATCHES(                                                                         \
	    "src",                                                                                                                           \
	    DOUBTFUL_WORDS) " OR " HAS("src",                                                                                                \
				       ESCAPED) " OR " MATCHES("src",                                                                        \
							       DO_TEXT) " OR (" HAS("src",                                                   \
										    "set") " AND"                                            \
											   " " MATCHES("src", WORD("set")) " AND (" MATCHES( \
											       WITHOUT_UPDATES(                              \
												   "src"),                                   \
											       WORD(                                         \
												   "set")) " OR " MATCHES("src",             \
															  SET_STATEMENT) "))"

/* What runs the code of all that a write, or another command, may run: event triggers. */
#define WRITES   WORD("insert|update|delete|merge|truncate|copy|execute|create|alter|drop|refresh")
#define COMMANDS WORD("create|alter|drop|grant|revoke|comment|refresh|reindex|import|label|execute")
#define IS_OTHER "NOT (language" PW_IS_ONE_OF("sql,plpgsql") ")"
/* SELECT INTO, which in the other language assigns. */
#define MAKES_TABLE "(language" PW_OP("=") "'sql' AND " MATCHES("src", WORD("into")) ")"

/* Makes or changes what others run: a word or two may stand between, as OR REPLACE. */
#define MAKES_CODE                                                                                 \
	WORD("create|alter")                                                                       \
	A_GAP "(?:" NAME A_GAP "){0,3}" WORD("function|procedure|routine|aggregate|trigger|rule|"  \
					     "view|policy|operator|cast|domain|extension")

/* Makes tables that others see, or names them, or lets others use a schema. A DROP is noticed by
 * the servers themselves. */
#define MAKES_TABLES                                                                               \
	WORD("create")                                                                             \
	"(?!" A_GAP "(?:(?:global|local)" A_GAP                                                    \
	")?" WORD("temp|temporary") ")|" WORD("alter|grant|"                                       \
					      "revoke|import")

/* A setting with a dot, in quotes or behind SET. */
#define DOTTED                                                                                     \
	"(?:''|" WORD_BEGINS "set" SPACES "+(?:session" SPACES "+|local" SPACES "+)?)"             \
	"(" NAME "(?:[.]" NAME ")+)"

/* What cannot be asked about afterwards. A setting whose name is no plain literal, unless it ends
 * with the transaction ... */
#define LITERAL  "''{1,2}[^'']*''{1,2}" SPACES "*(?:::[a-z._]+" SPACES "*)?"
#define ARGUMENT "(?:[^(),;]|[(][^()]*[)])*"
#define SETS_ANY                                                                                   \
	"set_config\"?" GAP "[(](?!" SPACES "*" LITERAL ",|" ARGUMENT "," ARGUMENT "," SPACES      \
	"*true" SPACES "*[)])"
#define SET_OTHER                                                                                  \
	WORD_BEGINS "set" A_GAP "(?:(?:session|local)" A_GAP ")?(?:[''\"%]|" NAME "(?:" A_GAP      \
		    "[.]|[.](?:" A_GAP "|[''\"%])))"
/* ... or is put together from its first part: 'app.' || x, 'app.n' || x, format('app.%s', x) ... */
#define MADE "([a-z_]" NAME_CHARS ")[.](?:''|" NAME_CHARS "''" SPACES "*[|][|]|" NAME_CHARS "%)"
/* ... what is no setting ... */
#define UNASKABLE                                                                                  \
	WORD("setseed|pg_replication_origin" NAME_CHARS "|pg_backup_" NAME_CHARS "|pg_" NAME_CHARS \
	     "replication_slot|binary_upgrade_" NAME_CHARS)                                        \
	"|" WORD("load") GAP "(?:e|u&)?[''$]|" ESCAPED
/* ... DEALLOCATE of all statements, which are others' too, or of one that is not written out ... */
#define FORGETS                                                                                    \
	WORD("deallocate")                                                                         \
	GAP "(?:" WORD("prepare") GAP ")?(?:" WORD("all") "|[^[:space:][:alpha:]_\"/-])"
/* ... EXECUTE of what is not begun by a literal that begins with another command ... */
#define OTHER_COMMAND                                                                              \
	"(?:pg_catalog[.])?(?:(?:format|concat)" GAP "[(]" GAP ")?e?(?:''|[$]" NAME_CHARS          \
	"[$])" SPACES "*[(]?" SPACES                                                               \
	"*" WORD("select|with|insert|update|delete|merge|values|create|drop|"                      \
		 "alter|truncate|refresh|analyze|vacuum|copy|lock|grant|revoke|call|comment|"      \
		 "notify|explain|reindex|cluster|listen|unlisten|deallocate|prepare")
#define EXECUTES_OTHER                                                                             \
	WORD("execute")                                                                            \
	"(?!" GAP "(?:" OTHER_COMMAND "|" WORD("function|procedure|on") "|" NAME WORD_ENDS         \
									"(?!" SPACES "*[(.])))"
#define RUNS_OTHER                                                                                 \
	WORD("query_to_xml" NAME_CHARS "|ts_stat|ts_rewrite|xpath_table")                          \
	GAP "[(](?!" GAP OTHER_COMMAND ")"
/* Variables of one body that are looked up: with more it is taken for the worst. */
#define NAMES_LOOKED_AT "50"
#define EXECUTES_NAMED  WORD_BEGINS "execute" SPACES "+([a-z_]" NAME_CHARS ")" WORD_ENDS
/* ... and in languages that nobody here reads: SQL that sets, SQL from elsewhere, shared data. */
#define FOREIGN                                                                                    \
	WORD_BEGINS "set|_shared|" WORD("gd") "|(?:execute|prepare|query)" SPACES "*[(]" SPACES    \
					      "*[^''\"[:space:]]"

/* PostgreSQL's own functions that leave something in a session. There are thousands of others, and
 * a regular expression would take as long for each as for all the rest together. */
#define BEGINS_WITH(prefix) " OR pg_catalog.starts_with(proname::pg_catalog.text, '" prefix "')"
#define NAMES_INNER                                                                                \
	"(proname::pg_catalog.text" PW_IS_ONE_OF(                                                  \
	    "set_config,setseed,ts_stat,ts_rewrite,pg_advisory_lock,pg_advisory_lock_shared,"      \
	    "pg_try_advisory_lock,pg_try_advisory_lock_shared,pg_copy_physical_replication_slot,"  \
	    "pg_copy_logical_replication_slot,pg_create_physical_replication_slot,"                \
	    "pg_create_logical_replication_slot,pg_drop_replication_slot") BEGINS_WITH("query_to_" \
										       "xml")      \
	    BEGINS_WITH("pg_advisory_unlock") BEGINS_WITH("pg_replication_origin_")                \
		BEGINS_WITH("pg_backup_") BEGINS_WITH("binary_upgrade_") ")"

/* In place of a function: what a read of a table runs, what a write does as well, and what other
 * commands do. */
#define READ_ID     "0::pg_catalog.oid"
#define WRITE_ID    "1::pg_catalog.oid"
#define COMMAND_ID  "2::pg_catalog.oid"
#define IS_USE(oid) oid PW_OP("<=") COMMAND_ID
/* In the order of enum pw_code_use. */
#define USES "rwc"
#define USE_LETTERS                                                                                \
	"pg_catalog.concat(pg_catalog.substr('" USES "', "                                         \
	"k.oid::pg_catalog.int8::pg_catalog.int4" PW_OP(                                           \
	    "+") "1, 1), 'd', CASE WHEN k.is_lost THEN 'o' END)"
#define IS_TO_ASK "(EXISTS (SELECT FROM base) OR EXISTS (SELECT FROM tree))"

/* Trees that call one of these, whose numbers are the same in all versions. */
#define CALLS(tree, numbers)                                                                       \
	"(" tree ")::pg_catalog.text" IN_C PW_OP("~") "':funcid (" numbers ")" WORD_ENDS "'"
#define ASKING    "1575|2559"              /* currval(), lastval() */
#define SEQUENCES ASKING "|1574|1576|1765" /* nextval(), setval() */

/* An operator or a cast is one of these itself. */
#define MADE_OF(numbers)                                                                           \
	"EXISTS (SELECT FROM (SELECT oprcode::pg_catalog.oid AS f FROM pg_catalog.pg_operator"     \
	" WHERE oid" PW_IS_USERS " UNION ALL SELECT castfunc FROM pg_catalog.pg_cast"              \
	" WHERE oid" PW_IS_USERS ") x WHERE f::pg_catalog.text" IN_C PW_OP("~") "'^(" numbers      \
										")$')"

#define LOWER(text)   "pg_catalog.lower(" text IN_C ")"
#define IS_INNER(oid) "(SELECT oids FROM inner_code)" PW_OP("@>") "ARRAY[" oid "::pg_catalog.oid]"
#define HAS_INNER(tree)                                                                            \
	"(" tree ")::pg_catalog.text" IN_C PW_OP("~") "(SELECT pattern FROM inner_code)"

/* clang-format off */
/* What is parsed when it is made, where the server is of a version that has it. */
static const char parsed[] =
    "WITH RECURSIVE parsed AS NOT MATERIALIZED (SELECT oid,"
    " pg_catalog.pg_get_function_sqlbody(oid) AS src FROM pg_catalog.pg_proc"
    " WHERE oid" PW_IS_USERS " AND prosqlbody IS NOT NULL),"
    " statistic AS (SELECT oid, stxexprs::pg_catalog.text AS trees"
    " FROM pg_catalog.pg_statistic_ext),";
/* Columns that are computed when they are read. */
static const char computed[] =
    " computed AS MATERIALIZED (SELECT d.oid FROM pg_catalog.pg_attrdef d, pg_catalog.pg_attribute a"
    " WHERE a.attrelid" PW_OP("=") "d.adrelid AND a.attnum" PW_OP("=") "d.adnum"
    " AND a.attgenerated" PW_OP("=") "'v'::pg_catalog.\"char\"),";
static const char nothing_computed[] =
    " computed AS (SELECT NULL::pg_catalog.oid AS oid WHERE false),";
static const char nothing_parsed[] =
    "WITH RECURSIVE parsed AS NOT MATERIALIZED (SELECT NULL::pg_catalog.oid AS oid,"
    " NULL::pg_catalog.text AS src WHERE false),"
    " statistic AS (SELECT NULL::pg_catalog.oid AS oid, NULL::pg_catalog.text AS trees"
    " WHERE false),";

static const char tables[] =
    /* No dependency on PostgreSQL's own functions is recorded: they are looked for in trees. */
    " inner_code AS MATERIALIZED (SELECT pg_catalog.array_agg(oid) AS oids,"
     " pg_catalog.concat(':funcid (', pg_catalog.string_agg(oid::pg_catalog.text, '|'),"
     " ')" WORD_ENDS "|:relid ', 'pg_catalog.pg_settings'::pg_catalog.regclass::pg_catalog.oid,"
     " ' ') AS pattern FROM pg_catalog.pg_proc WHERE oid" PW_OP("<") "16384::pg_catalog.oid"
     " AND " NAMES_INNER "),"
    /* All that can be called; aggregates have no body. */
    " body AS MATERIALIZED (SELECT p.oid, p.proname::pg_catalog.text AS name, p.prokind,"
     " CASE WHEN p.prokind" PW_OP("=") "'a'::pg_catalog.\"char\" THEN 'sql'"
     " ELSE l.lanname::pg_catalog.text END AS language, "
     LOWER("pg_catalog.concat(COALESCE((SELECT s.src FROM parsed s WHERE s.oid" PW_OP("=") "p.oid), p.prosrc),"
     " ' ; ', p.proconfig::pg_catalog.text, ' ; ', CASE WHEN p.proargdefaults IS NOT NULL"
     " THEN pg_catalog.pg_get_function_arguments(p.oid) END)") IN_C " AS src"
     " FROM pg_catalog.pg_proc p, pg_catalog.pg_language l"
     " WHERE l.oid" PW_OP("=") "p.prolang AND p.oid" PW_IS_USERS
     " AND (p.proname::pg_catalog.text" PW_IS_ONE_OF(THEIR_OTHERS)
      " OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend d, pg_catalog.pg_extension e"
      " WHERE d.classid" PW_OP("=") PW_CLASS("pg_proc") " AND d.objid" PW_OP("=") "p.oid"
      " AND d.refclassid" PW_OP("=") PW_CLASS("pg_extension")
      " AND d.refobjid" PW_OP("=") "e.oid"
      " AND e.extname::pg_catalog.text" PW_IS_ONE_OF(HARMLESS_EXTENSIONS) "))),"
    /* Aggregates over PostgreSQL's own. */
    " gathering AS MATERIALIZED (SELECT aggfnoid::pg_catalog.oid AS oid FROM"
     " pg_catalog.pg_aggregate WHERE aggfnoid::pg_catalog.oid" PW_IS_USERS
     " AND (SELECT oids FROM inner_code)" PW_OP("&&") "ARRAY[aggtransfn::pg_catalog.oid,"
     " aggfinalfn::pg_catalog.oid, aggcombinefn::pg_catalog.oid, aggmtransfn::pg_catalog.oid,"
     " aggminvtransfn::pg_catalog.oid, aggmfinalfn::pg_catalog.oid]),"
    " base AS MATERIALIZED (SELECT oid FROM body WHERE " IS_DOUBTFUL
     " UNION SELECT oid FROM gathering),"
    /* What speaks of what: names that may be called, also as value.function, and dependencies of
     * which PostgreSQL knows. */
    " word AS MATERIALIZED (SELECT b.oid, w AS tail FROM (SELECT oid, ARRAY(SELECT DISTINCT"
     " pg_catalog.lower(pg_catalog.btrim(m[1], ' \n\t\r\f\v\"(/*-.'))"
     " FROM pg_catalog.regexp_matches(src, '[.]" SPACES "*\"?" NAME_GOES "+|" NAME_GOES "+\"?" SPACES
     "*(?:[(]|/[*]|--)', 'g') m)"
     " AS words FROM body WHERE EXISTS (SELECT FROM base) OFFSET 0) b,"
     " pg_catalog.unnest(b.words) w),"
    " callee AS MATERIALIZED (SELECT oid, pg_catalog.substring(pg_catalog.lower(name) " IN_C ","
     " '" NAME_GOES "*$') AS tail FROM body),"
    /* What trees hold that call PostgreSQL's own, and what uses these. */
    " tree AS MATERIALIZED (SELECT use, " LOWER("src") IN_C " AS src FROM ("
     "SELECT CASE WHEN ev_type" PW_OP("=") "'1'::pg_catalog.\"char\" THEN " READ_ID " ELSE " WRITE_ID " END AS use,"
     " pg_catalog.pg_get_ruledef(oid) AS src FROM pg_catalog.pg_rewrite"
     " WHERE oid" PW_IS_USERS " AND " HAS_INNER("pg_catalog.concat(ev_qual, ev_action)")
     " UNION ALL SELECT CASE WHEN EXISTS (SELECT FROM computed c WHERE c.oid" PW_OP("=") "a.oid)"
     " THEN " READ_ID " ELSE " WRITE_ID " END,"
     " pg_catalog.pg_get_expr(adbin, adrelid) FROM pg_catalog.pg_attrdef a"
     " WHERE " HAS_INNER("adbin")
     " UNION ALL SELECT " READ_ID ", pg_catalog.concat(pg_catalog.pg_get_expr(polqual, polrelid), ' ; ',"
     " pg_catalog.pg_get_expr(polwithcheck, polrelid)) FROM pg_catalog.pg_policy"
     " WHERE " HAS_INNER("pg_catalog.concat(polqual, polwithcheck)")
     " UNION ALL SELECT CASE WHEN conrelid" PW_OP("=") "0::pg_catalog.oid THEN " READ_ID " ELSE " WRITE_ID " END,"
     " pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint"
     " WHERE oid" PW_IS_USERS " AND " HAS_INNER("conbin")
     " UNION ALL SELECT " WRITE_ID ", pg_catalog.pg_get_triggerdef(oid) FROM pg_catalog.pg_trigger"
     " WHERE " HAS_INNER("tgqual")
     " UNION ALL SELECT " READ_ID ", pg_catalog.pg_get_statisticsobjdef(oid) FROM statistic"
     " WHERE " HAS_INNER("trees")
     " UNION ALL SELECT " READ_ID ", typdefault FROM pg_catalog.pg_type WHERE " HAS_INNER("typdefaultbin")
     ") x),"
    /* Where a table is used, or by an operator: what calls a function without naming it. Languages
     * have functions too. What makes up base types, access methods and foreign data wrappers
     * leaves nothing where it is in C. */
    " used AS MATERIALIZED (SELECT DISTINCT d.refobjid AS oid, CASE"
     " WHEN d.classid" PW_OP("=") PW_CLASS("pg_event_trigger") " THEN " COMMAND_ID
     " WHEN d.classid" PW_OP("=") PW_CLASS("pg_trigger") " THEN " WRITE_ID
     " WHEN d.classid" PW_OP("=") PW_CLASS("pg_attrdef") " AND NOT EXISTS (SELECT FROM computed c"
     " WHERE c.oid" PW_OP("=") "d.objid) THEN " WRITE_ID
     " WHEN d.classid" PW_OP("=") PW_CLASS("pg_constraint") " AND EXISTS (SELECT FROM"
     " pg_catalog.pg_constraint c WHERE c.oid" PW_OP("=") "d.objid AND c.conrelid" PW_OP("<>")
     "0::pg_catalog.oid) THEN " WRITE_ID
     " WHEN d.classid" PW_OP("=") PW_CLASS("pg_rewrite") " AND EXISTS (SELECT FROM"
     " pg_catalog.pg_rewrite r WHERE r.oid" PW_OP("=") "d.objid AND r.ev_type" PW_OP("<>")
     "'1'::pg_catalog.\"char\") THEN " WRITE_ID
     " ELSE " READ_ID " END AS use FROM pg_catalog.pg_depend d"
     " WHERE d.refclassid" PW_OP("=") PW_CLASS("pg_proc") " AND d.refobjid" PW_IS_USERS
     " AND d.classid" PW_OP("<>") PW_CLASS("pg_proc")
     " AND d.classid" PW_OP("<>") PW_CLASS("pg_language")
     " AND NOT (d.classid" PW_OP("=") "ANY (ARRAY[" PW_CLASS("pg_foreign_data_wrapper") ","
     PW_CLASS("pg_am") "," PW_CLASS("pg_type") "]::pg_catalog.oid[])"
     " AND EXISTS (SELECT FROM body b WHERE b.oid" PW_OP("=") "d.refobjid"
     " AND b.language" PW_OP("=") "'c'))"
     /* A function of a row can be called like a column of it. */
     " UNION SELECT p.oid, " READ_ID " FROM pg_catalog.pg_proc p, pg_catalog.pg_type y"
     " WHERE p.oid" PW_IS_USERS " AND p.pronargs" PW_OP(">=") "1"
     " AND p.pronargs" PW_OP("-") "p.pronargdefaults" PW_OP("<=") "1"
     " AND y.oid" PW_OP("=") "p.proargtypes[0] AND (y.typtype" PW_OP("<>") "'b'::pg_catalog.\"char\""
     " OR p.provariadic" PW_OP("<>") "0::pg_catalog.oid OR EXISTS (SELECT FROM pg_catalog.pg_cast c,"
     " pg_catalog.pg_type s WHERE c.oid" PW_IS_USERS " AND c.castcontext" PW_OP("=")
     "'i'::pg_catalog.\"char\" AND s.oid" PW_OP("=") "c.castsource"
     " AND s.typtype" PW_OP("<>") "'b'::pg_catalog.\"char\"))),"
    " edge AS MATERIALIZED (SELECT callee, pg_catalog.array_agg(caller) AS callers FROM ("
     "SELECT w.oid AS caller, c.oid AS callee FROM word w, callee c"
     " WHERE w.tail" IN_C PW_OP("=") "c.tail"
     " UNION ALL SELECT b.oid, c.oid FROM body b, callee c WHERE c.tail" PW_OP("=") "''"
     " UNION ALL SELECT objid, refobjid FROM pg_catalog.pg_depend"
     " WHERE classid" PW_OP("=") PW_CLASS("pg_proc") " AND refclassid" PW_OP("=")
     PW_CLASS("pg_proc") " AND refobjid" PW_IS_USERS
     " UNION ALL SELECT use, oid FROM used"
     " UNION ALL SELECT oid, " WRITE_ID " FROM body WHERE " IS_TO_ASK " AND (" IS_OTHER " OR " MATCHES("src", WRITES) ")"
     " UNION ALL SELECT oid, " COMMAND_ID " FROM body WHERE " IS_TO_ASK " AND (" IS_OTHER " OR " MATCHES("src", COMMANDS)
     " OR " MAKES_TABLE ")) x GROUP BY callee),"
    /* Whose effects nobody can ask about. */
    " piece AS MATERIALIZED (SELECT b.oid, b.language, b.src, " WITHOUT_UPDATES("b.src") " AS rest"
     " FROM body b, base WHERE b.oid" PW_OP("=") "base.oid"
     " UNION ALL SELECT use, 'sql', src, src FROM tree),"
    " lost AS MATERIALIZED (SELECT oid FROM piece WHERE " MATCHES("src", SETS_ANY "|" UNASKABLE "|" RUNS_OTHER "|" FORGETS)
     " OR " MATCHES("rest", SET_OTHER)
     " OR (language" PW_OP("=") "'plpgsql' AND " MATCHES("src", EXECUTES_OTHER) ")"
     " OR (NOT (language" PW_IS_ONE_OF("sql,plpgsql,c,internal") ") AND " MATCHES("src", FOREIGN) ")"
     " OR language" PW_OP("=") "'c' AND " MATCHES("src", WORD("isn_weak|weak_input_mode|accept_weak_input"))
     " UNION SELECT oid FROM (SELECT oid, src, pg_catalog.regexp_matches(src,"
     " '" MADE "', 'g') AS m FROM piece WHERE " MATCHES("src", "set_config|" WORD("set")) ") x"
     " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n"
     " WHERE n.nspname::pg_catalog.text" PW_OP("=") "m[1])"
     " UNION SELECT oid FROM (SELECT oid, src, ARRAY(SELECT DISTINCT m[1]"
     " FROM pg_catalog.regexp_matches(src, '" EXECUTES_NAMED "', 'g') m"
     " WHERE NOT (m[1]" PW_IS_ONE_OF("function,procedure,on,format,concat") ")) AS names"
     " FROM piece WHERE language" PW_OP("=") "'plpgsql' OFFSET 0) x"
     /* Each is a regular expression of its own. */
     " WHERE CASE WHEN pg_catalog.cardinality(names)" PW_OP(">") NAMES_LOOKED_AT " THEN true"
     " ELSE EXISTS (SELECT FROM pg_catalog.unnest(names) n"
     " WHERE NOT src" IN_C PW_OP("~") "pg_catalog.concat('" WORD_BEGINS "', n,"
     " '" WORD_ENDS "[^;]*?(?::=|=|" WORD("default") ")" GAP OTHER_COMMAND "')) END"
     " UNION SELECT oid FROM gathering),"
    " marked AS (SELECT oid, 'd' AS mark FROM base"
     " UNION SELECT use, 'd' FROM tree"
     " UNION SELECT oid, 'o' FROM lost"
     " UNION SELECT oid, 'm' FROM piece WHERE " MATCHES("src", MAKES_CODE)
     " UNION SELECT oid, 'n' FROM piece WHERE " MATCHES("src", MAKES_TABLES)
     " UNION SELECT " READ_ID ", 'o' FROM (SELECT oprcode::pg_catalog.oid AS f FROM pg_catalog.pg_operator"
     " WHERE oid" PW_IS_USERS " UNION ALL SELECT castfunc FROM pg_catalog.pg_cast"
     " WHERE oid" PW_IS_USERS ") x WHERE " IS_INNER("f")
     " UNION SELECT pg_catalog.unnest(e.callers), m.mark FROM marked m, edge e"
     " WHERE e.callee" PW_OP("=") "m.oid),"
     /* Grouped, so that the planner takes them for few. */
     " known AS MATERIALIZED (SELECT oid, pg_catalog.bool_or(mark" PW_OP("=") "'o') AS is_lost,"
     " pg_catalog.bool_or(mark" PW_OP("=") "'m') AS makes,"
     " pg_catalog.bool_or(mark" PW_OP("=") "'n') AS makes_tables FROM marked GROUP BY oid),"
    /* Settings with a dot that all these may set. */
    " dotted AS (SELECT DISTINCT m[1] AS name FROM (SELECT pg_catalog.regexp_matches("
     "src, '" DOTTED "', 'g') AS m FROM (SELECT b.src FROM body b, known k"
     " WHERE k.oid" PW_OP("=") "b.oid UNION SELECT src FROM tree) x) y) ";

/* r: to read may draw values of sequences, or ask for them; a: there is code that asks. */
static const char sequences[] =
    "pg_catalog.concat('q', CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_rewrite"
     " WHERE oid" PW_IS_USERS " AND " CALLS("pg_catalog.concat(ev_qual, ev_action)", SEQUENCES) ")"
     " OR EXISTS (SELECT FROM pg_catalog.pg_policy"
     " WHERE " CALLS("pg_catalog.concat(polqual, polwithcheck)", SEQUENCES) ")"
     " OR EXISTS (SELECT FROM pg_catalog.pg_constraint"
     " WHERE contypid" PW_OP("<>") "0::pg_catalog.oid AND " CALLS("conbin", SEQUENCES) ")"
     " OR " MADE_OF(SEQUENCES)
     " OR EXISTS (SELECT FROM used u, body b WHERE u.use" PW_OP("=") READ_ID
     " AND b.oid" PW_OP("=") "u.oid AND b.language" PW_OP("<>") "'c')"
     " OR EXISTS (SELECT FROM body b, pg_catalog.pg_proc p"
     " WHERE p.proname::pg_catalog.text" PW_OP("=") "b.name AND p.oid" PW_OP("<") "16384::pg_catalog.oid)"
     " THEN 'r' END,"
     " CASE WHEN EXISTS (SELECT FROM body WHERE " MATCHES("src", WORD("currval|lastval")) ")"
     " OR EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE oid" PW_IS_USERS
     " AND " CALLS("pg_catalog.concat(ev_qual, ev_action)", ASKING) ")"
     " OR EXISTS (SELECT FROM pg_catalog.pg_policy"
     " WHERE " CALLS("pg_catalog.concat(polqual, polwithcheck)", ASKING) ")"
     " OR EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE " CALLS("conbin", ASKING) ")"
     " OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE " CALLS("typdefaultbin", ASKING) ")"
     " OR EXISTS (SELECT FROM pg_catalog.pg_attrdef WHERE " CALLS("adbin", ASKING) ")"
     " OR " MADE_OF(ASKING) " THEN 'a' END)";
/* clang-format on */

/* In the same transaction, and no longer. Compiling takes longer than running; who waits for a lock
 * or for a body that somebody made for it waits in vain. */
static const char in_peace[] =
    "SELECT FROM pg_catalog.pg_settings WHERE CASE"
    " WHEN name" PW_IS_ONE_OF("jit,lock_timeout") " THEN pg_catalog.set_config(name, '0', true)"
						  " IS NULL WHEN name" PW_OP(
						      "=") "'statement_timeout'"
							   " THEN pg_catalog.set_config(name, "
							   "'%u', true) IS NULL ELSE false END;";

void pw_code_add_peace(struct pw_strbuf *sql)
{
	pw_strbuf_printf(sql, in_peace, (unsigned)(PW_CODE_TIMEOUT_US / 1000));
}

static void add_beginning(struct pw_strbuf *sql, unsigned server_version)
{
	pw_code_add_peace(sql);
	pw_strbuf_add_string(sql, server_version >= 14 ? parsed : nothing_parsed);
	pw_strbuf_add_string(sql, server_version >= 18 ? computed : nothing_computed);
	pw_strbuf_add_string(sql, tables);
}

void pw_code_add_question(struct pw_strbuf *sql, unsigned server_version)
{
	/* The session may be one whose transactions wait for a safe snapshot. */
	pw_strbuf_add_string(sql, "SET LOCAL transaction_isolation = 'read committed';");
	add_beginning(sql, server_version);
	pw_strbuf_printf(
	    sql,
	    "(SELECT 't' UNION ALL SELECT pg_catalog.concat('t', " USE_LETTERS
	    ") FROM known k WHERE " IS_USE(
		"k.oid") ")"
			 " UNION ALL (SELECT %s)"
			 " UNION ALL (SELECT pg_catalog.concat('s', name) FROM dotted LIMIT %d)"
			 " UNION ALL (SELECT pg_catalog.concat(CASE WHEN"
			 " pg_catalog.bool_or(is_lost) THEN 'o' ELSE 'd' END, name)"
			 " FROM known k, body b WHERE k.oid" PW_OP(
			     "=") "b.oid GROUP BY name"
				  " ORDER BY pg_catalog.bool_or(is_lost) DESC LIMIT %d)"
				  " UNION ALL (SELECT DISTINCT pg_catalog.concat('m', name)"
				  " FROM known k, body b WHERE k.makes AND k.oid" PW_OP(
				      "=") "b.oid LIMIT %d)"
					   " UNION ALL (SELECT DISTINCT pg_catalog.concat('n', "
					   "name)"
					   " FROM known k, body b WHERE k.makes_tables AND "
					   "k.oid" PW_OP("=") "b.oid LIMIT %d)",
	    sequences, PW_CODE_NAMES_MAX + 1, PW_CODE_FUNCTIONS_MAX + 1, PW_CODE_FUNCTIONS_MAX + 1,
	    PW_CODE_FUNCTIONS_MAX + 1);
}

int pw_code_use_of(char letter)
{
	static const char letters[] = USES;
	const char *found = letter ? strchr(letters, letter) : NULL;

	return found ? (int)(found - letters) : -1;
}

void pw_code_add_settings(struct pw_strbuf *sql, unsigned server_version)
{
	add_beginning(sql, server_version);
	pw_strbuf_add_string(
	    sql,
	    "SELECT 'c'::pg_catalog.text, " USE_LETTERS ", NULL::pg_catalog.text FROM known k"
	    " WHERE " IS_USE(
		"k.oid") " UNION ALL SELECT 'f'::pg_catalog.text, b.name, NULL FROM known k, body b"
			 " WHERE k.oid" PW_OP("=") "b.oid AND k.is_lost"
						   " UNION ALL SELECT 's'::pg_catalog.text, name, "
						   "pg_catalog.current_setting(name, true)"
						   " FROM dotted");
}
