import { TestWorld } from "@everhold/test-world";
import { type ByteReader, type ByteWriter, writeValue } from "@everhold/wire";
import { operations, type Operation } from "../protocol/operations.ts";
import { pathOnly } from "../protocol/records.ts";
import type { RequestSpec } from "../session/request.ts";
import { noWatches, type WatchHost } from "../session/session-hooks.ts";
import type { SessionSettings } from "../session/session-settings.ts";
import { Session } from "../session/session.ts";
import type { SessionEvent } from "../session/states.ts";
import { TestEnsemble } from "./test-ensemble.test-support.ts";

/** A session in a world with an ensemble, and what it told. */
export interface Setup {
  readonly world: TestWorld;
  readonly ensemble: TestEnsemble;
  readonly session: Session;
  readonly events: SessionEvent[];
}

/** How a test's session differs from the usual one. */
export interface SetupOptions {
  readonly hosts?: readonly string[];
  readonly settings?: Partial<SessionSettings>;
  readonly watches?: WatchHost;
  readonly seed?: number;
  /** Changes the ensemble before anybody connects. */
  readonly prepare?: (ensemble: TestEnsemble, world: TestWorld) => void;
}

/** A session timeout of 6 s: pings after 2 s, silence noticed after 4 s. */
export const timeoutMs = 6000;

/** Makes a session that has begun to connect. */
export async function begin(options: SetupOptions = {}): Promise<Setup> {
  const { hosts = ["a", "b", "c"], settings, watches = noWatches, prepare } = options;
  const world = new TestWorld(options.seed);
  const ensemble = new TestEnsemble(world, hosts);
  prepare?.(ensemble, world);
  const session = new Session({
    ports: world.ports,
    watches,
    settings: {
      servers: hosts.map((host) => ({ host, port: 2181 })),
      sessionTimeoutMs: timeoutMs,
      requestBytesMax: 1_048_575,
      replyBytesMax: 16 * 1024 * 1024,
      auths: [],
      sasl: undefined,
      onRolledBack: "wait",
      ...settings,
    },
  });
  const events: SessionEvent[] = [];
  session.listen((event) => void events.push(event));
  session.start();
  await world.settle();
  return { world, ensemble, session, events };
}

/** Makes a session that is connected. */
export async function setUp(options: SetupOptions = {}): Promise<Setup> {
  const setup = await begin(options);
  await setup.world.now(setup.session.ready());
  setup.ensemble.received.length = 0;
  return setup;
}

/** A request that gives back what its answer's body holds. */
export function requestOf(
  path = "/node",
  operation: Operation = operations.delete,
): RequestSpec<number> {
  return {
    operation,
    path,
    encode: (writer: ByteWriter) => writeValue(pathOnly, writer, { path }),
    decode: (reader: ByteReader) => (reader.remaining >= 4 ? reader.i32() : 0),
  };
}

/** No time limit. */
export const forever = { deadlineMs: Infinity } as const;

/** The types of the events so far. */
export function typesOf(events: readonly SessionEvent[]): string[] {
  return events.map(({ type }) => type);
}
