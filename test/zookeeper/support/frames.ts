import { Ensemble } from "./ensemble.ts";
import type { ZooKeeperVersion } from "./class-path.ts";
import { buffer, handshakeRequest, int, long, RawZooKeeper } from "./raw-zookeeper.ts";

/** What was sent and what came, each a frame without its length. */
export interface Exchange {
  readonly name: string;
  readonly request: Buffer;
  /** A notification first, where one came before the answer. */
  readonly replies: readonly Buffer[];
}

/** One request of the conversation: its number, or a reserved one, its operation, its body. */
interface Step {
  readonly name: string;
  readonly xid?: number;
  readonly operation: number;
  readonly body?: Buffer;
  /** Frames that come. Default 1. */
  readonly replyCount?: number;
}

const yes = Uint8Array.of(1);
const no = Uint8Array.of(0);
const any = int(-1);
const nothing = int(0);
const bytes = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);
const acl = bytes(int(1), int(31), buffer("world"), buffer("anyone"));
const node = (path: string, data: string | null, flags: number): Buffer =>
  bytes(buffer(path), buffer(data), acl, int(flags));
const part = (operation: number, ...body: readonly Uint8Array[]): Buffer =>
  bytes(int(operation), no, any, ...body);
const end = bytes(any, yes, any);
const texts = (...items: readonly string[]): Buffer =>
  bytes(int(items.length), ...items.map((item) => buffer(item)));

/** Every operation a client has, in an order in which each has something to say. */
const steps: readonly Step[] = [
  { name: "ping", xid: -2, operation: 11 },
  {
    name: "auth digest",
    xid: -4,
    operation: 100,
    body: bytes(nothing, buffer("digest"), buffer("u:p")),
  },
  { name: "whoAmI", operation: 107 },
  { name: "create", operation: 1, body: node("/a", "data", 0) },
  { name: "create2", operation: 15, body: node("/a/b", "", 0) },
  { name: "create2 with null data", operation: 15, body: node("/a/null", null, 0) },
  { name: "create2 ephemeral", operation: 15, body: node("/a/mine", "x", 1) },
  { name: "create2 sequential", operation: 15, body: node("/a/s-", "x", 2) },
  { name: "create2 where one is", operation: 15, body: node("/a", "x", 0) },
  {
    name: "create2 without acl",
    operation: 15,
    body: bytes(buffer("/n"), buffer("x"), int(0), int(0)),
  },
  { name: "createContainer", operation: 19, body: node("/container", "x", 4) },
  { name: "createTTL", operation: 21, body: bytes(node("/ttl", "x", 5), long(60_000n)) },
  { name: "exists", operation: 3, body: bytes(buffer("/a"), no) },
  { name: "exists without node, watched", operation: 3, body: bytes(buffer("/later"), yes) },
  { name: "getData", operation: 4, body: bytes(buffer("/a"), yes) },
  { name: "getData of null", operation: 4, body: bytes(buffer("/a/null"), no) },
  { name: "getData of empty", operation: 4, body: bytes(buffer("/a/b"), no) },
  { name: "getData without node", operation: 4, body: bytes(buffer("/none"), yes) },
  {
    name: "setData, watched",
    operation: 5,
    body: bytes(buffer("/a"), buffer("new"), int(0)),
    replyCount: 2,
  },
  {
    name: "setData with another version",
    operation: 5,
    body: bytes(buffer("/a"), buffer("new"), int(7)),
  },
  { name: "getACL", operation: 6, body: buffer("/a") },
  {
    name: "setACL",
    operation: 7,
    body: bytes(buffer("/a/b"), int(1), int(31), buffer("auth"), buffer(""), any),
  },
  { name: "getACL of digest", operation: 6, body: buffer("/a/b") },
  { name: "getChildren", operation: 8, body: bytes(buffer("/a"), no) },
  { name: "getChildren2", operation: 12, body: bytes(buffer("/a"), yes) },
  { name: "delete, watched", operation: 2, body: bytes(buffer("/a/null"), any), replyCount: 2 },
  { name: "delete with children", operation: 2, body: bytes(buffer("/a"), any) },
  { name: "sync", operation: 9, body: buffer("/a") },
  { name: "addWatch persistent", operation: 106, body: bytes(buffer("/p"), int(0)) },
  { name: "addWatch recursive", operation: 106, body: bytes(buffer("/r"), int(1)) },
  { name: "create2, watched for ever", operation: 15, body: node("/p", "x", 0), replyCount: 2 },
  { name: "create2, watched recursively", operation: 15, body: node("/r", "x", 0), replyCount: 2 },
  { name: "checkWatches", operation: 17, body: bytes(buffer("/later"), int(2)) },
  { name: "removeWatches", operation: 18, body: bytes(buffer("/later"), int(2)) },
  { name: "removeWatches where none is", operation: 18, body: bytes(buffer("/later"), int(2)) },
  {
    name: "multi",
    operation: 14,
    body: bytes(
      part(13, buffer("/a"), any),
      part(15, node("/m", "x", 0)),
      part(5, buffer("/m"), buffer("y"), int(0)),
      part(2, buffer("/m"), int(1)),
      part(1, node("/m1", "x", 0)),
      end,
    ),
  },
  {
    name: "multi that fails at its second",
    operation: 14,
    body: bytes(
      part(1, node("/f", "x", 0)),
      part(13, buffer("/none"), any),
      part(2, buffer("/a"), any),
      end,
    ),
  },
  { name: "multi of nothing", operation: 14, body: end },
  {
    name: "multiRead",
    operation: 22,
    body: bytes(
      part(4, buffer("/a"), no),
      part(8, buffer("/a"), no),
      part(4, buffer("/none"), no),
      end,
    ),
  },
  {
    name: "setWatches",
    xid: -8,
    operation: 101,
    body: bytes(long(0xffffffffn), texts("/a"), texts("/none"), texts("/r")),
  },
  {
    name: "setWatches2",
    xid: -8,
    operation: 105,
    body: bytes(long(0xffffffffn), texts("/a"), texts(), texts(), texts("/p"), texts("/r")),
  },
  {
    name: "setWatches2 that catches up",
    xid: -8,
    operation: 105,
    body: bytes(long(1n), texts("/ttl"), texts(), texts(), texts(), texts()),
    replyCount: 2,
  },
  { name: "getEphemerals", operation: 103, body: buffer("/a") },
  { name: "getAllChildrenNumber", operation: 104, body: buffer("/a") },
  {
    name: "getData of the configuration",
    operation: 4,
    body: bytes(buffer("/zookeeper/config"), no),
  },
  {
    name: "reconfig",
    operation: 16,
    body: bytes(buffer(null), buffer("9"), buffer(null), long(-1n)),
  },
  { name: "sasl where none is set up", operation: 102, body: buffer("") },
  { name: "closeSession", operation: -11 },
];

/** Holds the conversation with a fresh server that stands alone. */
export async function recordFrames(version: ZooKeeperVersion): Promise<Exchange[]> {
  await using ensemble = await Ensemble.start({
    version,
    size: 1,
    javaArguments: ["-Dzookeeper.extendedTypesEnabled=true"],
  });
  const port = ensemble.servers[0]?.clientPort ?? 0;
  using connection = await RawZooKeeper.connect(port);
  const answer = await connection.handshake(4000);
  const exchanges: Exchange[] = [
    { name: "handshake", request: handshakeRequest(4000), replies: [answer] },
  ];
  for (const [index, step] of steps.entries()) {
    const { name, operation, xid = index + 1, body = empty, replyCount = 1 } = step;
    const request = bytes(int(xid), int(operation), body);
    connection.sendFrame(request);
    const replies: Buffer[] = [];
    while (replies.length < replyCount) replies.push(await connection.nextFrame());
    exchanges.push({ name, request, replies });
  }

  const unknown = { sessionId: 0x123456789abcdefn, password: new Uint8Array(16) };
  using late = await RawZooKeeper.connect(port);
  exchanges.push({
    name: "handshake for a session that has ended",
    request: handshakeRequest(4000, unknown),
    replies: [await late.handshake(4000, unknown)],
  });
  await late.closed();
  exchanges.push(
    await lastWords(
      port,
      "auth of an unknown scheme",
      -4,
      100,
      bytes(nothing, buffer("x"), buffer("y")),
    ),
  );
  exchanges.push(await lastWords(port, "an operation that no server knows", 1, 77));
  return exchanges;
}

/** A request after which a server closes the connection. */
async function lastWords(
  port: number,
  name: string,
  xid: number,
  operation: number,
  body: Buffer = empty,
): Promise<Exchange> {
  using connection = await RawZooKeeper.connect(port);
  await connection.handshake(4000);
  const request = bytes(int(xid), int(operation), body);
  connection.sendFrame(request);
  const replies = [await connection.nextFrame()];
  await connection.closed();
  return { name, request, replies };
}

const empty = Buffer.alloc(0);

/** As text: a line `# name`, then `> hex` for what was sent and `< hex` for each frame that came. */
export function framesText(exchanges: readonly Exchange[]): string {
  return exchanges
    .map(({ name, request, replies }) => {
      const came = replies.map((reply) => `< ${reply.toString("hex")}\n`);
      return `# ${name}\n> ${request.toString("hex")}\n${came.join("")}`;
    })
    .join("");
}
