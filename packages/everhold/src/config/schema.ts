import { limits } from "@everhold/broker";
import { z } from "zod";

import {
  acceptorUrlForms,
  connectorUrlForms,
  monitorUrlForms,
  parseAcceptorUrl,
  parseConnectorUrl,
  parseMonitorUrl,
} from "./acceptor-url.ts";
import { addressSettings } from "./address-settings.ts";
import { diverts } from "./diverts.ts";
import { group } from "./group.ts";
import { choice, duration, flag, integer, leaf, size, text } from "./leaves.ts";
import type { ConfigPath } from "./located-tree.ts";
import { tls } from "./tls.ts";

/** Origins of pages: `https://shop.example`, `*`. */
const origins = leaf(
  "origins of pages such as https://shop.example, or *; a list of them",
  (value) => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const texts = list.filter((one) => typeof one === "string" && isOrigin(one)).map(String);
    return texts.length === list.length ? texts : undefined;
  },
);

/** What browsers call the place that a page comes from: no path, no slash at the end. */
function isOrigin(value: string): boolean {
  if (value === "*" || value === "null") return true;
  return URL.canParse(value) && new URL(value).origin === value.toLowerCase();
}

/** Clients in WebSockets, browsers above all, on the same port. */
const webSocket = z.strictObject({
  /** Default true. */
  enabled: flag().optional(),
  /** Whose pages may come in. Default those of the broker's machine. Programs that are no browser may always. */
  origins: origins.optional(),
});

const acceptor = z.strictObject({
  tls: tls.optional(),
  webSocket: webSocket.optional(),
  /** Where to listen. */
  url: leaf(acceptorUrlForms, (value) =>
    typeof value === "string" ? parseAcceptorUrl(value) : undefined,
  ),
});

/** A password, or its hash as `everhold user` writes it. */
const user = z.strictObject({ password: text("the user's password") });

/**
 * The shape of `everhold.yaml`: Artemis' words in camelCase. Every key does something; what is missing
 * here has its default in the broker.
 */
export const configSchema = z.strictObject({
  name: text("the broker's name").optional(),
  data: text("the data folder").optional(),
  acceptors: z.record(z.string(), acceptor).optional(),
  /** How clients reach this broker, as it tells them. Default: they go by the URLs that they were given. */
  connector: leaf(connectorUrlForms, (value) =>
    typeof value === "string" ? parseConnectorUrl(value) : undefined,
  ).optional(),
  journal: z
    .strictObject({
      fileSize: size({ min: 1024 ** 2, max: 1024 ** 3 }, "from 1MiB to 1GiB").optional(),
      sync: choice(["dsync", "datasync", "none"]).optional(),
      /** Bytes of log after which the index is written down anew. */
      snapshotSize: size({ min: 1024 ** 2, max: 1024 ** 4 }, "from 1MiB to 1TiB").optional(),
      /** Newest part of the log that is kept in memory. */
      cacheSize: size({ min: 1024 ** 2, max: 16 * 1024 ** 3 }, "from 1MiB to 16GiB").optional(),
      /** Bytes a second of what is kept that are read again to find damage. 0: none. */
      scrubRate: size({ min: 0, max: 1024 ** 3 }, "from 0 to 1GiB").optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      frameSize: size(
        { min: 64 * 1024, max: limits.frameBytesMax },
        "from 64KiB to 16MiB",
      ).optional(),
      messageSize: size(
        { min: 1024, max: limits.messageBytesMax },
        "from 1KiB to 16320KiB",
      ).optional(),
      /** The same for messages that come in parts, which only the disk bounds by default. */
      largeMessageSize: size(
        { min: 1024, max: limits.largeMessageBytesMax },
        "from 1KiB to 1TiB",
      ).optional(),
      /** Messages that are in memory only. Above, producers wait, and a little further sends are refused. */
      memory: size({ min: 1024 ** 2, max: 1024 ** 4 }, "from 1MiB to 1TiB").optional(),
      connectionsAllowed: integer({ min: 1, max: limits.connectionCountMax }).optional(),
      /** Connections that have not opened a session yet. */
      handshakesAllowed: integer({ min: 1, max: limits.connectionCountMax }).optional(),
      /** Sessions that wait for clients whose connections broke. */
      parkedSessionsAllowed: integer({ min: 0, max: limits.connectionCountMax }).optional(),
      handshakeTimeout: duration({ min: 100, max: 3_600_000 }, "from 100ms to 1h").optional(),
      connectionTtl: duration({ min: 1_000, max: 86_400_000 }, "from 1s to 1d").optional(),
      connectionTtlOverride: duration({ min: 1_000, max: 86_400_000 }, "from 1s to 1d").optional(),
    })
    .optional(),
  /** What holds for addresses, by match: `#`, `orders.*`. */
  addressSettings: addressSettings.optional(),
  diverts: diverts.optional(),
  /** What makes it one member of a replication group. Default: it is alone. */
  group: group.optional(),
  /** What operators and their programs may ask over HTTP. Default: nothing. */
  monitor: z
    .strictObject({
      /** Where it listens. Everybody who gets there may read. */
      url: leaf(monitorUrlForms, (value) =>
        typeof value === "string" ? parseMonitorUrl(value) : undefined,
      ),
      /** Who gives it may have a live hand over. Default: nobody may. */
      token: text("the monitor's token, which nobody can guess").optional(),
    })
    .optional(),
  security: z
    .strictObject({
      users: z.record(z.string(), user).optional(),
      /** Default `everhold-users.yaml` beside the configuration, if there is one. */
      usersFile: text("a file that `everhold user` writes").optional(),
      /** Whether those may come in who give no name; without users, whether everybody may from anywhere. */
      allowAnonymous: flag().optional(),
    })
    .optional(),
  log: z
    .strictObject({
      level: choice(["debug", "info", "warn", "error"]).optional(),
      format: choice(["human", "json"]).optional(),
    })
    .optional(),
});

/** What a valid configuration says, with units resolved. */
export type ConfigDocument = z.output<typeof configSchema>;

/** The keys that the configuration allows in the map at `path`; none for maps whose keys are names. */
export function allowedKeysAt(path: ConfigPath): readonly string[] {
  let schema: unknown = configSchema;
  for (const key of path) {
    schema = unwrap(schema);
    if (schema instanceof z.ZodObject) schema = shapeOf(schema)[key];
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else return [];
  }
  schema = unwrap(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema;
}

function shapeOf(schema: z.ZodObject): Readonly<Record<string, unknown>> {
  return schema.shape;
}
