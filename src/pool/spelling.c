/* SPDX-License-Identifier: PostgreSQL
 *
 * What a server would refuse is left as it is: the server says so.
 */
#include "config.h"

#include "pgweir/pool/spelling.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "pgweir/base/status.h"

/* ---- DateStyle: a style, an order of day, month and year, or both (datetime.c, variable.c) ----
 */

enum style { STYLE_ISO, STYLE_SQL, STYLE_POSTGRES, STYLE_GERMAN, STYLE_NONE };
enum order { ORDER_YMD, ORDER_DMY, ORDER_MDY, ORDER_NONE };

struct date_style {
	enum style style;
	enum order order;
};

static const char *const date_styles[STYLE_NONE][ORDER_NONE] = {
    [STYLE_ISO] = {"ISO, YMD", "ISO, DMY", "ISO, MDY"},
    [STYLE_SQL] = {"SQL, YMD", "SQL, DMY", "SQL, MDY"},
    [STYLE_POSTGRES] = {"Postgres, YMD", "Postgres, DMY", "Postgres, MDY"},
    [STYLE_GERMAN] = {"German, YMD", "German, DMY", "German, MDY"},
};

struct word {
	const char *text;
	size_t compared; /* what follows may be anything; 0 = nothing may follow */
	struct date_style means;
};

static const struct word words[] = {
    {"iso", 0, {STYLE_ISO, ORDER_NONE}},
    {"sql", 0, {STYLE_SQL, ORDER_NONE}},
    {"postgres", 8, {STYLE_POSTGRES, ORDER_NONE}},
    {"german", 0, {STYLE_GERMAN, ORDER_NONE}},
    {"ymd", 0, {STYLE_NONE, ORDER_YMD}},
    {"dmy", 0, {STYLE_NONE, ORDER_DMY}},
    {"euro", 4, {STYLE_NONE, ORDER_DMY}},
    {"mdy", 0, {STYLE_NONE, ORDER_MDY}},
    {"us", 0, {STYLE_NONE, ORDER_MDY}},
    {"noneuro", 7, {STYLE_NONE, ORDER_MDY}},
    {"default", 0, {STYLE_NONE, ORDER_NONE}},
};

static const struct word *find_word(const char *text, size_t len)
{
	for (size_t i = 0; i < PW_COUNTOF(words); i++) {
		size_t n = words[i].compared ? words[i].compared : strlen(words[i].text);

		if (len >= n && (len == n || words[i].compared) &&
		    strncasecmp(text, words[i].text, n) == 0)
			return &words[i];
	}
	return NULL;
}

/* False: contradicts what was said before. */
static bool take_word(struct date_style *d, const struct word *word)
{
	if (word->means.style != STYLE_NONE) {
		if (d->style != STYLE_NONE && d->style != word->means.style)
			return false;
		d->style = word->means.style;
	}
	if (word->means.order != ORDER_NONE) {
		if (d->order != ORDER_NONE && d->order != word->means.order)
			return false;
		d->order = word->means.order;
	}
	return true;
}

static bool read_date_style(const char *value, struct date_style *d)
{
	static const char blanks[] = " \t\n\r\f";

	*d = (struct date_style){STYLE_NONE, ORDER_NONE};
	for (;;) {
		const struct word *word;

		value += strspn(value, blanks);
		word = find_word(value, strcspn(value, ", \t\n\r\f"));
		if (!word || !take_word(d, word))
			return false;
		value += strcspn(value, ", \t\n\r\f");
		value += strspn(value, blanks);
		if (*value == '\0')
			return true;
		if (*value++ != ',')
			return false;
	}
}

static const char *spell_date_style(const char *value, const char *base)
{
	struct date_style d, without;

	if (!base || !read_date_style(value, &d) || !read_date_style(base, &without))
		return value;
	if (d.style == STYLE_GERMAN && d.order == ORDER_NONE)
		d.order = ORDER_DMY;
	if (d.style == STYLE_NONE)
		d.style = without.style;
	if (d.order == ORDER_NONE)
		d.order = without.order;
	return d.style == STYLE_NONE || d.order == ORDER_NONE ? value
							      : date_styles[d.style][d.order];
}

/* ---- client_encoding: a server looks at letters and digits alone (encnames.c) ---- */

static const char *const encodings[][2] = {
    {"abc", "WIN1258"},
    {"alt", "WIN866"},
    {"big5", "BIG5"},
    {"euccn", "EUC_CN"},
    {"eucjis2004", "EUC_JIS_2004"},
    {"eucjp", "EUC_JP"},
    {"euckr", "EUC_KR"},
    {"euctw", "EUC_TW"},
    {"gb18030", "GB18030"},
    {"gbk", "GBK"},
    {"iso88591", "LATIN1"},
    {"iso885910", "LATIN6"},
    {"iso885913", "LATIN7"},
    {"iso885914", "LATIN8"},
    {"iso885915", "LATIN9"},
    {"iso885916", "LATIN10"},
    {"iso88592", "LATIN2"},
    {"iso88593", "LATIN3"},
    {"iso88594", "LATIN4"},
    {"iso88595", "ISO_8859_5"},
    {"iso88596", "ISO_8859_6"},
    {"iso88597", "ISO_8859_7"},
    {"iso88598", "ISO_8859_8"},
    {"iso88599", "LATIN5"},
    {"johab", "JOHAB"},
    {"koi8", "KOI8R"},
    {"koi8r", "KOI8R"},
    {"koi8u", "KOI8U"},
    {"latin1", "LATIN1"},
    {"latin10", "LATIN10"},
    {"latin2", "LATIN2"},
    {"latin3", "LATIN3"},
    {"latin4", "LATIN4"},
    {"latin5", "LATIN5"},
    {"latin6", "LATIN6"},
    {"latin7", "LATIN7"},
    {"latin8", "LATIN8"},
    {"latin9", "LATIN9"},
    {"mskanji", "SJIS"},
    {"muleinternal", "MULE_INTERNAL"},
    {"shiftjis", "SJIS"},
    {"shiftjis2004", "SHIFT_JIS_2004"},
    {"sjis", "SJIS"},
    {"sqlascii", "SQL_ASCII"},
    {"tcvn", "WIN1258"},
    {"tcvn5712", "WIN1258"},
    {"uhc", "UHC"},
    {"unicode", "UTF8"},
    {"utf8", "UTF8"},
    {"vscii", "WIN1258"},
    {"win", "WIN1251"},
    {"win1250", "WIN1250"},
    {"win1251", "WIN1251"},
    {"win1252", "WIN1252"},
    {"win1253", "WIN1253"},
    {"win1254", "WIN1254"},
    {"win1255", "WIN1255"},
    {"win1256", "WIN1256"},
    {"win1257", "WIN1257"},
    {"win1258", "WIN1258"},
    {"win866", "WIN866"},
    {"win874", "WIN874"},
    {"win932", "SJIS"},
    {"win936", "GBK"},
    {"win949", "UHC"},
    {"win950", "BIG5"},
    {"windows1250", "WIN1250"},
    {"windows1251", "WIN1251"},
    {"windows1252", "WIN1252"},
    {"windows1253", "WIN1253"},
    {"windows1254", "WIN1254"},
    {"windows1255", "WIN1255"},
    {"windows1256", "WIN1256"},
    {"windows1257", "WIN1257"},
    {"windows1258", "WIN1258"},
    {"windows866", "WIN866"},
    {"windows874", "WIN874"},
    {"windows932", "SJIS"},
    {"windows936", "GBK"},
    {"windows949", "UHC"},
    {"windows950", "BIG5"},
};

static const char *spell_encoding(const char *value, const char *base PW_UNUSED)
{
	char bare[32];
	size_t len = 0;

	for (const char *at = value; *at; at++) {
		if (!isalnum((unsigned char)*at))
			continue;
		if (len + 1 == sizeof(bare))
			return value;
		bare[len++] = (char)tolower((unsigned char)*at);
	}
	bare[len] = '\0';
	for (size_t i = 0; i < PW_COUNTOF(encodings); i++) {
		if (strcmp(bare, encodings[i][0]) == 0)
			return encodings[i][1];
	}
	return value;
}

/* ---- booleans: a part from the beginning will do, if it is of one word only (bool.c) ---- */

static const char *spell_boolean(const char *value, const char *base PW_UNUSED)
{
	static const struct {
		const char *text;
		size_t least;
		const char *means;
	} known[] = {{"true", 1, "on"}, {"false", 1, "off"}, {"yes", 1, "on"}, {"no", 1, "off"},
		     {"on", 2, "on"},   {"off", 2, "off"},   {"1", 1, "on"},   {"0", 1, "off"}};
	size_t len = strlen(value);

	for (size_t i = 0; i < PW_COUNTOF(known); i++) {
		if (len >= known[i].least && len <= strlen(known[i].text) &&
		    strncasecmp(value, known[i].text, len) == 0)
			return known[i].means;
	}
	return value;
}

const char *pw_spelling(const char *name, const char *value, const char *base)
{
	static const struct {
		const char *name;
		const char *(*spell)(const char *value, const char *base);
	} settings[] = {{"DateStyle", spell_date_style},
			{"client_encoding", spell_encoding},
			{"standard_conforming_strings", spell_boolean}};

	for (size_t i = 0; i < PW_COUNTOF(settings); i++) {
		if (strcasecmp(name, settings[i].name) == 0)
			return settings[i].spell(value, base);
	}
	return value;
}
