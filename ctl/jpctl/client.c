/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See client.h. */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../common/control.h"
#include "jpctl.h"

#define ASK_MS	 10000 /* what jpd says only what is pinned says, too: soon enough */
#define ORDER_MS 60000
#define QUIET_MS 2000 /* for so long nobody wonders */

__attribute__((format(printf, 3, 4))) static int fail(struct client_error *error, int ret,
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	return ret;
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits until FD is ready for EVENTS.  Returns 0, -ETIMEDOUT or another negative errno. */
static int wait_for(int fd, short events, long long deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	long long left;
	int n;

	do {
		left = deadline - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&pfd, 1, (int)left);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int open_socket(const char *path, struct client_error *error)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, ret;

	if (strlen(path) >= sizeof(sa.sun_path))
		return fail(error, -ENAMETOOLONG,
			    "%s: the path of a socket has at most %zu bytes; choose a shorter "
			    "--run-dir",
			    path, sizeof(sa.sun_path) - 1);
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(error, -errno, "cannot make a socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	switch (ret) {
	case -ENOENT:
	case -ECONNREFUSED:
		return fail(error, -ECONNREFUSED,
			    "%s: jpd is not running; start it (systemctl start jpd), or name its "
			    "directory with --run-dir",
			    path);
	case -EACCES:
	case -EPERM:
		return fail(error, ret, "%s: no permission to talk to jpd; run jpctl as root",
			    path);
	case -EAGAIN:
		return fail(error, ret,
			    "%s: jpd takes no more requests at the moment; try again, and look at "
			    "its log if that does not help",
			    path);
	default:
		return fail(error, ret, "%s: %s; is this the run directory of jpd?", path,
			    strerror(-ret));
	}
}

static int send_all(int fd, const char *data, size_t len, long long deadline)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		int ret;

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		ret = wait_for(fd, POLLOUT, deadline);
		if (ret)
			return ret;
	}
	return 0;
}

/* One line without its end.  Returns its length or a negative errno. */
static ssize_t receive_line(int fd, char *buf, size_t cap, long long deadline)
{
	size_t len = 0;

	for (;;) {
		ssize_t n;
		char *end;
		int ret;

		if (len == cap)
			return -EMSGSIZE;
		ret = wait_for(fd, POLLIN, deadline);
		if (ret)
			return ret;
		n = recv(fd, buf + len, cap - len, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		end = memchr(buf + len, '\n', (size_t)n);
		if (end)
			return end - buf;
		len += (size_t)n;
	}
}

/* Takes the answer LINE apart. */
static int judge(const char *path, const char *line, size_t len, json_t **result,
		 struct client_error *error)
{
	json_t *answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *ok = json_object_get(answer, "ok");
	json_t *object = json_object_get(answer, "result");
	const char *text = json_string_value(json_object_get(answer, "error"));
	int ret = 0;

	if (json_is_true(ok) && json_is_object(object)) {
		*result = json_incref(object);
	} else if (json_is_false(ok) && text) {
		error->usage = json_is_true(json_object_get(answer, "usage"));
		ret = fail(error, -EREMOTEIO, "%s", text);
	} else {
		ret = fail(error, -EPROTO,
			   "%s: the answer is not one of jpd's; are jpd and jpctl of the same "
			   "version?",
			   path);
	}
	json_decref(answer);
	return ret;
}

/* Whoever waits for longer shall know what for.  Nothing is read here. */
static void wait_a_little(int fd, int patience_ms)
{
	if (wait_for(fd, POLLIN, now_ms() + QUIET_MS) == -ETIMEDOUT)
		fprintf(stderr, "jpctl: jpd is at it; waiting for up to %d seconds\n",
			patience_ms / 1000);
}

static int exchange(int fd, const char *path, const char *line, int patience_ms, json_t **result,
		    struct client_error *error)
{
	long long deadline = now_ms() + patience_ms;
	char *answer = malloc(JPX_ANSWER_MAX);
	ssize_t len;

	if (!answer)
		return fail(error, -ENOMEM, "%s: not enough memory for an answer", path);
	len = send_all(fd, line, strlen(line), deadline);
	if (!len && patience_ms == ORDER_MS)
		wait_a_little(fd, patience_ms);
	if (!len)
		len = receive_line(fd, answer, JPX_ANSWER_MAX, deadline);
	if (len >= 0)
		len = judge(path, answer, (size_t)len, result, error);
	else if (len == -ETIMEDOUT)
		fail(error, 0,
		     "%s: jpd did not answer within %d seconds; look at its log (journalctl -u "
		     "jpd)",
		     path, patience_ms / 1000);
	else if (len == -EMSGSIZE)
		fail(error, 0, "%s: the answer is longer than %d bytes; is this jpd?", path,
		     JPX_ANSWER_MAX);
	else
		fail(error, 0,
		     "%s: jpd hung up without an answer (%s); look at its log (journalctl -u jpd)",
		     path, strerror((int)-len));
	free(answer);
	return (int)len;
}

static int talk(const char *run_dir, const json_t *request, int patience_ms, json_t **result,
		struct client_error *error)
{
	char path[512], *line = NULL, *text;
	int fd, ret;

	error->usage = false;
	if (snprintf(path, sizeof(path), "%s/" JPX_SOCKET_NAME, run_dir) >= (int)sizeof(path))
		return fail(error, -ENAMETOOLONG, "--run-dir: the path is too long");
	text = json_dumps(request, JSON_COMPACT);
	if (!text || asprintf(&line, "%s\n", text) < 0) {
		free(text);
		return fail(error, -ENOMEM, "not enough memory, or a word that is not UTF-8");
	}
	free(text);
	if (strlen(line) > JPX_REQUEST_MAX) {
		free(line);
		return fail(error, -EMSGSIZE,
			    "the request is longer than the %d bytes that jpd takes",
			    JPX_REQUEST_MAX);
	}
	fd = open_socket(path, error);
	ret = fd;
	if (fd >= 0) {
		ret = exchange(fd, path, line, patience_ms, result, error);
		close(fd);
	}
	free(line);
	return ret;
}

int client_ask(const char *run_dir, const json_t *request, json_t **result,
	       struct client_error *error)
{
	return talk(run_dir, request, ASK_MS, result, error);
}

int client_order(const char *run_dir, const json_t *request, json_t **result,
		 struct client_error *error)
{
	return talk(run_dir, request, ORDER_MS, result, error);
}

int client_fail(const struct client_error *error)
{
	jpctl_fail("%s", error->text);
	return error->usage ? 2 : EXIT_FAILURE;
}
