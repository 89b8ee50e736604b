/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Prints the drop reasons and hand-offs of include/jpx/reasons.h as the part of
 * jpctl(8) that lists them, in reStructuredText.  Built and run by the Makefile.
 */
#include <stdio.h>
#include <string.h>

#include "../ctl/common/words.h"

/* TEXT with everything that has a meaning in reStructuredText taken literally. */
static void print_plain(const char *text)
{
	for (; *text; text++) {
		if (strchr("\\*`_|<>", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_reason(const char *word, const char *text)
{
	printf("``%s``\n    ", word);
	print_plain(text);
	puts(".\n");
}

int main(void)
{
	puts("Drop reasons\n------------\n");
	for (unsigned int r = 1; r < JPX_DROP_COUNT; r++)
		print_reason(jpx_drop_word(r), jpx_drop_text(r));
	puts("Hand-offs\n---------\n");
	for (unsigned int r = 0; r < JPX_HANDOFF_COUNT; r++)
		print_reason(jpx_handoff_word(r), jpx_handoff_text(r));
	return ferror(stdout) ? 1 : 0;
}
