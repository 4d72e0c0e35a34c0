/* SPDX-License-Identifier: PostgreSQL
 *
 * Runs a fuzz target over its committed corpus (or over the files named), so that every build
 * replays what was ever found. The corpus is test/fuzz/corpus/NAME for the program
 * fuzz_NAME_replay.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	long size;
	uint8_t *data;

	if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
		perror(path);
		return 0;
	}
	rewind(file);
	/* Exactly as large as the input: a read beyond its end is seen by AddressSanitizer. */
	data = malloc(size > 0 ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	return 1;
}

static int run_corpus(const char *program)
{
	const char *srcdir = getenv("srcdir") ? getenv("srcdir") : ".";
	const char *name = strrchr(program, '/') ? strrchr(program, '/') + 1 : program;
	char dir[512], path[1024];
	struct dirent *entry;
	int n = 0;
	DIR *d;

	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	snprintf(dir, sizeof(dir), "%s/test/fuzz/corpus/%.*s", srcdir,
		 (int)(strlen(name) - strlen("_replay")), name);
	d = opendir(dir);
	if (!d) {
		perror(dir);
		return 0;
	}
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		n += run_file(path);
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++)
		n += run_file(argv[i]);
	if (argc < 2)
		n = run_corpus(argv[0]);
	printf("%d inputs\n", n);
	return n > 0 ? 0 : 1;
}
