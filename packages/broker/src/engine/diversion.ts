import { divertRoutings, type DivertRouting } from "../state/rules.ts";

/** What a row that came by a divert says of it, as the cause of its origin. */
export interface Diversion {
  readonly routing: DivertRouting;
  /** The address that the message was forwarded to; its queue may belong to another one, which stands for this. */
  readonly address: string;
}

const word = "diverted ";

/** The cause under which a row came to its queue by a divert. */
export function diversionCause({ routing, address }: Diversion): string {
  return `${word}${routing} ${address}`;
}

/** What a cause says of a divert; `undefined` for any other cause. */
export function diversionOf(cause: string): Diversion | undefined {
  if (!cause.startsWith(word)) return undefined;
  const end = cause.indexOf(" ", word.length);
  const routing = divertRoutings.find((one) => one === cause.slice(word.length, end));
  return routing === undefined ? undefined : { routing, address: cause.slice(end + 1) };
}
