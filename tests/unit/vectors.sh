#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The JPY vectors stand twice, as JSON for the codec's tests and as C for the packet
# tests, with what each must make of them.  Are they the same ones, byte for byte?
exec python3 - <<'END'
import json, re, sys

with open("tests/unit/vectors.json") as f:
    wanted = {v["name"]: v["hex"] for v in json.load(f)["vectors"]}
with open("tests/packet/vectors.h") as f:
    table = f.read().split("static const struct vector vectors[]")[1].split("\n};")[0]
found = {}
for name, body in re.findall(r'\{ "([^"]+)", JPX_FORM_\w+,((?:\s*"[0-9a-f]*")+)', table):
    found[name] = "".join(re.findall(r'"([0-9a-f]*)"', body))
wrong = [n for n in sorted(wanted.keys() | found.keys()) if wanted.get(n) != found.get(n)]
print("not ok vectors-are-the-same:" if wrong else "ok vectors-are-the-same", *wrong)
sys.exit(bool(wrong))
END
