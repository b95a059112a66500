"""Pathway over the same file, as a static input.

Prints one line of JSON: the CPU seconds of the run (the interpreter's start and the
import are left out), and the sums that the caller compares.
"""

import json
import resource
import sys

import pathway as pw


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Event(pw.Schema):
    metric: str
    value: float
    ts: int


events = pw.io.jsonlines.read(sys.argv[1], schema=Event, mode="static")
groups = (
    events.select(events.metric, events.value, bucket=events.ts // 10000)
    .groupby(pw.this.metric, pw.this.bucket)
    .reduce(
        n=pw.reducers.count(),
        average=pw.reducers.avg(pw.this.value),
        maximum=pw.reducers.max(pw.this.value),
    )
)
sums = {"groups": 0, "count": 0, "average": 0.0, "maximum": 0.0}


def on_change(key, row, time, is_addition):
    sign = 1 if is_addition else -1
    sums["groups"] += sign
    sums["count"] += sign * row["n"]
    sums["average"] += sign * row["average"]
    sums["maximum"] += sign * row["maximum"]


pw.io.subscribe(groups, on_change)
before = cpu()
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
print(json.dumps({"cpu_s": cpu() - before, "version": pw.__version__, **sums}))
