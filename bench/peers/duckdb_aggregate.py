"""DuckDB's batch over the same file: one thread, explicit columns.

Prints one line of JSON: the CPU seconds of the query (the interpreter's start and the
import are left out), and the sums that the caller compares.
"""

import json
import resource
import sys

import duckdb


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


path = sys.argv[1]
with open(path, encoding="utf-8") as file:
    first = json.loads(file.readline())
types = {"value": "DOUBLE", "ts": "BIGINT"}
columns = {name: types.get(name, "VARCHAR") for name in first}

connection = duckdb.connect(config={"threads": 1})
before = cpu()
groups, count, average, maximum = connection.execute(
    f"""
    SELECT count(*), sum(n), sum(average), sum(maximum) FROM (
        SELECT metric, ts // 10000 AS bucket, count(*) AS n, avg(value) AS average, max(value) AS maximum
        FROM read_json(?, format = 'newline_delimited', columns = {columns})
        GROUP BY ALL
    )
    """,
    [path],
).fetchone()
print(
    json.dumps(
        {
            "cpu_s": cpu() - before,
            "version": duckdb.__version__,
            "groups": groups,
            "count": int(count),
            "average": average,
            "maximum": maximum,
        }
    )
)
