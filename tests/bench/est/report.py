#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""From the rounds of the benchmark of enrolling to a table, JSON and the targets.

Reads one JSON object a round, the first of which is thrown away, and one of the memory.  Ratios are
taken in each round and only then the median.  Exit status 1: a target was missed.
"""
import argparse
import json
import os
import statistics
import sys

# What one enrolment takes the Registrar, whoever writes it.  ECDHE: a key and a derivation (that
# OpenSSL multiplies once more to check the pledge's share is not counted); signatures: of
# ServerKeyExchange and of the certificate; to verify: the IDevID, CertificateVerify and the CSR.
OPERATIONS = {"keygen_s": 1, "derive_s": 1, "sign_s": 2, "verify_s": 3}
HALF = 0.5
KIB16 = 16 * 1024


def figure(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def show(name, f, form):
    print(f"{name:<52}" + f"{f['median']:{form}} [{f['min']:{form}}..{f['max']:{form}}]".rjust(28))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    parser.add_argument("runs")
    parser.add_argument("memory")
    args = parser.parse_args()
    with open(args.runs, encoding="utf-8") as f:
        runs = [json.loads(line) for line in f]
    with open(args.memory, encoding="utf-8") as f:
        memory = json.load(f)
    counted = [r for r in runs if r["round"]]
    for r in counted:
        r["cpu_s"] = (r["user_ms"] + r["system_ms"]) / 1e3
        r["limit"] = 1 / sum(n * r[what] for what, n in OPERATIONS.items())
        r["per_cpu_second"] = r["pledges"] / r["cpu_s"]
        r["of_limit"] = r["per_cpu_second"] / r["limit"]
        r["of_limit_user"] = r["pledges"] / (r["user_ms"] / 1e3) / r["limit"]
    figures = {k: figure([r[k] for r in counted])
               for k in ("limit", "per_cpu_second", "of_limit", "of_limit_user")}
    figures["per_second"] = figure([r["pledges"] / r["seconds"] for r in counted])
    beyond = {k: memory[k] - memory["openssl"] for k in ("established", "asked")}
    print(f"{len(counted)} rounds of {counted[0]['pledges']} pledges: median [all rounds]")
    show("limit of the public keys, enrolments a CPU second", figures["limit"], ".0f")
    show("jpreg, enrolments a CPU second", figures["per_cpu_second"], ".0f")
    show("jpreg, of the limit", figures["of_limit"], ".3f")
    show("... without the kernel's part", figures["of_limit_user"], ".3f")
    show("enrolments a second, with the swarm beside it", figures["per_second"], ".0f")
    alone = 1 / memory["openssl_handshake_s"]
    print(f"{'handshakes a CPU second of OpenSSL alone, no IDevID':<52}{alone:>12.0f}")
    print(f"memory (RSS) of a pledge, {memory['sessions']} at a time, KiB:"
          f" OpenSSL alone {memory['openssl'] / 1024:.1f}, jpreg established"
          f" {memory['established'] / 1024:.1f}, having asked {memory['asked'] / 1024:.1f}")
    targets = {
        "half of the limit": figures["of_limit"]["median"] >= HALF,
        "16 KiB a pledge beyond OpenSSL's own": max(beyond.values()) <= KIB16,
    }
    for text, met in targets.items():
        print(f"{'met' if met else 'MISSED':<8} {text}")
    print(f"beyond OpenSSL's own: {beyond['established'] / 1024:.1f} KiB established,"
          f" {beyond['asked'] / 1024:.1f} KiB having asked")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"kernel": os.uname().release, "cpus": os.cpu_count(),
                       "operations": OPERATIONS, "figures": figures, "memory": memory,
                       "beyond": beyond, "targets": targets, "runs": runs}, f, indent=1)
            f.write("\n")
    sys.exit(0 if all(targets.values()) else 1)


main()
