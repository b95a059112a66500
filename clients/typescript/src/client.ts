import type { BackoffOptions } from "./backoff.ts";
import { Connection, type ConnectionState, type SocketConstructor } from "./connection.ts";
import { changes, Feed, type FeedChange } from "./feed.ts";
import { type Message, ProtocolError, parseMessage, type Refused, type Request } from "./protocol.ts";

/** How to reach the server, and how to be told. */
export interface ClientOptions {
  /** `ws://127.0.0.1:8080/v1/ws` */
  readonly url: string;
  /** The WebSocket to use; the global one unless said. Node 20 has none: pass that of `ws`. */
  readonly WebSocket?: SocketConstructor;
  /**
   * Runs `flush` a little later; listeners are called from it, once for all that has
   * arrived. A page passes its frame loop; a microtask unless said.
   */
  readonly schedule?: (flush: () => void) => void;
  readonly backoff?: BackoffOptions;
  /** Rows that one feed may hold; 100,000 unless said. */
  readonly maxRows?: number;
  /** Milliseconds that an attempt to connect may take; 10,000 unless said. */
  readonly openTimeout?: number;
  /**
   * Milliseconds of silence after which the socket counts as dead; 60,000 unless said. A
   * server moves the cursor of a quiet feed every 25 s, so silence is no sign of calm.
   */
  readonly silence?: number;
}

/** What else a subscription says. */
export interface SubscribeOptions {
  /** The dashboard that it is for, so that the server can count its viewers. */
  readonly dashboard?: string;
}

/** Called when a feed's rows or status have changed, and once when it is added. */
export type FeedListener = (feed: Feed, change: FeedChange) => void;

/** One listener's hold on a feed. */
export interface Subscription {
  readonly feed: Feed;
  /** Stops listening; the last one out tells the server. */
  close(): void;
}

/** A feed as it is wanted: who listens, and what the server calls it on this socket. */
interface Watched {
  readonly feed: Feed;
  readonly options: SubscribeOptions;
  readonly listeners: Set<Listener>;
  ref: number;
  view: string | undefined;
}

interface Listener {
  readonly call: FeedListener;
  /** It has seen nothing yet, so its first change is the whole table. */
  fresh: boolean;
}

/**
 * Many feeds over one connection. Listeners of one feed share its subscription and its
 * table. After a loss every feed goes on from its own cursor.
 */
export class Client {
  readonly #connection: Connection;
  readonly #schedule: (flush: () => void) => void;
  readonly #maxRows: number;
  readonly #feeds = new Map<string, Watched>();
  readonly #byRef = new Map<number, Watched>();
  readonly #byView = new Map<string, Watched>();
  readonly #dirty = new Set<Watched>();
  readonly #stateListeners = new Set<(state: ConnectionState) => void>();
  /** Those who wait for an answer to their ping, by its number. */
  readonly #pings = new Map<number, (answered: boolean) => void>();
  #lastRef = 0;
  #scheduled = false;
  #changesArrived = 0;
  #lastRefusal: Refused | undefined;
  #maxRate: number | undefined;

  constructor(options: ClientOptions) {
    const socket = options.WebSocket ?? (globalThis.WebSocket as SocketConstructor | undefined);
    if (socket === undefined) throw new TypeError("there is no global WebSocket here: pass one, such as that of `ws`");
    this.#schedule = options.schedule ?? queueMicrotask;
    this.#maxRows = options.maxRows ?? 100_000;
    this.#connection = new Connection({
      url: options.url,
      socket,
      backoff: options.backoff ?? {},
      openTimeout: options.openTimeout ?? 10_000,
      silence: options.silence ?? 60_000,
      expectsTraffic: () => this.#byView.size > 0,
      onOpen: () => this.#resume(),
      onMessage: (data) => this.#take(data),
      onState: (state) => this.#stateChanged(state),
    });
  }

  /** Where the connection stands. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** How many changes of rows the deltas have brought; the difference over a second is a rate. */
  get changesArrived(): number {
    return this.#changesArrived;
  }

  /** The last refusal that named no subscription: a fault of this client or of what stands between. */
  get lastRefusal(): Refused | undefined {
    return this.#lastRefusal;
  }

  /** Opens the connection; instead of waiting any longer, if it waits for its next attempt. */
  connect(): void {
    this.#connection.open();
  }

  /** Closes the connection for good. */
  close(): void {
    this.#connection.close();
  }

  /**
   * Asks for at most so many frames a second of each feed, or for all with `undefined`: what is
   * left out is merged by the server. For a page that nobody looks at. Each feed is asked for
   * anew, from its cursor, so nothing is sent twice.
   */
  limitRate(framesPerSecond: number | undefined): void {
    if (framesPerSecond === this.#maxRate) return;
    this.#maxRate = framesPerSecond;
    for (const watched of this.#feeds.values()) {
      // One that was refused stays so.
      if (watched.feed.status.kind === "error") continue;
      this.#leave(watched);
      this.#ask(watched);
    }
  }

  /**
   * How long a message to the server and back takes, in milliseconds. `undefined` where there
   * is no connection, it is lost meanwhile, or the server knows no `ping`.
   */
  ping(): Promise<number | undefined> {
    if (this.#connection.state.kind !== "open") return Promise.resolve(undefined);
    const ref = ++this.#lastRef;
    const sentAt = performance.now();
    return new Promise((resolve) => {
      this.#pings.set(ref, (answered) => resolve(answered ? performance.now() - sentAt : undefined));
      this.#connection.send({ op: "ping", ref } satisfies Request);
    });
  }

  #answerPing(ref: number, answered: boolean): boolean {
    const waiting = this.#pings.get(ref);
    this.#pings.delete(ref);
    waiting?.(answered);
    return waiting !== undefined;
  }

  /** Calls `listener` at each change of the connection's state, until the returned function is called. */
  onState(listener: (state: ConnectionState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Follows a feed. The first call of `listener` comes even if there is nothing yet. */
  subscribe(name: string, listener: FeedListener, options: SubscribeOptions = {}): Subscription {
    let watched = this.#feeds.get(name);
    if (watched === undefined) {
      watched = { feed: new Feed(name, this.#maxRows), options, listeners: new Set(), ref: 0, view: undefined };
      this.#feeds.set(name, watched);
      this.#ask(watched);
    }
    const held = watched;
    const entry: Listener = { call: listener, fresh: true };
    held.listeners.add(entry);
    this.#changed(held);
    return {
      feed: held.feed,
      close: () => {
        held.listeners.delete(entry);
        if (held.listeners.size === 0 && this.#feeds.get(name) === held) {
          this.#feeds.delete(name);
          this.#dirty.delete(held);
          this.#leave(held);
        }
      },
    };
  }

  /** A new socket knows nothing: each feed asks for what it lacks. */
  #resume(): void {
    for (const watched of this.#feeds.values()) this.#ask(watched);
  }

  #ask(watched: Watched): void {
    if (this.#connection.state.kind !== "open") return;
    watched.ref = ++this.#lastRef;
    this.#byRef.set(watched.ref, watched);
    const { cursor, name } = watched.feed;
    const request: Request = { op: "subscribe", ref: watched.ref, feed: name };
    if (cursor !== undefined) request.since = cursor;
    if (watched.options.dashboard !== undefined) request.dashboard = watched.options.dashboard;
    if (this.#maxRate !== undefined) request.max_rate = this.#maxRate;
    this.#connection.send(request);
  }

  /** Frames of the view that are still on their way find nobody, and are ignored. */
  #leave(watched: Watched): void {
    if (this.#byRef.delete(watched.ref)) {
      this.#connection.send({ op: "unsubscribe", ref: watched.ref } satisfies Request);
    }
    this.#forgetView(watched);
  }

  #forgetView(watched: Watched): void {
    if (watched.view !== undefined) this.#byView.delete(watched.view);
    watched.view = undefined;
    watched.feed.interrupted();
  }

  #take(data: unknown): void {
    try {
      const message = parseMessage(data);
      if (message !== undefined) this.#apply(message);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // What was applied so far is right; the rest is asked for again over a new socket.
      this.#connection.lose();
    }
  }

  #apply(message: Message): void {
    switch (message.type) {
      case "subscribed": {
        const watched = this.#byRef.get(message.ref);
        if (watched === undefined) return;
        watched.view = message.view;
        this.#byView.set(message.view, watched);
        watched.feed.subscribed(message);
        this.#changed(watched);
        return;
      }
      case "snapshot": {
        const watched = this.#byView.get(message.view);
        if (watched === undefined) return;
        watched.feed.snapshot(message);
        if (message.more !== true) this.#changed(watched);
        return;
      }
      case "delta": {
        const watched = this.#byView.get(message.view);
        if (watched === undefined) return;
        if (watched.feed.delta(message) === "gap") {
          this.#leave(watched);
          this.#ask(watched);
          return;
        }
        this.#changesArrived += changes(message);
        this.#changed(watched);
        return;
      }
      case "pong":
        this.#answerPing(message.ref, true);
        return;
      case "error":
        if (message.ref === undefined || !this.#answerPing(message.ref, false)) this.#refused(message);
        return;
      case "closing":
        if (typeof message.retry_after_ms === "number") this.#connection.announceRetry(message.retry_after_ms);
        return;
    }
  }

  #refused(message: Refused): void {
    const watched = message.ref === undefined ? undefined : this.#byRef.get(message.ref);
    if (watched === undefined) {
      this.#lastRefusal = message;
      return;
    }
    this.#byRef.delete(watched.ref);
    if (message.code === "malformed_cursor" && watched.feed.cursor !== undefined) {
      watched.feed.forgetCursor();
      this.#ask(watched);
      return;
    }
    watched.feed.refused(message.code, message.message);
    this.#changed(watched);
  }

  #stateChanged(state: ConnectionState): void {
    if (state.kind !== "open") {
      this.#byRef.clear();
      for (const ref of [...this.#pings.keys()]) this.#answerPing(ref, false);
      for (const watched of this.#feeds.values()) this.#forgetView(watched);
    }
    for (const listener of this.#stateListeners) listener(state);
  }

  #changed(watched: Watched): void {
    this.#dirty.add(watched);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const { feed, listeners } of dirty) {
      const change = feed.takeChange();
      for (const listener of listeners) {
        const seen = listener.fresh ? { replaced: true, rows: [] } : change;
        listener.fresh = false;
        listener.call(feed, seen);
      }
    }
  }
}
