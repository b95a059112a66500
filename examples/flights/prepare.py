"""Writes the flights of the vega-datasets package as NDJSON, in order of departure.

    npm ci && pip install -r requirements.txt && python prepare.py [ROWS] > flights.ndjson

Each line: {"date": ms since 1970, "delay": minutes, "distance": miles, "origin": …, "destination": …}
"""

import sys
from pathlib import Path

import duckdb

DATA = Path(__file__).parent / "node_modules/vega-datasets/data/flights-3m.parquet"


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    if not DATA.exists():
        sys.exit(f"{DATA} is missing: run `npm ci` in {DATA.parents[3]} first")
    duckdb.connect().execute(
        f"""
        COPY (
            SELECT epoch_ms(date) AS date, delay, distance, origin, destination
            FROM '{DATA}' ORDER BY date LIMIT {rows}
        ) TO '/dev/stdout' (FORMAT json)
        """
    )


if __name__ == "__main__":
    main()
