#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The table of the pktgen benchmarks, out of what their runs left.

A row has a figure only if each of its runs deserves one, the uncounted ones (round 0)
included, and all rounds are there.  The exit status is 1 if a row has none."""
import argparse
import json
import statistics
import sys

LABELS = {"floor": "plain redirect", "xdp": "XDP", "sockets": "socket engine"}
COUNTS = ("right", "wrong", "stray", "timed", "ns", "samples", "sources")


def read(path):
    """The runs, and what jpd says that it relayed: [(candidate, by XDP, by sockets)]."""
    runs, relayed = [], []
    with open(path, encoding="utf-8") as f:
        for line in f:
            kind, *words = line.rstrip("\n").split("\t")
            if kind == "relayed":
                relayed.append((words[0], int(words[1]), int(words[2])))
                continue
            numbers = [int(words[i]) for i in (0, 3, 4, 5, 6)]
            run = dict(zip(("round", "size", "sent", "queue", "socket"), numbers))
            run |= {"candidate": words[1], "form": words[2], "error": words[7], "why": ""}
            answer = json.loads(words[8])
            run |= {what: answer.get(what, 0) for what in COUNTS}
            run["why"] = answer.get("why", "")
            run["elsewhere"] = run["sent"] - run["right"] - run["wrong"] - run["queue"] - run["socket"]
            runs.append(run)
    return runs, relayed


def verdict(run, strict, flows):
    """Why a run has no figure, or nothing."""
    if run["error"]:
        return run["error"]
    if run["wrong"] or run["why"]:
        return f"{run['wrong']} of {run['sent']} packets arrived wrong: {run['why']}"
    if not run["right"]:
        return f"of {run['sent']} packets none arrived"
    # In stateful mode a flow is a UDP port of jpd's; which of them is chosen packet by packet, and at twenty
    # packets for each none is missed by chance.
    if run["form"] == "stateful" and not min(flows, run["right"] // 20) <= run["sources"] <= flows:
        return f"what arrived came from {run['sources']} UDP ports, for {flows} flows"
    if not run["samples"]:
        return "no packet could be kept and compared in full"
    if not run["timed"] or not run["ns"]:
        return f"only {run['right']} packets arrived, too few for a rate; try more --seconds"
    if run["elsewhere"] < 0:
        return f"of {run['sent']} packets {run['right']} arrived, and more were lost than the rest"
    if strict and run["elsewhere"]:
        return f"{run['elsewhere']} of {run['sent']} packets were lost, and nothing counted them"
    return ""


def engine_fault(candidate, relayed):
    """Was it what the row says that relayed?"""
    for name, by_xdp, by_sockets in relayed:
        if name == candidate == "xdp" and by_sockets:
            return f"{by_sockets} packets were relayed by the socket engine"
        if name == candidate == "sockets" and by_xdp:
            return f"{by_xdp} packets were relayed by XDP"
    return ""


def label(run):
    name = LABELS[run["candidate"]]
    return name if run["form"] == "floor" else f"{run['form']}, {name}"


def rate(run):
    return run["timed"] / run["ns"] * 1e6  # thousands a second


def spread(values, digits):
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return (f"{statistics.median(values):.{digits}f} "
            f"[{min(values):.{digits}f}-{max(values):.{digits}f}]")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("runs")
    args.add_argument("--json")
    args.add_argument("--title", required=True)
    args.add_argument("--rounds", type=int, required=True)
    args.add_argument("--flows", type=int, required=True)
    args.add_argument("--strict", action="store_true")
    args.add_argument("--apart", action="store_true", help="who sends is another machine or CPU")
    args = args.parse_args()
    runs, relayed = read(args.runs)
    for run in runs:
        run["invalid"] = verdict(run, args.strict, args.flows)

    groups = {}
    for run in runs:
        groups.setdefault((run["candidate"], run["form"], run["size"]), []).append(run)
    order = list(LABELS)
    keys = sorted(groups, key=lambda k: (order.index(k[0]), k[1] != "stateless", k[2]))
    floors = {(r["round"], r["size"]): rate(r) for r in runs
              if r["candidate"] == "floor" and not r["invalid"] and r["round"]}

    # Where a plain redirect loses nothing of what another CPU sends, that CPU has been the limit.
    unhurried = {size for size in {k[2] for k in keys} if args.apart and
                 all(r["right"] > 0.99 * r["sent"] for r in runs
                     if r["candidate"] == "floor" and r["size"] == size and r["round"])}

    rows = []
    for key in keys:
        counted = [r for r in groups[key] if r["round"]]
        bad = [r["invalid"] for r in groups[key] if r["invalid"]]
        row = {"name": label(groups[key][0]), "candidate": key[0], "form": key[1], "size": key[2]}
        engine = engine_fault(key[0], relayed)
        if engine:
            bad.append(engine)
        if not bad and len({r["round"] for r in counted}) != args.rounds:
            bad = [f"of {args.rounds} rounds {len(counted)} took place"]
        if bad:
            row["no_figure"] = bad[0]
        else:
            for what in ("sent", "queue", "socket", "elsewhere"):
                row[what] = sum(r[what] for r in counted)
            row["arrived"] = sum(r["right"] for r in counted)
            row["percent"] = 100 * row["arrived"] / row["sent"]
            row["kpps"] = [rate(r) for r in counted]
            row["samples"] = sum(r["samples"] for r in groups[key])
            row["generator_bound"] = key[2] in unhurried
            row["times_floor"] = [floors[r["round"], r["size"]] / rate(r) for r in counted
                                  if (r["round"], r["size"]) in floors]
        rows.append(row)

    print(args.title)
    print(f"{'':26}{'':>5} {'':>10} {'':>10} {'':>8}{'lost at':>9} {'':>9} {'':>9}"
          f"  {'arrived,':<22}  time a packet,")
    print(f"{'':26}{'bytes':>5} {'sent':>10} {'arrived':>10} {'%':>8}{'queues':>9} {'sockets':>9} "
          f"{'elsewhere':>9}  {'thousand/s':<22}  times the floor's")
    for row in rows:
        head = f"{row['name']:26}{row['size']:>5}"
        if "no_figure" in row:
            print(f"{head} no figure: {row['no_figure']}")
            continue
        times = spread(row["times_floor"], 2) if row["times_floor"] else "no floor"
        if row["generator_bound"]:
            times = "the generator was the limit"
        print(f"{head} {row['sent']:>10} {row['arrived']:>10} {row['percent']:>8.3f}"
              f"{row['queue']:>9} {row['socket']:>9} {row['elsewhere']:>9}  "
              f"{spread(row['kpps'], 1):<22}  {times}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"title": args.title, "rounds": args.rounds, "rows": rows, "runs": runs}, f,
                      indent=1)
            f.write("\n")
    missing = [r for r in rows if "no_figure" in r]
    if missing or not rows:
        print(f"{len(missing)} of {len(rows)} rows have no figure", file=sys.stderr)
        sys.exit(1)


main()
