/* SPDX-License-Identifier: PostgreSQL
 *
 * Assertions about our own state. Peer input never reaches one.
 *
 * pw_assert       is always on: prints file, line and claim to stderr, then aborts.
 * pw_assert_slow  costs something; only with --enable-cassert.
 * PW_CHECK_MAGIC  every object that a callback casts back begins with a magic.
 *
 * Any thread.
 */
#ifndef PGWEIR_BASE_ASSERT_H
#define PGWEIR_BASE_ASSERT_H

#include "pgweir/base/status.h"

PW_NORETURN void pw_assert_failed(const char *file, int line, const char *claim);

#define pw_assert(claim) ((claim) ? (void)0 : pw_assert_failed(__FILE__, __LINE__, #claim))

#ifdef PW_CASSERT
#define pw_assert_slow(claim) pw_assert(claim)
#else
#define pw_assert_slow(claim) ((void)0)
#endif

#define PW_CHECK_MAGIC(object, value) pw_assert((object) != NULL && (object)->magic == (value))

#endif
