/** Which pages may open a WebSocket to an acceptor: a browser says truly where a page comes from (RFC 6454). */
export class OriginRules {
  readonly #origins: readonly string[] | undefined;

  /** Without `origins` those of pages that this machine serves; with `*` all. */
  constructor(origins: readonly string[] | undefined) {
    this.#origins = origins?.map((origin) => origin.toLowerCase());
  }

  /** Whether a page of this origin may come in. Programs that are no browser say none, and may. */
  allows(origin: string | undefined): boolean {
    if (origin === undefined) return true;
    if (this.#origins === undefined) return isOfThisMachine(origin);
    return this.#origins.includes("*") || this.#origins.includes(origin.toLowerCase());
  }

  /** The rule, for messages to people. */
  toString(): string {
    return this.#origins?.join(", ") ?? "those of this machine, such as http://localhost:5173";
  }
}

/**
 * Another site cannot pretend to be one of these: a browser takes these names for this machine only. The name
 * that the request asks for (`Host`) proves nothing: whoever owns a name lets it lead to this machine.
 */
function isOfThisMachine(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { hostname, protocol } = new URL(origin);
  if (protocol !== "http:" && protocol !== "https:") return false;
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127(?:\.\d{1,3}){3}$/.test(hostname)
  );
}
