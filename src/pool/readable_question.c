/* SPDX-License-Identifier: PostgreSQL
 *
 * One query finds what a standby may not be asked to do: the functions that are volatile or that
 * nobody here can read, the relations that are not on every node, PostgreSQL's own functions that
 * tell of the node; then, step by step, whatever uses these: bodies, views, policies, domains,
 * casts, parents. It errs towards doubt: words in comments and names of columns count.
 *
 * All are nodes of one graph: a function, a relation, and of a type that a value is made one of it,
 * is put out, or is cast to it by a function. What PostgreSQL knows of who uses what is taken from
 * pg_depend; it does not tell of its own objects, so these are looked for in the trees; bodies that
 * are texts are cut into words.
 *
 * Each step goes over all bodies and trees at most once, and only over bodies that are not in doubt
 * anyhow: a database may have thousands of them.
 */
#include "config.h"

#include "pgweir/pool/readable.h"

#include "pgweir/pool/catalog.h"
#include "pgweir/pool/code.h"
#include "pgweir/sql/builtin.h"

/* Literals are written without a backslash, as in code_question.c. */
#define IN_C   " COLLATE pg_catalog.\"C\""
#define SPACES "[[:space:]]"
#define GAP    "(?:" SPACES "|/[*].*?[*]/|--[^\n]*\n)*"

/* How often two spaces are made one, so that there are few words without letters. */
enum { SQUEEZES = 3 };

/* ---- nodes ---- */

#define NODE(oid, kind)  "(" oid "::pg_catalog.int8" PW_OP("+") kind ")"
#define FUNCTION(oid)    "(" oid "::pg_catalog.oid::pg_catalog.int8)"
#define RELATION(oid)    NODE(oid, "4294967296")
#define MADE(oid)        NODE(oid, "8589934592")
#define PUT_OUT(oid)     NODE(oid, "12884901888")
#define CAST_TO(oid)     NODE(oid, "17179869184")
#define EVERYTHING       "0::pg_catalog.int8"
#define DOUBT            "1::pg_catalog.int8"
#define IS_KIND(name)    "kind" PW_OP("=") "'" name "'"
#define CHAR(c)          "'" c "'::pg_catalog.\"char\""
#define ANY_CHAR(list)   PW_OP("=") "ANY ('{" list "}'::pg_catalog.\"char\"[])"
#define ANY_OID(list)    PW_OP("=") "ANY ('{" list "}'::pg_catalog.oid[])"
#define IN_CATALOG(name) name PW_OP("=") "'pg_catalog'::pg_catalog.regnamespace"

/* ---- texts ---- */

/* What nobody here follows: a text that is put together, names that are written in escapes. */
#define NOT_READ  "VALUES ('execute'), ('execute('), ('show'), ('pg_temp')"
#define HAS(part) "pg_catalog.strpos(src, '" part "')" PW_OP(">") "0"
#define ESCAPED   HAS("u&\"")

/* A word that stands before a bracket keeps it. Where a comment is between, each word of the body
 * counts as one that does. */
#define BRACKETS                                                                                   \
	"pg_catalog.replace(pg_catalog.replace(pg_catalog.regexp_replace("                         \
	"src" IN_C ", '" SPACES "+[(]', '(', 'g'), '\"(', '('), '(', '( ')"
#define COMMENT_BEFORE                                                                             \
	"CASE WHEN " HAS("*/") " OR " HAS("--") " THEN src" IN_C PW_OP(                            \
	    "~") "'[*]/" SPACES "*[(]|--[^\n]*\n" SPACES "*[(]' ELSE false END"
/* What stands between words otherwise. Each is looked for by itself, which is far faster than a
 * regular expression or translate(). */
static const char between[] = "\n\t\r\f\v!\"#%&)*+,-./:;<=>?@[]^`{|}~";
/* A name ends with such a word; where it does not, any body may speak of it. Most need no more than
 * a look. */
#define WORD_OF(name)                                                                              \
	"CASE WHEN " name IN_C PW_OP("~") "'^[a-z0-9_$]+$' THEN " name                             \
					  " ELSE pg_catalog.substring(" LOWER(                     \
					      name) ", '[^[:space:]!-#%-/:-@[-^`{-~]*$') END"
/* As names are folded: what is beyond ASCII only where each character is a byte. A query within
 * keeps one collation from the other. */
#define LOWER(text)                                                                                \
	"(CASE WHEN (SELECT is_wide FROM encoding)"                                                \
	" THEN (SELECT pg_catalog.lower(" text IN_C "))"                                           \
	" ELSE (SELECT pg_catalog.lower((SELECT pg_catalog.lower(" text IN_C "))"                  \
	" COLLATE pg_catalog.\"default\")) END" IN_C ")"
/* No name is longer: a server cuts it off. */
#define IS_CUT_OFF "pg_catalog.octet_length(w)" PW_OP(">") "64"

/* current_setting() of what is no plain literal, or of one of the node's settings. */
#define LITERAL "''[^'']*''" SPACES "*(?:::[a-z._]+" SPACES "*)?[,)]"
#define ASKS_NODE                                                                                  \
	"CASE WHEN " HAS("current_setting") " THEN src" IN_C PW_OP(                                \
	    "~") "'current_setting\"?" GAP "[(](?:(?!" GAP LITERAL ")|" GAP                        \
		 "''(?:%s)'')' ELSE false END"

/* ---- trees ---- */

/* What stands behind funcid, relid, aggfnoid and the like, up to the next space. No two objects
 * have one number, so which it is need not be known. */
#define IN_TREES                                                                                   \
	"SELECT t.by, x.node FROM (SELECT node AS by, pg_catalog.unnest("                          \
	"pg_catalog.string_to_array(src, 'id ')) AS piece FROM tree) t, target x"                  \
	" WHERE x.number" IN_C PW_OP("=") "pg_catalog.split_part(t.piece, ' ', 1)"
/* current_setting() */
#define ASKS "(" HAS(":funcid 2077 ") " OR " HAS(":funcid 3294 ") ")"

/* Rules that are views, policies that hold for reading. */
#define VIEWS                                                                                      \
	"pg_catalog.pg_rewrite r, pg_catalog.pg_class c WHERE c.oid" PW_OP(                        \
	    "=") "r.ev_class"                                                                      \
		 " AND r.ev_type" PW_OP("=") CHAR("1") " AND c.relkind" PW_OP("=") CHAR("v")
#define POLICIES                                                                                   \
	"pg_catalog.pg_policy p, pg_catalog.pg_class c WHERE c.oid" PW_OP(                         \
	    "=") "p.polrelid"                                                                      \
		 " AND c.relrowsecurity AND p.polcmd " ANY_CHAR("*,r")

/* clang-format off */
static const char beginning[] =
    "WITH RECURSIVE encoding AS MATERIALIZED (SELECT pg_catalog.getdatabaseencoding()::pg_catalog.text"
     PW_OP("=") "'UTF8' AS is_wide),"
    /* PostgreSQL's own, as pw_builtin_reads() has it. */
    " own AS MATERIALIZED (SELECT oid, proname::pg_catalog.text AS name, prosrc FROM pg_catalog.pg_proc"
     " WHERE oid" PW_OP("<") "16384::pg_catalog.oid AND CASE WHEN provolatile" PW_OP("=") CHAR("v")
     " THEN NOT (proname::pg_catalog.text" PW_IS_ONE_OF("%s") ")"
     " WHEN pg_catalog.starts_with(proname::pg_catalog.text, 'pg_')"
     " THEN NOT (proname::pg_catalog.text" PW_IS_ONE_OF("%s") ")"
     " ELSE proname::pg_catalog.text" PW_IS_ONE_OF("%s") " END),"
    /* is_inner: no statement can call it. */
    " code AS MATERIALIZED (SELECT p.oid, p.proname::pg_catalog.text AS name, p.prokind, p.provolatile,"
     " p.prosrc, p.proargtypes, p.pronargs, p.pronargdefaults, p.provariadic, p.prorettype,"
     " l.lanname::pg_catalog.text AS language, " IN_CATALOG("p.pronamespace") " AS is_in_catalog,"
     " p.prorettype" ANY_OID("269,325,2279,2280,2281,3115,3310,3838")
     " OR p.proargtypes::pg_catalog.oid[]" PW_OP("@>") "'{2281}'::pg_catalog.oid[] AS is_inner"
     " FROM pg_catalog.pg_proc p, pg_catalog.pg_language l"
     " WHERE l.oid" PW_OP("=") "p.prolang AND p.oid" PW_IS_USERS "),"
    " body AS MATERIALIZED (SELECT oid, " LOWER("prosrc") " AS src FROM code"
     " WHERE language" PW_IS_ONE_OF("sql,plpgsql") " AND provolatile" PW_OP("<>") CHAR("v")
     " AND prosrc" PW_OP("<>") "''),";

static const char parsed[] =
    " parsed AS NOT MATERIALIZED (SELECT oid, prosqlbody::pg_catalog.text AS src FROM pg_catalog.pg_proc"
     " WHERE oid" PW_IS_USERS " AND prosqlbody IS NOT NULL"
     " AND provolatile" PW_OP("<>") CHAR("v") "),"
    " parsed_text AS NOT MATERIALIZED (SELECT oid, pg_catalog.pg_get_function_sqlbody(oid) AS src"
     " FROM pg_catalog.pg_proc),";
static const char nothing_parsed[] =
    " parsed AS (SELECT NULL::pg_catalog.oid AS oid, NULL::pg_catalog.text AS src WHERE false),"
    " parsed_text AS (SELECT oid, src FROM parsed),";
/* Columns that are computed when they are read. */
static const char computed[] =
    " computed AS MATERIALIZED (SELECT d.oid, d.adrelid, d.adbin::pg_catalog.text AS src FROM pg_catalog.pg_attrdef d,"
     " pg_catalog.pg_attribute a WHERE a.attrelid" PW_OP("=") "d.adrelid"
     " AND a.attnum" PW_OP("=") "d.adnum AND a.attgenerated" PW_OP("=") CHAR("v") "),";
static const char nothing_computed[] =
    " computed AS (SELECT NULL::pg_catalog.oid AS oid, NULL::pg_catalog.oid AS adrelid,"
     " NULL::pg_catalog.text AS src WHERE false),";

static const char graph[] =
    " tree AS MATERIALIZED ("
     "SELECT " RELATION("r.ev_class") " AS node, 'view' AS kind, r.oid, r.ev_action::pg_catalog.text AS src FROM " VIEWS
     " UNION ALL SELECT " RELATION("p.polrelid") ", 'policy', p.oid, p.polqual::pg_catalog.text FROM " POLICIES
     " UNION ALL SELECT " MADE("contypid") ", 'domain', oid, conbin::pg_catalog.text FROM pg_catalog.pg_constraint"
     " WHERE contypid" PW_OP("<>") "0::pg_catalog.oid"
     " UNION ALL SELECT " FUNCTION("oid") ", 'body', oid, src FROM parsed"
     " UNION ALL SELECT " FUNCTION("oid") ", 'defaults', oid, proargdefaults::pg_catalog.text FROM pg_catalog.pg_proc"
     " WHERE oid" PW_IS_USERS " AND proargdefaults IS NOT NULL"
     " UNION ALL SELECT " RELATION("adrelid") ", 'column', oid, src FROM computed),"
    /* Those that ask for a setting, as they are written; and bodies. */
    " asking AS MATERIALIZED (SELECT node, kind, oid FROM tree WHERE " ASKS "),"
    " spoken AS (SELECT " FUNCTION("oid") " AS node, src FROM body UNION ALL SELECT node, " LOWER("src") " FROM ("
     "SELECT node, pg_catalog.pg_get_ruledef(oid) AS src FROM asking WHERE " IS_KIND("view")
     " UNION ALL SELECT a.node, pg_catalog.pg_get_expr(p.polqual, p.polrelid) FROM asking a, pg_catalog.pg_policy p"
     " WHERE p.oid" PW_OP("=") "a.oid AND " IS_KIND("policy")
     " UNION ALL SELECT node, pg_catalog.pg_get_constraintdef(oid) FROM asking WHERE " IS_KIND("domain")
     " UNION ALL SELECT a.node, p.src FROM asking a, parsed_text p WHERE p.oid" PW_OP("=") "a.oid AND " IS_KIND("body")
     " UNION ALL SELECT node, pg_catalog.pg_get_function_arguments(oid) FROM asking WHERE " IS_KIND("defaults")
     " UNION ALL SELECT a.node, pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM asking a, pg_catalog.pg_attrdef d"
     " WHERE d.oid" PW_OP("=") "a.oid AND " IS_KIND("column") ") x),"
    /* Whose use is worth looking for: what is certain is no reason for doubt. */
    " op AS MATERIALIZED (SELECT o.oprname::pg_catalog.text AS name, o.oprcode::pg_catalog.oid AS code,"
     " " IN_CATALOG("o.oprnamespace") " AS is_in_catalog FROM pg_catalog.pg_operator o, code c"
     " WHERE o.oid" PW_IS_USERS " AND c.oid" PW_OP("=") "o.oprcode AND (c.provolatile" PW_OP("=") CHAR("v")
     " OR NOT (c.language" PW_IS_ONE_OF("c,internal") "))),"
    " relation AS MATERIALIZED (SELECT oid, relname::pg_catalog.text AS name, reltype,"
     " " IN_CATALOG("relnamespace") " AS is_in_catalog,"
     " relkind" ANY_CHAR("f,S") " OR relpersistence" PW_OP("<>") CHAR("p") " AS is_elsewhere"
     " FROM pg_catalog.pg_class WHERE relkind" ANY_CHAR("r,v,m,f,p,S") "),"
    " target AS MATERIALIZED (SELECT oid::pg_catalog.text AS number, " FUNCTION("oid") " AS node FROM own"
     " UNION ALL SELECT oid::pg_catalog.text, " RELATION("oid") " FROM relation),"
    " type AS MATERIALIZED (SELECT oid, typname::pg_catalog.text AS name,"
     " " IN_CATALOG("typnamespace") " AS is_in_catalog, typtype, typcategory, typinput, typreceive, typmodin,"
     " typoutput, typsend FROM pg_catalog.pg_type WHERE oid" PW_IS_USERS
     " OR EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.oid" PW_IS_USERS
     " AND c.casttarget" PW_OP("=") "pg_type.oid)),"
    " name AS MATERIALIZED (SELECT " WORD_OF("name") " AS word, is_call, node FROM ("
     "SELECT name, true AS is_call, " FUNCTION("oid") " AS node FROM own"
     " UNION ALL SELECT name, true, " FUNCTION("oid") " FROM code"
     /* value.function */
     " UNION ALL SELECT name, false, " FUNCTION("oid") " FROM code WHERE pronargs" PW_OP(">=") "1"
     " AND pronargs" PW_OP("-") "pronargdefaults" PW_OP("<=") "1"
     " UNION ALL SELECT name, false, " RELATION("oid") " FROM relation"
     " UNION ALL SELECT t.name, c.is_call, x.node FROM type t, (VALUES (true), (false)) c (is_call),"
     " LATERAL (VALUES (" MADE("t.oid") "), (" CAST_TO("t.oid") ")) x (node)"
     /* Nobody writes the names that arrays have. */
     " WHERE t.typcategory" PW_OP("<>") CHAR("A") ") x),"
    " nameless AS MATERIALIZED (SELECT node FROM name WHERE word" PW_OP("=") "''),"
    /* Grouped, so that the planner takes them for few. */
    " said AS MATERIALIZED (SELECT word, pg_catalog.array_agg(node) AS nodes FROM ("
     "SELECT CASE WHEN is_call THEN pg_catalog.concat(word, '(') ELSE word END AS word,"
     " node FROM name WHERE word" PW_OP("<>") "''"
     " UNION ALL SELECT w.column1, " DOUBT " FROM (" NOT_READ ") w) x GROUP BY word),";

static const char words[] =
    " word AS MATERIALIZED (SELECT oid, pg_catalog.unnest(pg_catalog.string_to_array(src, ' ')) AS w FROM flat"
     " UNION ALL SELECT oid, pg_catalog.concat(w, '(') FROM (SELECT oid,"
     " pg_catalog.unnest(pg_catalog.string_to_array(src, ' ')) AS w FROM flat WHERE is_broken) x),";

/* Who uses what. */
static const char edges[] =
    " dependency AS MATERIALIZED (SELECT d.classid, d.objid, d.refclassid, d.refobjid,"
     " CASE WHEN d.refclassid" PW_OP("=") PW_CLASS("pg_proc") " THEN " FUNCTION("d.refobjid")
     " WHEN d.refclassid" PW_OP("=") PW_CLASS("pg_class") " THEN " RELATION("d.refobjid")
     " WHEN d.refclassid" PW_OP("=") PW_CLASS("pg_type") " THEN " MADE("d.refobjid")
     " WHEN d.refclassid" PW_OP("=") PW_CLASS("pg_operator") " THEN " FUNCTION("o.oprcode") " END AS used"
     " FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_operator o"
     " ON d.refclassid" PW_OP("=") PW_CLASS("pg_operator") " AND o.oid" PW_OP("=") "d.refobjid"
     " WHERE d.refclassid" PW_OP("=") "ANY (ARRAY[" PW_CLASS("pg_proc") "," PW_CLASS("pg_class") ","
     PW_CLASS("pg_type") "," PW_CLASS("pg_operator") "]::pg_catalog.oid[])"
     " AND d.classid" PW_OP("=") "ANY (ARRAY[" PW_CLASS("pg_proc") "," PW_CLASS("pg_class") ","
     PW_CLASS("pg_type") "," PW_CLASS("pg_rewrite") "," PW_CLASS("pg_policy") ","
     PW_CLASS("pg_constraint") "," PW_CLASS("pg_attrdef") "]::pg_catalog.oid[])),"
    " edge AS MATERIALIZED (SELECT used, pg_catalog.array_agg(by) AS users FROM ("
     "SELECT " FUNCTION("w.oid") " AS by, pg_catalog.unnest(s.nodes) AS used FROM word w, said s WHERE w.w" IN_C PW_OP("=") "s.word"
     " UNION ALL SELECT " FUNCTION("oid") ", " DOUBT " FROM word WHERE " IS_CUT_OFF
     " UNION ALL SELECT " FUNCTION("b.oid") ", n.node FROM body b, nameless n"
     " UNION ALL SELECT " FUNCTION("b.oid") ", " FUNCTION("o.code") " FROM body b, op o"
     " WHERE pg_catalog.strpos(b.src, o.name)" PW_OP(">") "0"
     " UNION ALL SELECT " FUNCTION("oid") ", " DOUBT " FROM body WHERE " ESCAPED
     " UNION ALL SELECT node, " DOUBT " FROM spoken WHERE " ASKS_NODE
     " UNION ALL " IN_TREES
     /* FOR UPDATE and the like. */
     " UNION ALL SELECT node, " DOUBT " FROM tree WHERE " HAS(":rowMarks (")
     " UNION ALL SELECT " FUNCTION("oid") ", " DOUBT " FROM own"
     /* What only PostgreSQL calls, and is in C, is trusted. */
     " UNION ALL SELECT " FUNCTION("oid") ", " DOUBT " FROM code WHERE prokind" PW_OP("<>") CHAR("a")
     " AND (provolatile" PW_OP("=") CHAR("v") " AND NOT (is_inner AND language" PW_OP("=") "'c')"
     " OR NOT (language" PW_IS_ONE_OF("c,internal,sql,plpgsql") "))"
     /* Of tablefunc and xml2: they run a query that is given to them as a text. */
     " UNION ALL SELECT " FUNCTION("oid") ", " DOUBT " FROM code WHERE language" PW_OP("=") "'c'"
     " AND prosrc" PW_IS_ONE_OF("crosstab,crosstab_hash,connectby_text,connectby_text_serial,xpath_table")
     /* NOT of the one may be planned as the other. */
     " UNION ALL SELECT " FUNCTION("o.oprcode") ", " FUNCTION("n.oprcode") " FROM pg_catalog.pg_operator o,"
     " pg_catalog.pg_operator n WHERE o.oid" PW_IS_USERS " AND n.oid" PW_OP("=") "o.oprnegate"
     " UNION ALL SELECT " FUNCTION("c.oid") ", " FUNCTION("o.oid") " FROM code c, own o"
     " WHERE c.language" PW_OP("=") "'internal' AND c.prosrc" PW_OP("=") "o.prosrc"
     " UNION ALL SELECT " FUNCTION("aggfnoid") ", " FUNCTION("part") " FROM pg_catalog.pg_aggregate,"
     " pg_catalog.unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn,"
     " aggmtransfn, aggminvtransfn, aggmfinalfn]) AS part WHERE aggfnoid::pg_catalog.oid" PW_IS_USERS
     " UNION ALL SELECT " RELATION("oid") ", " DOUBT " FROM relation WHERE is_elsewhere"
     " UNION ALL SELECT " RELATION("inhparent") ", " RELATION("inhrelid") " FROM pg_catalog.pg_inherits"
     /* Dependencies. */
     " UNION ALL SELECT " FUNCTION("objid") ", used FROM dependency WHERE classid" PW_OP("=") PW_CLASS("pg_proc")
     " UNION ALL SELECT " RELATION("r.ev_class") ", d.used FROM dependency d, " VIEWS
     " AND d.classid" PW_OP("=") PW_CLASS("pg_rewrite") " AND d.objid" PW_OP("=") "r.oid"
     " UNION ALL SELECT " RELATION("p.polrelid") ", d.used FROM dependency d, " POLICIES
     " AND d.classid" PW_OP("=") PW_CLASS("pg_policy") " AND d.objid" PW_OP("=") "p.oid"
     " UNION ALL SELECT " MADE("c.contypid") ", d.used FROM dependency d, pg_catalog.pg_constraint c"
     " WHERE d.classid" PW_OP("=") PW_CLASS("pg_constraint") " AND d.objid" PW_OP("=") "c.oid"
     " AND c.contypid" PW_OP("<>") "0::pg_catalog.oid"
     " UNION ALL SELECT " RELATION("c.adrelid") ", d.used FROM dependency d, computed c"
     " WHERE d.classid" PW_OP("=") PW_CLASS("pg_attrdef") " AND d.objid" PW_OP("=") "c.oid"
     /* Types: of columns, of arguments, of what others are made of. */
     " UNION ALL SELECT " FUNCTION("objid") ", " PUT_OUT("refobjid") " FROM dependency"
     " WHERE classid" PW_OP("=") PW_CLASS("pg_proc") " AND refclassid" PW_OP("=") PW_CLASS("pg_type")
     " UNION ALL SELECT " RELATION("objid") ", " PUT_OUT("refobjid") " FROM dependency"
     " WHERE classid" PW_OP("=") PW_CLASS("pg_class") " AND refclassid" PW_OP("=") PW_CLASS("pg_type")
     " UNION ALL SELECT " PUT_OUT("c.reltype") ", " PUT_OUT("d.refobjid") " FROM dependency d, pg_catalog.pg_class c"
     " WHERE d.classid" PW_OP("=") PW_CLASS("pg_class") " AND d.refclassid" PW_OP("=") PW_CLASS("pg_type")
     " AND c.oid" PW_OP("=") "d.objid"
     " UNION ALL SELECT " MADE("c.reltype") ", x.used FROM dependency d, pg_catalog.pg_class c,"
     " LATERAL (VALUES (" MADE("d.refobjid") "), (" CAST_TO("d.refobjid") ")) x (used) WHERE d.classid" PW_OP("=") PW_CLASS("pg_class") " AND d.refclassid" PW_OP("=") PW_CLASS("pg_type")
     " AND c.oid" PW_OP("=") "d.objid"
     " UNION ALL SELECT " PUT_OUT("objid") ", " PUT_OUT("refobjid") " FROM dependency"
     " WHERE classid" PW_OP("=") PW_CLASS("pg_type") " AND refclassid" PW_OP("=") PW_CLASS("pg_type")
     " UNION ALL SELECT " MADE("objid") ", x.used FROM dependency,"
     " LATERAL (VALUES (" MADE("refobjid") "), (" CAST_TO("refobjid") ")) x (used) WHERE classid" PW_OP("=") PW_CLASS("pg_type") " AND refclassid" PW_OP("=") PW_CLASS("pg_type")
     " UNION ALL SELECT " MADE("oid") ", " FUNCTION("part") " FROM type,"
     " pg_catalog.unnest(ARRAY[typinput, typreceive, typmodin]) AS part WHERE typtype" PW_OP("=") CHAR("b")
     " UNION ALL SELECT " PUT_OUT("oid") ", " FUNCTION("part") " FROM type,"
     " pg_catalog.unnest(ARRAY[typoutput, typsend]) AS part WHERE typtype" PW_OP("=") CHAR("b")
     /* Casts; those that nobody need write, and those that are looked for when JSON is made. */
     " UNION ALL SELECT " CAST_TO("casttarget") ", " FUNCTION("castfunc") " FROM pg_catalog.pg_cast"
     " WHERE oid" PW_IS_USERS
     " UNION ALL SELECT " EVERYTHING ", " FUNCTION("castfunc") " FROM pg_catalog.pg_cast"
     " WHERE oid" PW_IS_USERS " AND (castcontext" PW_OP("=") CHAR("i") " OR casttarget" ANY_OID("114,3802") ")"
     " UNION ALL SELECT " EVERYTHING ", x.used FROM (SELECT " MADE("casttarget") " AS used FROM pg_catalog.pg_cast"
     " WHERE oid" PW_IS_USERS " AND castmethod" PW_OP("=") CHAR("i") " AND castcontext" PW_OP("=") CHAR("i")
     " UNION ALL SELECT " PUT_OUT("castsource") " FROM pg_catalog.pg_cast"
     " WHERE oid" PW_IS_USERS " AND castmethod" PW_OP("=") CHAR("i") " AND castcontext" PW_OP("=") CHAR("i") ") x"
     /* What a type is sorted or told apart by; operators that no text names otherwise. */
     " UNION ALL SELECT " EVERYTHING ", " FUNCTION("amproc") " FROM pg_catalog.pg_amproc WHERE oid" PW_IS_USERS
     " UNION ALL SELECT " EVERYTHING ", " FUNCTION("o.oprcode") " FROM pg_catalog.pg_amop a, pg_catalog.pg_operator o"
     " WHERE a.oid" PW_IS_USERS " AND o.oid" PW_OP("=") "a.amopopr AND a.amopmethod" ANY_OID("403,405")
     " UNION ALL SELECT " EVERYTHING ", " FUNCTION("code") " FROM op WHERE is_in_catalog"
     ") x GROUP BY used),"
    " marked AS (SELECT " DOUBT " AS node UNION SELECT pg_catalog.unnest(e.users) FROM marked m, edge e"
     " WHERE e.used" PW_OP("=") "m.node),"
    " doubtful AS MATERIALIZED (SELECT node FROM marked GROUP BY node),";

#define IS_DOUBTFUL(node) "EXISTS (SELECT FROM doubtful d WHERE d.node" PW_OP("=") node ")"
#define OR_CAPITAL(letter, capital) "CASE WHEN is_in_catalog THEN '" capital "' ELSE '" letter "' END"

static const char answer[] =
    " judged AS MATERIALIZED (SELECT *, " IS_DOUBTFUL(FUNCTION("code.oid"))
     " OR EXISTS (SELECT FROM own o WHERE o.name" PW_OP("=") "code.name) AS is_doubtful"
     " FROM code WHERE NOT is_inner),"
    " listed AS MATERIALIZED (SELECT 'a'::pg_catalog.text AS item WHERE " IS_DOUBTFUL(EVERYTHING)
     /* An EXECUTE casts its arguments to whatever its statement takes. */
     " UNION ALL SELECT 'e' WHERE EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.oid" PW_IS_USERS
     " AND c.castcontext" PW_OP("=") CHAR("a") " AND (" IS_DOUBTFUL(FUNCTION("c.castfunc"))
     " OR (c.castmethod" PW_OP("=") CHAR("i") " AND (" IS_DOUBTFUL(MADE("c.casttarget"))
     " OR " IS_DOUBTFUL(PUT_OUT("c.castsource")) "))))"
     " UNION ALL SELECT pg_catalog.concat('f', name) FROM judged GROUP BY name"
     " HAVING NOT pg_catalog.bool_and(is_doubtful)"
     /* What is open may be called with nothing in that place. 255 is as many as one likes. */
     " UNION ALL SELECT pg_catalog.concat(" OR_CAPITAL("g", "G") ", pg_catalog.min(least), ',',"
     " pg_catalog.max(most), ',', name) FROM (SELECT name, is_in_catalog,"
     " CASE WHEN is_open THEN 0 ELSE pronargs" PW_OP("-") "pronargdefaults END AS least,"
     " CASE WHEN is_open OR pronargs" PW_OP(">") "255 THEN 255 ELSE pronargs END AS most"
     " FROM (SELECT *, provariadic" PW_OP("<>") "0::pg_catalog.oid AS is_open FROM judged) x"
     " WHERE is_doubtful) x GROUP BY name, is_in_catalog"
     /* A function of a row can be called like a column of it. */
     " UNION ALL SELECT DISTINCT pg_catalog.concat('c', j.name) FROM judged j, pg_catalog.pg_type y"
     " WHERE j.is_doubtful AND j.pronargs" PW_OP(">=") "1"
     " AND j.pronargs" PW_OP("-") "j.pronargdefaults" PW_OP("<=") "1"
     " AND y.oid" PW_OP("=") "j.proargtypes[0] AND (y.typtype" ANY_CHAR("c,d,p")
     " OR j.provariadic" PW_OP("<>") "0::pg_catalog.oid OR EXISTS (SELECT FROM pg_catalog.pg_cast c,"
     " pg_catalog.pg_type s WHERE c.oid" PW_IS_USERS " AND c.castcontext" PW_OP("=") CHAR("i")
     " AND s.oid" PW_OP("=") "c.castsource AND s.typtype" PW_OP("<>") CHAR("b") "))"
     " UNION ALL SELECT DISTINCT pg_catalog.concat('o', name) FROM op"
     " WHERE " IS_DOUBTFUL(FUNCTION("op.code"))
     " UNION ALL SELECT DISTINCT pg_catalog.concat(" OR_CAPITAL("r", "R") ", name) FROM relation"
     " WHERE " IS_DOUBTFUL(RELATION("relation.oid"))
     " UNION ALL SELECT DISTINCT pg_catalog.concat(" OR_CAPITAL("t", "T") ", name) FROM type"
     " WHERE " IS_DOUBTFUL(MADE("type.oid")) " OR " IS_DOUBTFUL(PUT_OUT("type.oid"))
     " OR " IS_DOUBTFUL(CAST_TO("type.oid")) "),"
    " total AS MATERIALIZED (SELECT pg_catalog.count(*) AS n FROM listed)"
    " SELECT pg_catalog.concat('k', n) FROM total UNION ALL SELECT l.item FROM listed l, total t"
     " WHERE t.n" PW_OP("<=") "%d";
/* clang-format on */

static void add_lists(struct pw_strbuf *sql)
{
	struct pw_strbuf lists[PW_BUILTIN_N_LISTS];

	for (unsigned i = 0; i < PW_BUILTIN_N_LISTS; i++) {
		pw_strbuf_init(&lists[i]);
		pw_builtin_add_list(&lists[i], (enum pw_builtin_list)i);
		sql->has_failed |= lists[i].has_failed;
	}
	if (!sql->has_failed)
		pw_strbuf_printf(sql, beginning, lists[PW_BUILTIN_LIST_HARMLESS].data,
				 lists[PW_BUILTIN_LIST_OF_DATABASE].data,
				 lists[PW_BUILTIN_LIST_LOCAL].data);
	for (unsigned i = 0; i < PW_BUILTIN_N_LISTS; i++)
		pw_strbuf_fini(&lists[i]);
}

static void add_words(struct pw_strbuf *sql)
{
	pw_strbuf_add_string(sql, " flat AS MATERIALIZED (SELECT oid, " COMMENT_BEFORE
				  " AS is_broken, ");
	for (size_t i = 0; i < SQUEEZES + 2; i++)
		pw_strbuf_add_string(sql, "pg_catalog.replace(");
	for (size_t i = 0; between[i]; i++)
		pw_strbuf_add_string(sql, "pg_catalog.replace(");
	pw_strbuf_add_string(sql, BRACKETS);
	for (size_t i = 0; between[i]; i++)
		pw_strbuf_printf(sql, ", '%c', ' ')", between[i]);
	pw_strbuf_add_string(sql, ", '''', ' '), pg_catalog.chr(92), ' ')");
	for (size_t i = 0; i < SQUEEZES; i++)
		pw_strbuf_add_string(sql, ", '  ', ' ')");
	pw_strbuf_add_string(sql, " AS src FROM body),");
	pw_strbuf_add_string(sql, words);
}

static void add_edges(struct pw_strbuf *sql)
{
	struct pw_strbuf settings = PW_STRBUF_INIT;

	pw_setting_add_local(&settings);
	sql->has_failed |= settings.has_failed;
	if (!sql->has_failed)
		pw_strbuf_printf(sql, edges, settings.data);
	pw_strbuf_fini(&settings);
}

void pw_readable_add_question(struct pw_strbuf *sql, unsigned server_version)
{
	/* As with the code: no waiting for a safe snapshot, no long thinking. */
	pw_strbuf_add_string(sql, "SET LOCAL transaction_isolation = 'read committed';");
	pw_code_add_peace(sql);
	add_lists(sql);
	pw_strbuf_add_string(sql, server_version >= 14 ? parsed : nothing_parsed);
	pw_strbuf_add_string(sql, server_version >= 18 ? computed : nothing_computed);
	pw_strbuf_add_string(sql, graph);
	add_words(sql);
	add_edges(sql);
	pw_strbuf_printf(sql, answer, PW_READABLE_NAMES_MAX);
}
