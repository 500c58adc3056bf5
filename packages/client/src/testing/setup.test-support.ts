import { TestWorld } from "@everhold/test-world";
import type { Connection } from "../api/connection.ts";
import { connect } from "../connect.ts";
import type { ConnectOptions } from "../options.ts";
import { TestBroker } from "./test-broker.test-support.ts";

/** A world with a broker, and a connection to it. */
export interface Setup {
  readonly world: TestWorld;
  readonly broker: TestBroker;
  readonly connection: Connection;
}

/** Connects to a fresh broker. `prepare` changes it before. */
export async function setUp(
  options: ConnectOptions = {},
  prepare: (broker: TestBroker) => void = () => undefined,
): Promise<Setup> {
  const world = new TestWorld();
  const broker = new TestBroker(world);
  prepare(broker);
  const connection = await world.now(connect(world.ports, "tcp://broker:61616", options));
  broker.received.length = 0;
  return { world, broker, connection };
}

/** The broker takes what is sent and dies before anybody has answered; then it is there again. */
export async function loseReply({ world, broker }: Setup): Promise<void> {
  broker.rule = ({ name, channelId, value }) => {
    if (name !== "SESS_SEND") return "usual";
    const session = broker.sessions.find((one) => one.channelId === channelId);
    session?.confirm(Number(value["correlationId"]));
    return "drop";
  };
  await world.settle();
  broker.rule = () => "usual";
  broker.kill();
  for (const [name, queue] of broker.queues) if (queue.temporary) broker.queues.delete(name);
  await world.settle();
  broker.start();
  await world.advance(1000);
}
