import { Backoff, type BackoffOptions } from "./backoff.ts";
import { SUBPROTOCOL } from "./protocol.ts";

/** The part of a WebSocket that is used; the browser's and that of Node's `ws` have it. */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: { data?: unknown }) => void): void;
}

/** Makes a socket; the browser's `WebSocket` is one. */
export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

/** Where the connection stands. Times are milliseconds since 1970. */
export type ConnectionState =
  /** An attempt is under way. `lostAt` is when the last good connection ended, if there was one. */
  | { readonly kind: "connecting"; readonly lostAt: number | undefined }
  | { readonly kind: "open" }
  /** The next attempt begins at `retryAt`. */
  | { readonly kind: "waiting"; readonly retryAt: number; readonly lostAt: number | undefined }
  /** Closed by us, for good. */
  | { readonly kind: "closed" };

export interface ConnectionOptions {
  readonly url: string;
  readonly socket: SocketConstructor;
  readonly backoff: BackoffOptions;
  /** Milliseconds that an attempt may take to open. */
  readonly openTimeout: number;
  /** Milliseconds of silence after which a socket counts as dead, while `expectsTraffic`. */
  readonly silence: number;
  /** Whether the server owes a frame from time to time: it does while something is subscribed. */
  readonly expectsTraffic: () => boolean;
  readonly onOpen: () => void;
  readonly onMessage: (data: unknown) => void;
  readonly onState: (state: ConnectionState) => void;
}

/** A server's wish for when to come back is kept up to this, in milliseconds. */
const LONGEST_ANNOUNCED = 60_000;

/** One socket that comes back by itself, after a wait that grows with each failure. */
export class Connection {
  #state: ConnectionState = { kind: "closed" };
  #socket: Socket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lostAt: number | undefined;
  #lastArrival = 0;
  #announced: number | undefined;
  readonly #backoff: Backoff;
  readonly #options: ConnectionOptions;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Opens the socket now: at first, or instead of waiting any longer. */
  open(): void {
    if (this.#socket !== undefined) return;
    this.#enter({ kind: "connecting", lostAt: this.#lostAt });
    const socket = new this.#options.socket(this.#options.url, [SUBPROTOCOL]);
    this.#socket = socket;
    // A socket that was given up may still report; only the current one is listened to.
    const current = (then: () => void) => () => {
      if (this.#socket === socket) then();
    };
    socket.addEventListener(
      "open",
      current(() => this.#opened()),
    );
    socket.addEventListener("message", (event) => {
      if (this.#socket === socket) this.#arrived(event.data);
    });
    socket.addEventListener(
      "close",
      current(() => this.lose()),
    );
    // An error is followed by a close; without a listener, Node's `ws` would throw it.
    socket.addEventListener("error", () => {});
    this.#arm(this.#options.openTimeout, () => this.lose());
  }

  /** Sends a message; what is sent while there is no socket is lost, and `onOpen` says it again. */
  send(message: object): void {
    if (this.#state.kind === "open") this.#socket?.send(JSON.stringify(message));
  }

  /** Sets the next wait, as a server that is about to close asked for. */
  announceRetry(milliseconds: number): void {
    this.#announced = Math.min(LONGEST_ANNOUNCED, Math.max(0, milliseconds));
  }

  /** Gives the socket up and waits for the next attempt. */
  lose(): void {
    if (this.#socket === undefined) return;
    this.#drop();
    if (this.#state.kind === "open") this.#lostAt = Date.now();
    const wait = this.#announced ?? this.#backoff.next();
    this.#announced = undefined;
    this.#enter({ kind: "waiting", retryAt: Date.now() + wait, lostAt: this.#lostAt });
    this.#arm(wait, () => this.open());
  }

  /** Closes for good. */
  close(): void {
    this.#drop();
    this.#enter({ kind: "closed" });
  }

  #opened(): void {
    this.#lastArrival = Date.now();
    this.#enter({ kind: "open" });
    this.#watch(this.#options.silence);
    this.#options.onOpen();
  }

  #arrived(data: unknown): void {
    this.#lastArrival = Date.now();
    // Not when it opened: a server that accepts and drops at once must not be asked ever faster.
    this.#backoff.reset();
    this.#options.onMessage(data);
  }

  /** One timer that looks again when the silence could be over, instead of one a message. */
  #watch(wait: number): void {
    this.#arm(wait, () => {
      const left = this.#lastArrival + this.#options.silence - Date.now();
      if (left > 0) this.#watch(left);
      else if (this.#options.expectsTraffic()) this.lose();
      else this.#watch(this.#options.silence);
    });
  }

  #arm(wait: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, wait);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.#options.onState(state);
  }
}
