import { resolve } from "node:path";

import type { Connector } from "@everhold/broker";
import type { Endpoint } from "@everhold/env";
import type { GroupOptions } from "@everhold/member";
import { z } from "zod";

import { acceptorTls } from "./acceptor-tls.ts";
import {
  acceptorUrlForms,
  formatAcceptorUrl,
  isWildcardHost,
  parseAcceptorUrl,
  parseConnectorUrl,
} from "./acceptor-url.ts";
import { configError } from "./config-error.ts";
import { duration, flag, integer, leaf, text } from "./leaves.ts";
import { originOf, type LocatedTree } from "./located-tree.ts";
import type { ConfigDocument } from "./schema.ts";
import { tls } from "./tls.ts";

const time = (): z.ZodType<number> => duration({ min: 10, max: 600_000 }, "from 10ms to 10m");

/** `group`: what makes a broker one member of a replication group. */
export const group = z.strictObject({
  /** The group's name, the same for all members. */
  name: text("the group's name"),
  /** This member's own name. */
  member: text("this member's name"),
  /** Whether it founds the group, as the first member, where there is none yet. One member is told so. */
  founds: flag().optional(),
  /** What all members know and nobody else. */
  secret: text("the group's secret, at least 16 characters that nobody can guess"),
  /** Where it listens for the other members. */
  links: z.strictObject({
    url: leaf(acceptorUrlForms, (value) =>
      typeof value === "string" ? parseAcceptorUrl(value) : undefined,
    ),
    tls: tls.optional(),
    /** Where the others reach it. Default: where it listens. */
    announce: leaf(
      "host:port at which the other members reach this one, such as anna.example:61700",
      (value) => (typeof value === "string" && isPlace(value) ? value : undefined),
    ).optional(),
  }),
  /** Members that must have what is committed; said once, by who founds. */
  minInSync: integer({ min: 1, max: 16 }).optional(),
  /** Who settles who leads: ZooKeeper … */
  zookeeper: z
    .strictObject({
      servers: text("ZooKeeper servers such as zk-1:2181,zk-2:2181,zk-3:2181/chroot"),
      sessionTimeout: duration({ min: 1_000, max: 600_000 }, "from 1s to 10m").optional(),
      user: text("a user of the scheme digest").optional(),
      password: text("the user's password").optional(),
    })
    .optional(),
  /** … or a folder, for members that are all on one machine. */
  folder: text("a folder that the members on this machine share, and nothing else").optional(),
  /** The same for all members. */
  timing: z
    .strictObject({
      beat: time().optional(),
      lease: time().optional(),
      grace: time().optional(),
      missing: time().optional(),
      lag: time().optional(),
      steady: time().optional(),
      hung: time().optional(),
      handOver: time().optional(),
    })
    .optional(),
});

/** How the group's members find out who leads. */
export type Settling =
  | {
      readonly kind: "zookeeper";
      readonly servers: string;
      readonly sessionTimeoutMs: number | undefined;
      readonly login: { readonly user: string; readonly password: string } | undefined;
    }
  | { readonly kind: "folder"; readonly folder: string };

/** A member, as the configuration says it. */
export interface ResolvedGroup {
  readonly name: string;
  readonly settling: Settling;
  /** Where clients reach it while it leads. */
  readonly connector: Connector;
  readonly options: GroupOptions;
}

/**
 * What `group` says, complete. Relative names are relative to the file that says them.
 *
 * @throws EverholdError EVH_CONFIG
 */
export function groupOf(
  tree: LocatedTree,
  document: ConfigDocument,
  first: Endpoint,
): ResolvedGroup | undefined {
  const said = document.group;
  if (said === undefined) return undefined;
  const where = (...path: string[]): string | undefined =>
    originOf(tree, ["group", ...path])?.label;
  const secret = new TextEncoder().encode(said.secret);
  if (secret.length < 16 || secret.length > 1024) {
    throw configError(
      where("secret"),
      `group.secret: found ${secret.length} bytes, expected 16 to 1024, the same for all members`,
    );
  }
  const { timing = {} } = said;
  const links = linksOf(tree, said.links);
  if (isWildcardHost(links.host) && said.links.announce === undefined) {
    throw configError(
      where("links", "url"),
      `group.links.announce: found nothing, expected host:port at which the other members reach this one, since it ` +
        `listens at ${formatAcceptorUrl(links)}`,
    );
  }
  const { connector } = document;
  if (connector === undefined && isWildcardHost(first.host)) {
    throw configError(
      where(),
      "connector: found nothing, expected the URL at which clients reach this member while it leads, since it listens " +
        `at ${formatAcceptorUrl(first)}`,
    );
  }
  if (connector === undefined && first.port === 0) {
    throw configError(
      where(),
      `connector: found nothing, expected the URL at which clients reach this member while it leads, since the system ` +
        `chooses the port of ${formatAcceptorUrl(first)}`,
    );
  }
  const clients = connector ?? first;
  const host = clients.host.includes(":") ? `[${clients.host}]` : clients.host;
  return {
    name: said.name,
    settling: settlingOf(tree, said),
    connector: connector ?? { host: first.host, port: first.port, tls: first.tls !== undefined },
    options: {
      id: said.member,
      founds: said.founds ?? false,
      secret,
      links,
      clients: `${host}:${clients.port}`,
      ...(said.links.announce === undefined ? {} : { replication: said.links.announce }),
      ...(said.minInSync === undefined ? {} : { minInSync: said.minInSync }),
      timing: {
        ...(timing.beat === undefined ? {} : { beatMs: timing.beat }),
        ...(timing.lease === undefined ? {} : { leaseMs: timing.lease }),
        ...(timing.grace === undefined ? {} : { graceMs: timing.grace }),
        ...(timing.missing === undefined ? {} : { missingMs: timing.missing }),
        ...(timing.lag === undefined ? {} : { lagMs: timing.lag }),
        ...(timing.steady === undefined ? {} : { steadyMs: timing.steady }),
        ...(timing.hung === undefined ? {} : { hungMs: timing.hung }),
        ...(timing.handOver === undefined ? {} : { handOverMs: timing.handOver }),
      },
    },
  };
}

/** Whether somebody can be reached at this `host:port`. */
function isPlace(place: string): boolean {
  return parseConnectorUrl(`tcp://${place}`) !== undefined;
}

type SaidGroup = z.output<typeof group>;

function linksOf(tree: LocatedTree, said: SaidGroup["links"]): Endpoint {
  const { host, port, asksForTls } = said.url;
  const origin = originOf(tree, ["group", "links", said.tls === undefined ? "url" : "tls"]);
  if (said.tls !== undefined) {
    return { host, port, tls: acceptorTls(said.tls, "group.links.tls", origin) };
  }
  if (!asksForTls) return { host, port };
  throw configError(
    origin?.label,
    "group.links.url: found TLS without a certificate, expected group.links.tls with cert, key and ca",
  );
}

function settlingOf(tree: LocatedTree, said: SaidGroup): Settling {
  const { zookeeper, folder } = said;
  const origin = originOf(tree, ["group"]);
  if ((zookeeper === undefined) === (folder === undefined)) {
    const found = zookeeper === undefined ? "neither" : "both";
    throw configError(
      origin?.label,
      `group: found ${found} of zookeeper and folder, expected one: what settles who leads`,
    );
  }
  if (folder !== undefined) {
    return {
      kind: "folder",
      folder: resolve(originOf(tree, ["group", "folder"])?.folder ?? ".", folder),
    };
  }
  const { servers = "", sessionTimeout, user, password } = zookeeper ?? {};
  if ((user === undefined) !== (password === undefined)) {
    throw configError(
      origin?.label,
      "group.zookeeper: found one of user and password, expected both or none",
    );
  }
  const login = user === undefined || password === undefined ? undefined : { user, password };
  return { kind: "zookeeper", servers, sessionTimeoutMs: sessionTimeout, login };
}
