import { EverholdError } from "@everhold/base";
import type { Endpoint } from "@everhold/env";
import { limits } from "../limits.ts";

/** What a URL, or a list of them, says. */
export interface ParsedUrl {
  /** Where to connect to, in the order to try. Never empty. `tls` says only that the scheme asks for it. */
  readonly endpoints: readonly Endpoint[];
  /** The parameters as they were written; of a repeated one the last. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** The port of a URL that names none, WebSockets excepted. */
export const defaultPort = 61_616;

/** The schemes that mean CORE over TCP. `failover:` is the prefix of OpenWire's lists. */
const schemes: ReadonlySet<string> = new Set(["tcp", "everhold", "core"]);
/** Those that mean CORE within TLS. */
const tlsSchemes: ReadonlySet<string> = new Set(["tls", "ssl", "wss"]);
/** Those that mean CORE in a WebSocket, with the ports that they have everywhere. */
const webSocketPorts: ReadonlyMap<string, number> = new Map([
  ["ws", 80],
  ["wss", 443],
]);

/**
 * Reads `tcp://host:port`, `tls://host:port`, `ws://host:port/path`, `wss://…`, `host:port`, `host`, `[::1]:61616`,
 * lists of these separated by commas, and the spellings of Artemis and OpenWire:
 * `(tcp://a:1,tcp://b:2)?key=value`, `tcp://a:1#tcp://b:2`, `failover:(tcp://a:1)`, `static:(tcp://a:1)`.
 * The WHATWG parser refuses lists, so this is one of our own.
 *
 * @throws EverholdError EVH_URL
 */
export function parseUrl(input: string | readonly string[]): ParsedUrl {
  const texts = typeof input === "string" ? [input] : input;
  const endpoints: Endpoint[] = [];
  const parameters = new Map<string, string>();
  for (const text of texts) parseList(text, endpoints, parameters);
  if (endpoints.length === 0)
    throw urlError("", "found no endpoint, expected at least one host:port");
  return { endpoints, parameters };
}

/** An endpoint as people write it. */
export function formatEndpoint(endpoint: Endpoint): string {
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  const { tls, port, webSocket } = endpoint;
  if (webSocket === undefined) return `${tls === undefined ? "tcp" : "tls"}://${host}:${port}`;
  return `${tls === undefined ? "ws" : "wss"}://${host}:${port}${webSocket.path ?? ""}`;
}

function parseList(text: string, endpoints: Endpoint[], parameters: Map<string, string>): void {
  if (text.length > limits.urlLengthMax) {
    throw urlError(
      text.slice(0, 64),
      `found ${text.length} characters, at most ${limits.urlLengthMax}`,
    );
  }
  let rest = text.trim();
  rest = rest.replace(/^(?:failover|static):(?:\/\/)?(?=.)/, "");
  if (rest.startsWith("(")) {
    const end = rest.indexOf(")");
    if (end < 0) throw urlError(text, "found `(` without `)`");
    const tail = rest.slice(end + 1);
    if (tail !== "" && !tail.startsWith("?")) throw urlError(text, `found "${tail}" after \`)\``);
    parseParameters(tail.slice(1), text, parameters);
    rest = rest.slice(1, end);
  }
  // Artemis: further brokers may stand behind a `#`.
  const list = rest.replaceAll(/#(?=[a-z][a-z0-9+.-]*:\/\/)/gi, ",");
  for (const one of splitList(list)) parseOne(one.trim(), text, endpoints, parameters);
}

/** Behind a question mark a comma may be part of a value, as of `enabledProtocols`; the next URL has a scheme. */
function splitList(list: string): readonly string[] {
  const ones: string[] = [];
  for (const part of list.split(",")) {
    const last = ones.at(-1);
    const isValue = last?.includes("?") === true && !part.includes("://");
    if (isValue) ones[ones.length - 1] = `${last},${part}`;
    else ones.push(part);
  }
  return ones;
}

function parseOne(
  one: string,
  text: string,
  endpoints: Endpoint[],
  parameters: Map<string, string>,
): void {
  const question = one.indexOf("?");
  const where = question < 0 ? one : one.slice(0, question);
  if (question >= 0) parseParameters(one.slice(question + 1), text, parameters);
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*?)\/?$/i.exec(where);
  const scheme = (match?.[1] ?? "tcp").toLowerCase();
  const isTls = tlsSchemes.has(scheme);
  const webSocketPort = webSocketPorts.get(scheme);
  if (!isTls && !schemes.has(scheme) && webSocketPort === undefined) {
    throw urlError(text, `found the scheme "${scheme}", expected tcp://, tls://, ws:// or wss://`);
  }
  const { place, path } = splitPath(match?.[2] ?? "", webSocketPort !== undefined);
  const authority = parseUser(place, text, parameters);
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(authority);
  const host = (parts?.[1] ?? "").replace(/^\[|\]$/g, "");
  if (parts === null || host === "" || /[\s/@]/.test(host)) {
    throw urlError(text, `found "${where}", expected a host, or host:port`);
  }
  if (endpoints.length >= limits.urlCountMax) {
    throw urlError(text.slice(0, 64), `found more than ${limits.urlCountMax} endpoints`);
  }
  const port = parsePort(parts[2], text, webSocketPort ?? defaultPort);
  endpoints.push({
    ...{ host, port },
    ...(isTls ? { tls: {} } : {}),
    ...(webSocketPort === undefined ? {} : { webSocket: path === "" ? {} : { path } }),
  });
}

/** Only WebSockets have paths. */
function splitPath(where: string, hasPath: boolean): { place: string; path: string } {
  const slash = hasPath ? where.indexOf("/") : -1;
  if (slash < 0) return { place: where, path: "" };
  return { place: where.slice(0, slash), path: where.slice(slash) };
}

/** Takes `user:password@` off the front, into the parameters that mean the same. */
function parseUser(authority: string, text: string, parameters: Map<string, string>): string {
  const at = authority.lastIndexOf("@");
  if (at < 0) return authority;
  const user = authority.slice(0, at);
  const colon = user.indexOf(":");
  parameters.set("user", decode(colon < 0 ? user : user.slice(0, colon), text));
  if (colon >= 0) parameters.set("password", decode(user.slice(colon + 1), text));
  return authority.slice(at + 1);
}

function parsePort(port: string | undefined, text: string, otherwise: number): number {
  if (port === undefined) return otherwise;
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535) {
    throw urlError(text, `found the port "${port}", expected 1 to 65535`);
  }
  return number;
}

function parseParameters(query: string, text: string, parameters: Map<string, string>): void {
  for (const pair of query.split(/[&;]/)) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    if (equals <= 0) throw urlError(text, `found the parameter "${pair}", expected key=value`);
    parameters.set(decode(pair.slice(0, equals), text), decode(pair.slice(equals + 1), text));
  }
}

function decode(encoded: string, text: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (cause) {
    throw urlError(text, `found "${encoded}", which is not valid percent-encoding`, cause);
  }
}

/** The text may hold a password: what is shown of it holds none. */
function urlError(text: string, what: string, cause?: unknown): EverholdError {
  const message = withoutPassword(`Cannot read the URL "${text}": ${what}`);
  return new EverholdError("EVH_URL", message, { cause });
}

function withoutPassword(text: string): string {
  return text
    .replace(/(^|[/",(#])([^:@/\s",]*):[^",]*@/g, "$1$2:***@")
    .replace(/(password=)[^&;)"]*/gi, "$1***");
}
