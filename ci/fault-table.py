#!/usr/bin/env python3
"""Prints a table fault x mode from the results of several runs: landed, recovered in, verdict.

Usage: fault-table.py RESULT.json...
"""
import json
import sys


def cell(faults):
    landed = [fault for fault in faults if fault["landed"]]
    over = [fault for fault in landed if fault.get("recovered_s") is not None]
    if not landed:
        return "did not land"
    if not over:
        return f"{len(landed)}/{len(faults)}, not recovered"
    longest = max(fault["recovered_s"] - fault["fired_s"] for fault in over)
    return f"{len(landed)}/{len(faults)}, {longest:.1f} s"


def main(files):
    runs = [json.load(open(file, encoding="utf-8")) for file in files]
    names = sorted({(f["target"].split("[")[0], f["action"]) for run in runs for f in run["faults"]})
    heads = [f"{run['environment']['name']}: {run['mode']}" for run in runs]
    print("| fault (landed, longest recovery) | " + " | ".join(heads) + " |")
    print("|---" * (len(runs) + 1) + "|")
    for target, action in names:
        row = []
        for run in runs:
            mine = [
                f for f in run["faults"]
                if f["target"].split("[")[0] == target and f["action"] == action
            ]
            row.append(cell(mine) if mine else "-")
        print(f"| {target}: {action} | " + " | ".join(row) + " |")
    landed = [f"{run['faults_landed_mid_checkpoint']} of {run['faults_landed']}" for run in runs]
    print("| landed in the middle of a checkpoint | " + " | ".join(landed) + " |")
    starts = [[p["seconds"] for p in run["phases"] if p["name"] == "start"] for run in runs]
    begun = [f"{start[0]:.1f} s" if start else "-" for start in starts]
    print("| services, topic and engine running after | " + " | ".join(begun) + " |")
    print("| **verdict** | " + " | ".join(f"**{run['verdict']}**" for run in runs) + " |")
    print("| wall time | " + " | ".join(f"{run['wall_s']:.0f} s" for run in runs) + " |")


main(sys.argv[1:])
