// Follows a feed with Node's own WebSocket until its table has so many rows, over lost
// connections. Prints the table and how often it was reset.
//
// node --experimental-websocket follow.mjs URL FEED ROWS
const [url, feed, wanted] = process.argv.slice(2);

let rows = new Map();
let coming = new Map();
let cursor;
let keys = 0;
const seen = { snapshots: 0, deltas: 0, resets: 0, closings: 0 };
const idOf = (row) => JSON.stringify(row.slice(0, keys));

const handlers = {
  subscribed: ({ key }) => {
    keys = key.length;
  },
  snapshot: ({ data, more, reset, cursor: next }) => {
    (data[0] ?? []).forEach((_, i) => {
      const row = data.map((column) => column[i]);
      coming.set(idOf(row), row);
    });
    if (more) return;
    [rows, coming, cursor] = [coming, new Map(), next];
    seen.snapshots += 1;
    seen.resets += Number(reset);
  },
  delta: (frame) => {
    for (const row of frame.upsert) rows.set(idOf(row), row);
    for (const key of frame.delete) rows.delete(JSON.stringify(key));
    cursor = frame.cursor;
    seen.deltas += 1;
  },
  closing: () => {
    seen.closings += 1;
  },
};

function connect() {
  const socket = new WebSocket(url, "tidewire.v1.json");
  socket.onopen = () => {
    coming = new Map();
    socket.send(JSON.stringify({ op: "subscribe", ref: 1, feed, since: cursor }));
  };
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    handlers[frame.type]?.(frame);
    console.log(`at ${rows.size}`);
    if (rows.size === Number(wanted)) {
      console.log(JSON.stringify({ ...seen, rows: [...rows.values()].sort() }));
      process.exit(0);
    }
  };
  // Node 20 tells of a refused connection by one of the two alone.
  let lost = false;
  const again = () => {
    if (!lost) setTimeout(connect, 50);
    lost = true;
  };
  socket.onclose = again;
  socket.onerror = again;
}

console.log("ready");
connect();
