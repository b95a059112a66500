import type { Socket } from "../src/connection.ts";

type Listener = (event: { data?: unknown }) => void;

/** A socket whose other end is the test. */
export class FakeSocket implements Socket {
  /** Every socket that was opened since `reset`, oldest first. */
  static readonly all: FakeSocket[] = [];

  static reset(): void {
    FakeSocket.all.length = 0;
  }

  static get last(): FakeSocket {
    const last = FakeSocket.all.at(-1);
    if (last === undefined) throw new Error("no socket was opened");
    return last;
  }

  readonly sent: Record<string, unknown>[] = [];
  closedByClient = false;
  readonly url: string;
  readonly protocols: string[];
  readonly #listeners = new Map<string, Listener[]>();

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closedByClient = true;
  }

  /** The server accepts the handshake. */
  open(): void {
    this.#emit("open", {});
  }

  /** The server sends a message; text is sent as it is. */
  say(message: object | string): void {
    this.#emit("message", { data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  /** The network or the server ends it. */
  drop(): void {
    this.#emit("error", {});
    this.#emit("close", {});
  }

  #emit(type: string, event: { data?: unknown }): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }
}
