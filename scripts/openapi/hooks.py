"""Narrows the description to the server that is asked, and checks what Schemathesis cannot know."""

import json
import os
import re
import struct
import uuid
from urllib.request import urlopen

import schemathesis
from hypothesis import strategies as st

SERVER = os.environ["TIDEWIRE_URL"]


def ask(path):
    with urlopen(SERVER + path, timeout=20) as answer:
        return answer.read().decode()


def names(path, of, wanted=lambda entry: True):
    return [entry["name"] for entry in json.loads(ask(path))[of] if wanted(entry)]


STREAMS = json.loads(ask("/v1/streams"))["streams"]
COLUMNS = {s["name"]: s["columns"] for s in STREAMS}
WRITABLE = next(s for s in STREAMS if s["writable"])
FEEDS = names("/v1/feeds", "feeds")
DASHBOARDS = names("/v1/dashboards", "dashboards")
# `/assets/` and what stands behind it in the page.
ASSETS = re.findall(r"/assets/([^\"']+)", ask("/"))


def column_schema(column):
    """What an event may hold in this column, by the schema of its type."""
    kind = column["type"]
    decimal = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    if decimal:
        whole, scale = int(decimal[1]) - int(decimal[2]), int(decimal[2])
        return {"type": "string", "pattern": rf"^-?[0-9]{{1,{whole}}}(\.[0-9]{{1,{scale}}})?$"}
    return {"$ref": f"#/components/schemas/In.{'texts' if kind == 'text[]' else kind}"}


def event_schema(stream):
    nullable = lambda c: column_schema(c) if c["not_null"] else {"anyOf": [column_schema(c), {"type": "null"}]}
    return {
        "type": "object",
        "properties": {c["from"]: nullable(c) for c in stream["columns"]},
        "required": [c["from"] for c in stream["columns"] if c["not_null"]],
    }


@schemathesis.hook
def before_load_schema(context, raw_schema):
    if not ASSETS:
        # The page was not built into this program.
        del raw_schema["paths"]["/assets/{path}"]
    for path, item in raw_schema["paths"].items():
        for method, operation in item.items():
            for parameter in operation.get("parameters", []):
                known = {
                    "stream": [WRITABLE["name"]] if operation["operationId"] == "push_events" else list(COLUMNS),
                    "feed": FEEDS,
                    "dashboard": DASHBOARDS,
                    "path": ASSETS,
                }
                if parameter["in"] == "path":
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
    raw_schema["components"]["schemas"]["Event"] = event_schema(WRITABLE)
    # That SQL is a text says little of what may be asked.
    queries = [sql.format(feed) for feed in FEEDS for sql in ("SELECT * FROM {}", "SELECT count(*) AS n FROM {} LIMIT 1")]
    raw_schema["components"]["schemas"]["Query"]["properties"]["sql"] = {"type": "string", "enum": queries}


def packed(value):
    """MessagePack, as far as the events below need it."""
    if isinstance(value, str):
        return b"\xd9" + bytes([len(value)]) + value.encode()
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))
    return b"\xde" + struct.pack(">H", len(value)) + b"".join(packed(k) + packed(v) for k, v in value.items())


# Texts and bytes that hold events.
plain = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
event = st.fixed_dictionaries(
    {"name": plain, "at": st.integers(0, 2_000_000_000_000)},
    optional={"big": st.integers(-(2**63), 2**63 - 1), "ratio": st.floats(allow_nan=False, allow_infinity=False)},
)
events = st.lists(event, max_size=5)
for name in ["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"]:
    schemathesis.openapi.media_type(name, events.map(packed))
lines = events.map(lambda events: "".join(json.dumps(e) + "\n" for e in events).encode())
for name in ["application/x-ndjson", "application/ndjson", "application/jsonl"]:
    schemathesis.openapi.media_type(name, lines)
records = st.lists(st.tuples(plain, st.integers(0, 2_000_000_000_000)), max_size=5)
schemathesis.openapi.media_type(
    "text/csv", records.map(lambda rows: ("name,at\n" + "".join(f"{n},{at}\n" for n, at in rows)).encode())
)


@schemathesis.hook
def before_call(context, case, kwargs):
    # A minute is as right as a moment, and takes longer.
    if case.query and re.fullmatch(r"[0-9]{1,9}(ms|s|m)", str(case.query.get("wait", ""))):
        case.query["wait"] = "20ms"
    if case.headers and case.operation.definition.raw.get("operationId") == "push_events":
        # The body is not packed, whatever the header says.
        if case.headers.get("Content-Encoding") in ("gzip", "zstd"):
            del case.headers["Content-Encoding"]
        # A key is used once, or the body must be the same.
        if case.meta.generation.mode.is_positive and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = uuid.uuid4().hex


def operation_of(case):
    return case.operation.definition.raw.get("operationId")


@schemathesis.check
def every_problem_says_what_it_is(ctx, response, case):
    """Status, media type and code agree, and the description names the code."""
    if response.status_code < 400 or "html" in response.headers["content-type"][0]:
        return
    assert response.headers["content-type"] == ["application/problem+json"], "an error that is no problem document"
    problem = response.json()
    assert problem["status"] == response.status_code, f"the status in the document is {problem['status']}"
    if response.status_code == 405:
        return
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    assert problem["code"] in described.get("x-codes", []), f"`{problem['code']}` is not described here"
    if response.status_code in (429, 503):
        assert "retry-after" in response.headers, "nobody is told when to come again"


@schemathesis.check
def every_event_is_accounted_for(ctx, response, case):
    """What was sent is accepted or rejected; nothing of valid events is rejected."""
    if operation_of(case) != "push_events" or response.request.method != "POST":
        return
    answer = response.json()
    if case.meta.generation.mode.is_positive:
        assert response.status_code == 200, f"valid events were refused: {answer.get('detail')}"
        assert answer["rejected_total"] == 0, f"valid events were rejected: {answer['rejected']}"
    if "rejected_total" not in answer:
        return
    assert len(answer["rejected"]) == min(100, answer["rejected_total"])
    media = response.request.headers.get("Content-Type", "")
    try:
        sent = json.loads(response.request.body) if media == "application/json" else None
    except (TypeError, ValueError):
        return
    if sent is not None:
        count = len(sent) if isinstance(sent, list) else 1
        total = answer["accepted"] + answer["rejected_total"]
        assert total == count, f"{count} events were sent, {total} are accounted for"


def fits(value, kind):
    """Whether a value is one of a column of this type, as the protocol writes it."""
    if value is None:
        return True
    if kind in ("bigint", "int", "timestamp"):
        beyond = isinstance(value, str) and kind != "int" and abs(int(value)) > 2**53
        return beyond or (isinstance(value, int) and not isinstance(value, bool))
    if kind == "double":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "text[]":
        return isinstance(value, list) and all(v is None or isinstance(v, str) for v in value)
    return kind == "json" or isinstance(value, str)


@schemathesis.check
def every_value_is_of_its_type(ctx, response, case):
    """Rows are as long as the columns are many, and hold what those say."""
    if operation_of(case) != "read_feed" or response.headers.get("content-type") != ["application/json"]:
        return
    frame = response.json()
    kinds = [column["type"] for column in frame["columns"]]
    rows = zip(*frame["data"]) if frame["type"] == "snapshot" else frame["upsert"]
    for row in rows:
        assert len(row) == len(kinds), f"a row of {len(row)} values for {len(kinds)} columns"
        for value, kind in zip(row, kinds):
            assert fits(value, kind), f"{value!r} is no {kind}"
    for key in frame.get("delete", []):
        assert len(key) == len(frame["key"]), f"a key of {len(key)} values"
