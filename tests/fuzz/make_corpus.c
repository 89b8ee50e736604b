/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * make_corpus TARGET DIR: writes what the fuzzer of TARGET (jpy, linkformat, grasp or sixtisch)
 * starts from into DIR: every vector of vectors.json that it can read, a file each, named
 * after the vector, and what a stranger who means ill would send, "hostile.N".
 */
#include <errno.h>

#include "../unit/vectors.h"

#define INPUT_MAX (80 * 1024)

static uint8_t buf[INPUT_MAX];

static int write_input(const char *dir, const char *name, const void *data, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f)) {
		fprintf(stderr, "make_corpus: cannot write %s: %s\n", path, strerror(errno));
		return 1;
	}
	return 0;
}

/* FRONT, then EACH so many times, then END. */
struct hostile {
	const char *front, *each;
	size_t times;
	const char *end;
};

#define GRASP_HEAD "09 01 50 fe800000000000000000000000000001 1a0002bf20"
#define GRASP_OBJ  "84 68414e5f50726f7879 04 01 60"
#define BEACON	   "40ea 2a cdab ffff 0f0e0d0c0b0a0908"

static const struct hostile linkformat[] = {
	{ "<coaps://[2001:db8::1]:5684>;rt=\"brski", "", 0, "" },
	{ "<coaps://2001:db8::1>;rt=brski", "", 0, "" },
	{ "<jpy://[2001:db8::1]:65536>;rt=brski.rjp", "", 0, "" },
	{ "<jpy://[fe80::1%25eth0]:7634>;rt=brski.rjp", "", 0, "" },
	{ "</coaps://[fe80::1]:5685>;if=\"registrar-proxy\";rt=\"brski.rjp\"", "", 0, "" },
	{ "<jpy://me@[2001:db8::1]:7634>;rt=brski.rjp", "", 0, "" },
	{ "<jpy://[ff05::fd]:7634>;rt=brski.rjp;pw=\"1 2\"", "", 0, "" },
	{ "<coaps://192.0.2.1:5684>;rt=brski,", "<>;brski-jp=57101,", 40, "" },
	{ "", "<coaps://[2001:db8::1]>;rt=brski,", 2000, "" },
	{ "", "<>,", 300, "" },
	{ "<>", ";a=\"\\\"\"", 33, "" },
	{ "<>;x=\"", "\\", 2000, "" },
	{ "rt=", "%62", 300, "&href=*" },
	{ "<", "<", 1000, "" },
	{ "<>;rt=\"", "brski ", 300, "\"" },
};

static const struct hostile grasp[] = {
	{ "", "81", 1000, "" },
	{ "85" GRASP_HEAD, "81", 1000, "" },
	{ "85" GRASP_HEAD "82 84 68414e5f50726f7879 04 01", "81", 1000, "" },
	{ "85" GRASP_HEAD "82 84 68414e5f50726f7879 04 01", "81", 16,
	  "00 84 1867 50 fe800000000000000000000000000001 11 191634" },
	{ "98ff" GRASP_HEAD, "82" GRASP_OBJ "80", 60, "" },
	{ "9824" GRASP_HEAD, "82" GRASP_OBJ "80", 32, "" },
	{ "85" GRASP_HEAD "9840", GRASP_OBJ "80", 32, "" },
	{ "85" GRASP_HEAD "9b ffffffffffffffff", "", 0, "" },
	{ "85" GRASP_HEAD "82 84 68414e5f50726f7879 04 190100 60 80", "", 0, "" },
	{ "9f" GRASP_HEAD "9f" GRASP_OBJ "80 ff ff", "", 0, "" },
	{ "85 09 20 50 fe800000000000000000000000000001 20 82" GRASP_OBJ "80", "", 0, "" },
	{ "85" GRASP_HEAD "82 84 64f4908080 04 01 60 80", "", 0, "" },
	{ "86" GRASP_HEAD "82" GRASP_OBJ "84 1868 44c0000201 11 191634 82" GRASP_OBJ
	  "84 186a 6161 f6 f6",
	  "", 0, "" },
	{ "85" GRASP_HEAD "82 82" GRASP_OBJ "80 82" GRASP_OBJ "80", "", 0, "" },
	{ "84 01 01 50 fe800000000000000000000000000001" GRASP_OBJ, "", 0, "" },
};

static const struct hostile sixtisch[] = {
	{ BEACON "003f 0da8 0281002005a1b2c3d4e5f60718", "", 0, "" },
	{ "00ee 2a cdab 0102030405060708 0f0e0d0c0b0a0908 003f 15a8 02c0102005 000000fffe00000a "
	  "a1b2c3d4e5f60718",
	  "", 0, "" },
	{ BEACON "003f ffaf 0281002005", "", 0, "" },
	{ BEACON "003f", "00a8", 500, "" },
	{ BEACON, "0000", 500, "" },
	{ "40eb cdab ffff 0f0e0d0c0b0a0908 003f 05a8 0240000000", "", 0, "" },
};

static const struct {
	const char *name, *kind; /* kind of vector; NULL: the JPY messages */
	bool text;
	const struct hostile *hostile;
	size_t hostile_count;
} targets[] = {
	{ "jpy", NULL, false, NULL, 0 },
	{ "linkformat", "link-format", true, linkformat,
	  sizeof(linkformat) / sizeof(linkformat[0]) },
	{ "grasp", "grasp", false, grasp, sizeof(grasp) / sizeof(grasp[0]) },
	{ "sixtisch", "ie9032", false, sixtisch, sizeof(sixtisch) / sizeof(sixtisch[0]) },
};

static size_t append(size_t len, const char *part, bool text)
{
	size_t n = strlen(part);

	if (!text)
		return len + test_hex(part, buf + len, sizeof(buf) - len);
	if (n > sizeof(buf) - len)
		abort();
	memcpy(buf + len, part, n);
	return len + n;
}

static int write_hostile(const char *dir, const struct hostile *h, size_t number, bool text)
{
	size_t len = append(0, h->front, text);
	char name[32];

	for (size_t i = 0; i < h->times; i++)
		len = append(len, h->each, text);
	len = append(len, h->end, text);
	snprintf(name, sizeof(name), "hostile.%zu", number);
	return write_input(dir, name, buf, len);
}

static int write_vector(const char *dir, const json_t *v, bool text)
{
	const char *name = json_string_value(json_object_get(v, "name"));
	size_t len = text ? append(0, json_string_value(json_object_get(v, "text")), true)
			  : test_message(v, buf, sizeof(buf));

	return write_input(dir, name, buf, len);
}

static int write_corpus(size_t target, const char *dir)
{
	const char *kind = targets[target].kind;
	json_t *root, *list, *v;
	int failed = 0;
	size_t i;

	list = kind ? test_discovery_vectors(&root) : test_vectors(&root);
	json_array_foreach(list, i, v)
		if (!failed && (!kind || test_is_kind(v, kind)))
			failed = write_vector(dir, v, targets[target].text);
	json_decref(root);
	for (i = 0; !failed && i < targets[target].hostile_count; i++)
		failed = write_hostile(dir, &targets[target].hostile[i], i, targets[target].text);
	return failed;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
			if (!strcmp(targets[i].name, argv[1]))
				return write_corpus(i, argv[2]);
	fprintf(stderr, "usage: make_corpus jpy|linkformat|grasp|sixtisch DIR\n");
	return 2;
}
