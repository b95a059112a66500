"""Follows a feed with the `websockets` package until its table has so many rows, over
lost connections. Prints the table and how often it was reset.

follow.py URL json|msgpack FEED ROWS
"""

import asyncio
import json
import sys

import msgpack
import websockets

URL, NOTATION, FEED, ROWS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
pack, unpack = (json.dumps, json.loads) if NOTATION == "json" else (msgpack.packb, msgpack.unpackb)


async def main():
    rows, coming, cursor, key_len = {}, {}, None, 0
    seen = {"snapshots": 0, "deltas": 0, "resets": 0, "closings": 0}
    print("ready", flush=True)
    while True:
        try:
            async with websockets.connect(URL, subprotocols=[f"tidewire.v1.{NOTATION}"]) as socket:
                assert socket.subprotocol == f"tidewire.v1.{NOTATION}"
                coming = {}
                wish = {"op": "subscribe", "ref": 1, "feed": FEED}
                await socket.send(pack(wish | ({"since": cursor} if cursor else {})))
                async for message in socket:
                    frame = unpack(message)
                    match frame["type"]:
                        case "subscribed":
                            key_len = len(frame["key"])
                        case "snapshot":
                            for row in zip(*frame["data"]):
                                coming[row[:key_len]] = list(row)
                            if not frame.get("more"):
                                rows, coming, cursor = coming, {}, frame["cursor"]
                                seen["snapshots"] += 1
                                seen["resets"] += frame["reset"]
                        case "delta":
                            for row in frame["upsert"]:
                                rows[tuple(row[:key_len])] = row
                            for key in frame["delete"]:
                                rows.pop(tuple(key), None)
                            cursor = frame["cursor"]
                            seen["deltas"] += 1
                        case "closing":
                            seen["closings"] += 1
                    print(f"at {len(rows)}", flush=True)
                    if len(rows) == ROWS:
                        print(json.dumps(seen | {"rows": sorted(rows.values())}), flush=True)
                        return
        except (OSError, websockets.exceptions.WebSocketException):
            pass
        await asyncio.sleep(0.05)


asyncio.run(main())
