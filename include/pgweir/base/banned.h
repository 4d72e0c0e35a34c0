/* SPDX-License-Identifier: PostgreSQL
 *
 * Forced into every translation unit (AM_CPPFLAGS): names that pgweir never calls, because each
 * of them writes without a bound, keeps hidden static state or returns errors as values.
 */
#ifndef PGWEIR_BASE_BANNED_H
#define PGWEIR_BASE_BANNED_H

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PW_BANNED(name) name##_is_banned_in_pgweir

#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef sprintf
#undef vsprintf
#undef strtok
#undef gets
#undef atoi
#undef localtime
#undef gmtime
#undef ctime
#undef alloca

#define strcpy(d, s)     PW_BANNED(strcpy)
#define strcat(d, s)     PW_BANNED(strcat)
#define strncpy(d, s, n) PW_BANNED(strncpy)
#define strncat(d, s, n) PW_BANNED(strncat)
#define sprintf(...)     PW_BANNED(sprintf)
#define vsprintf(...)    PW_BANNED(vsprintf)
#define strtok(s, d)     PW_BANNED(strtok)
#define gets(s)          PW_BANNED(gets)
#define atoi(s)          PW_BANNED(atoi)
#define localtime(t)     PW_BANNED(localtime)
#define gmtime(t)        PW_BANNED(gmtime)
#define ctime(t)         PW_BANNED(ctime)
#define alloca(n)        PW_BANNED(alloca)

#endif
