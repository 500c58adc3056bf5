import type { TypedValue } from "@everhold/wire";

/**
 * One message as `name=type:value` pairs. Programs in two languages write the same line about the same
 * message: strings by their UTF-16 units, floating point numbers by their bits. See `BothLine.java`.
 */
export class BothLine {
  readonly tokens = new Map<string, string>();

  /** Notes a value under `name`, which may hold any character. */
  put(name: string, value: TypedValue): this {
    this.tokens.set(escape(name), format(value));
    return this;
  }

  /** Notes what a plain value says: a string, an int, a boolean, bytes or null. */
  say(name: string, value: string | number | boolean | Uint8Array | null): this {
    return this.put(name, typedOf(value));
  }

  /** @throws Error when there is no such value, or it is no string */
  text(name: string): string {
    const value = this.find(name);
    return value?.type === "string" ? value.value : this.#refuse(name, "a string");
  }

  /** @throws Error when there is no such value, or it is no whole number */
  number(name: string): number {
    const value = this.find(name);
    if (value?.type !== "int" && value?.type !== "long") return this.#refuse(name, "a number");
    return Number(value.value);
  }

  /** @throws Error when there is no such value, or it is no boolean */
  flag(name: string): boolean {
    const value = this.find(name);
    return value?.type === "boolean" ? value.value : this.#refuse(name, "a boolean");
  }

  /** @throws Error when there is no such value, or it is no bytes */
  bytes(name: string): Uint8Array {
    const value = this.find(name);
    return value?.type === "bytes" ? value.value : this.#refuse(name, "bytes");
  }

  /** The value under `name`; `undefined` where there is none. */
  find(name: string): TypedValue | undefined {
    const token = this.tokens.get(name);
    return token === undefined ? undefined : parseValue(token);
  }

  /** The values whose names begin with `prefix`, by the rest of their names, in order. */
  under(prefix: string): Map<string, TypedValue> {
    const names = [...this.tokens.keys()].filter((name) => name.startsWith(prefix)).toSorted();
    return new Map(
      names.map((name) => [
        unescape(name.slice(prefix.length)),
        parseValue(this.tokens.get(name) ?? ""),
      ]),
    );
  }

  /** The line without these names. */
  without(...names: readonly string[]): BothLine {
    const rest = new BothLine();
    for (const [name, token] of this.tokens) {
      if (!names.includes(name)) rest.tokens.set(name, token);
    }
    return rest;
  }

  toString(): string {
    return [...this.tokens.entries()]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, token]) => `${name}=${token}`)
      .join(" ");
  }

  /** For a person to compare: one pair a line, long values cut. */
  toObject(): Record<string, string> {
    return Object.fromEntries(
      [...this.tokens.entries()].map(([name, token]) => [shorten(name), shorten(token)]),
    );
  }

  #refuse(name: string, expected: string): never {
    const token = this.tokens.get(name);
    throw new Error(`cannot read ${name}: found ${token ?? "none"}, expected ${expected}`);
  }

  static parse(text: string): BothLine {
    const line = new BothLine();
    for (const pair of text.split(" ")) {
      const at = pair.indexOf("=");
      line.tokens.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return line;
  }
}

function typedOf(value: string | number | boolean | Uint8Array | null): TypedValue {
  if (value === null) return { type: "null", value };
  if (typeof value === "string") return { type: "string", value };
  if (typeof value === "number") return { type: "int", value };
  if (typeof value === "boolean") return { type: "boolean", value };
  return { type: "bytes", value };
}

function format(value: TypedValue): string {
  switch (value.type) {
    case "null":
      return "null:";
    case "float":
      return `float:${bitsOf(4, (view) => view.setFloat32(0, value.value))}`;
    case "double":
      return `double:${bitsOf(8, (view) => view.setFloat64(0, value.value))}`;
    case "bytes":
      return `bytes:${Buffer.from(value.value).toString("hex")}`;
    case "string":
    case "char":
      return `${value.type}:${escape(value.value)}`;
    default:
      return `${value.type}:${String(value.value)}`;
  }
}

function parseValue(token: string): TypedValue {
  const at = token.indexOf(":");
  const type = token.slice(0, at);
  const text = token.slice(at + 1);
  switch (type) {
    case "null":
      return { type, value: null };
    case "boolean":
      return { type, value: text === "true" };
    case "byte":
    case "short":
    case "int":
      return { type, value: Number(text) };
    case "long": {
      const value = BigInt(text);
      const isSafe = Number.isSafeInteger(Number(value));
      return { type, value: isSafe ? Number(value) : value };
    }
    case "float":
      return { type, value: Buffer.from(text, "hex").readFloatBE() };
    case "double":
      return { type, value: Buffer.from(text, "hex").readDoubleBE() };
    case "bytes":
      return { type, value: new Uint8Array(Buffer.from(text, "hex")) };
    case "string":
    case "char":
      return { type, value: unescape(text) };
    default:
      throw new Error(`cannot read a value: found ${shorten(token)}, expected a type of JMS`);
  }
}

function bitsOf(byteCount: number, set: (view: DataView) => void): string {
  const bytes = new Uint8Array(byteCount);
  set(new DataView(bytes.buffer));
  return Buffer.from(bytes).toString("hex");
}

function escape(text: string): string {
  let out = "";
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    const isPlain = unit > 0x20 && unit < 0x7f && unit !== 0x3d && unit !== 0x5c;
    out += isPlain ? text.charAt(index) : `\\u${unit.toString(16).padStart(4, "0")}`;
  }
  return out;
}

function unescape(text: string): string {
  return text.replaceAll(/\\u([0-9a-f]{4})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 160)}… (${text.length} characters)`;
}
