/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* See authority.h. */
#include "authority.h"

#include <stdlib.h>
#include <string.h>

void authority_answer_clear(struct authority_answer *answer)
{
	sk_X509_pop_free(answer->certs, X509_free);
	EVP_PKEY_free(answer->key);
	free(answer->attrs);
	memset(answer, 0, sizeof(*answer));
}
