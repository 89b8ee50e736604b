#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""From the runs of the round trip benchmark to a table, JSON and the targets.

Reads one JSON object a run; round 0 is thrown away.  A candidate with one run
that is not valid has no figure at that number of pledges, and says why.  Ratios
are taken in each round and only then the median: the clock of a shared machine
drifts by far more than what is looked for.  Exit status 1: a target was missed,
be it for want of a figure; one that asks for what was left out is not judged.
"""
import argparse
import json
import os
import statistics
import sys

BASE = "nginx"
LABELS = {
    "direct": "no relay (a cable)",
    "nginx": "nginx stream",
    "stateful": "jpx stateful, XDP",
    "stateful-sockets": "jpx stateful, sockets",
    "stateless": "jpx stateless, XDP + jpreg",
    "stateless-sockets": "jpx stateless, sockets + jpreg",
}
# Of the stateful mode through XDP against nginx: from so many pledges on, at least so much.
TARGETS = (("ahead of nginx at every count", 0, 1.0), ("3 times nginx at 100 and more", 100, 3.0))


def figure(values):
    """Median and quartiles, as the other benchmark forms them."""
    if len(values) < 2:
        return {"median": values[0], "q1": values[0], "q3": values[0]}
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": q1, "q3": q3, "min": min(values), "max": max(values)}


def collect(runs):
    """{name: {pledges: {round: rate}}}, and why some have no figure."""
    rates, invalid = {}, {}
    for run in runs:
        name, pledges = run["name"], run["pledges"]
        if not run["valid"]:
            seen = ", ".join(f"{k} {run[k]}" for k in run
                             if k not in ("round", "valid", "why", "pledges", "name",
                                          "seconds", "per_second") and run[k])
            invalid.setdefault((name, pledges), []).append(
                f"round {run['round']}: {run['why']}" + (f" ({seen})" if seen else ""))
        if run["round"]:
            rates.setdefault(name, {}).setdefault(pledges, {})[run["round"]] = \
                run.get("per_second", 0)
    # Round 0 only warms up: what went wrong there is no figure's.
    return rates, {k: v for k, v in ((k, [w for w in v if not w.startswith("round 0:")])
                                     for k, v in invalid.items()) if v}


def cells(rates, invalid):
    """Every candidate at every number of pledges."""
    table = {}
    for name, counts in rates.items():
        for pledges, rounds in counts.items():
            cell = table.setdefault(name, {})[pledges] = {}
            if (name, pledges) in invalid:
                cell["invalid"] = invalid[name, pledges]
                continue
            cell["per_second"] = figure(list(rounds.values()))
            base = rates.get(BASE, {}).get(pledges)
            if base and (BASE, pledges) not in invalid:
                cell["times_nginx"] = figure([v / base[r] for r, v in rounds.items()])
    return table


def print_table(table, counts):
    print("Round trips a second, in thousands: median [quartiles]; below it times nginx")
    print(f"{'pledges':<32}" + "".join(f"{n:>26}" for n in counts))
    for name, row in table.items():
        top = bottom = ""
        for n in counts:
            cell = row.get(n, {})
            if "per_second" not in cell:
                top, bottom = top + f"{'no figure':>26}", bottom + " " * 26
                continue
            f, r = cell["per_second"], cell.get("times_nginx")
            top += f"{f['median'] / 1e3:.1f} [{f['q1'] / 1e3:.1f}..{f['q3'] / 1e3:.1f}]".rjust(26)
            bottom += (f"{r['median']:.2f} [{r['q1']:.2f}..{r['q3']:.2f}]" if r and name != BASE
                       else "").rjust(26)
        print(f"{LABELS.get(name, name):<32}{top}\n{'':<32}{bottom}".rstrip())
    for name, row in table.items():
        for n in counts:
            for why in row.get(n, {}).get("invalid", []):
                print(f"no figure: {name}, {n} pledges, {why}")


def judge(table, counts):
    """The targets; what has no figure has not met them."""
    judged = {}
    left_out = [name for name in ("stateful", BASE) if name not in table]
    if left_out:
        print(f"targets are not judged without {' and '.join(left_out)}")
        return judged
    for text, least_pledges, least in TARGETS:
        asked = [n for n in counts if n >= least_pledges]
        medians = {n: table.get("stateful", {}).get(n, {}).get("times_nginx", {}).get("median")
                   for n in asked}
        missing = [n for n in asked if medians[n] is None]
        worst = None if missing or not asked else min(asked, key=medians.get)
        met = worst is not None and (medians[worst] > least if least == 1.0
                                     else medians[worst] >= least)
        judged[text] = {"met": met, "limit": least, "pledges": worst,
                        "worst": None if worst is None else medians[worst]}
        what = (f"{medians[worst]:.2f} x at {worst} pledges" if worst is not None
                else "no figure")
        print(f"{'met' if met else 'MISSED':<8} jpx stateful {text}: {what}")
    return judged


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ends", required=True)
    parser.add_argument("--json", required=True)
    parser.add_argument("runs")
    args = parser.parse_args()
    with open(args.runs, encoding="utf-8") as f:
        runs = [json.loads(line) for line in f]
    rates, invalid = collect(runs)
    counts = sorted({run["pledges"] for run in runs})
    table = cells(rates, invalid)
    print_table(table, counts)
    print()
    judged = judge(table, counts)
    with open(args.json, "w", encoding="utf-8") as f:
        json.dump({"kernel": os.uname().release, "cpus": os.cpu_count(), "ends": args.ends,
                   "rounds": max(run["round"] for run in runs), "figures": table,
                   "targets": judged, "runs": runs}, f, indent=1)
        f.write("\n")
    sys.exit(0 if all(t["met"] for t in judged.values()) else 1)


main()
