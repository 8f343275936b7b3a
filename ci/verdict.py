"""Compares a run's result with what was expected of it. Prints one line; exits 1 if it differs."""

import json
import sys

name, wanted, exit_code, path, seconds = sys.argv[1:6]
exit_codes = {"proven": 0, "violated": 1, "unknown": 2}
try:
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
except (OSError, ValueError) as error:
    sys.exit(f"{name}: no result ({error}); exit code {exit_code}")

verdict = result["verdict"]
print(
    f"{name}: {verdict} (exit {exit_code}) in {seconds} s: parallelism {result['parallelism']}, "
    f"{result['records']} records, {result['lost']} lost, {result['duplicates']} duplicates = "
    f"{result['duplicates_expected']} expected <= {result['duplicates_bound']}, "
    f"{result['checkpoints_completed']} checkpoints, {result['faults_landed']} faults landed, "
    f"{result['faults_landed_mid_checkpoint']} of them mid-checkpoint, "
    f"{result['peak_rss_bytes'] / 1e6:.0f} MB"
)
problems = []
if verdict != wanted or int(exit_code) != exit_codes[wanted]:
    problems.append(f"expected {wanted}: {result['verdict_reason']}")
    for check in result["checks"]:
        if check["verdict"] != "proven":
            problems.append(f"{check['id']}: {check['verdict']}: {check['summary']}")
            problems += [f"    {w['what']} ({w['attribution']})" for w in check["witnesses"][:3]]
if wanted == "proven":
    if result["duplicates"] != result["duplicates_expected"]:
        problems.append("duplicates differ from the oracle's formula")
    if result["faults_landed"] == 0 or result["checkpoints_completed"] == 0:
        problems.append("nothing happened in this run")
if wanted == "violated" and not any(check["witnesses"] for check in result["checks"]):
    problems.append("convicted without a witness")
if name == "default":
    minimums = {
        "parallelism": 2000,
        "records": 1_000_000,
        "faults_landed": 10,
        "faults_landed_mid_checkpoint": 6,
        "checkpoints_completed": 5,
    }
    problems += [
        f"{key} is {result[key]}, at least {least} is promised"
        for key, least in minimums.items()
        if result[key] < least
    ]
    latency = result["latency"] or {}
    if latency.get("samples") != result["records"] or latency.get("negative") != 0:
        problems.append(f"latency was not measured for every record: {latency}")
if name == "at-least-once" and result["duplicates"] <= 0:
    problems.append("at-least-once without a duplicate shows nothing")
for problem in problems:
    print(f"  {problem}", file=sys.stderr)
sys.exit(bool(problems))
