/**
 * Live tables from a Tidewire server.
 *
 * # Layout
 *
 *     protocol    the messages, and what makes a frame well-formed
 *     cursor      which of two cursors of a view is the later one
 *     backoff     how long to wait before the next attempt
 *     connection  one socket that comes back by itself
 *     table       rows by key, bounded
 *     feed        a table kept up to date by the frames of one view
 *     client      many feeds over one connection, resumed after a loss
 */
export { Backoff, type BackoffOptions } from "./backoff.ts";
export { Client, type ClientOptions, type FeedListener, type SubscribeOptions, type Subscription } from "./client.ts";
export type { ConnectionState, Socket, SocketConstructor } from "./connection.ts";
export type { Feed, FeedChange, FeedStatus } from "./feed.ts";
export type { Column, Value } from "./protocol.ts";
export { type Row, type RowChange, Table } from "./table.ts";
