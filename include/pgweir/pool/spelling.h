/* SPDX-License-Identifier: PostgreSQL
 *
 * How a server spells the values that a start-up packet asks for, and reports them: "ISO, MDY" for
 * a DateStyle of "iso", "UTF8" for "utf-8", "on" for "true". Pure; any thread.
 */
#ifndef PGWEIR_POOL_SPELLING_H
#define PGWEIR_POOL_SPELLING_H

/* `base` is what the server has without it, as reported, NULL = not known: a DateStyle may name one
 * of its two parts alone. Returns a constant, or the value itself if it is not known what a server
 * makes of it. */
const char *pw_spelling(const char *name, const char *value, const char *base);

#endif
