import { childOf, type ZooKeeper } from "@everhold/zookeeper";

import type { ZooKeeperVersion } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { RawZooKeeper } from "../support/raw-zookeeper.ts";
import { connectTo } from "../support/clients.ts";
import { root } from "./program-values.ts";
import type { Target, Wire } from "./wire.ts";

/** Who may do everything on the servers that programs run on. */
const superLogin = "super:secret";
const superDigest = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/** Real servers. */
export class RealTarget implements Target, AsyncDisposable {
  readonly name: string;
  readonly #ensemble: Ensemble;
  readonly #client: ZooKeeper;
  /** The leader's first. */
  readonly #ports: readonly number[];

  private constructor(ensemble: Ensemble, client: ZooKeeper, ports: readonly number[]) {
    this.#ensemble = ensemble;
    this.#client = client;
    this.#ports = ports;
    this.name = `ZooKeeper ${ensemble.version}`;
  }

  static async start(version: ZooKeeperVersion, size: number): Promise<RealTarget> {
    const javaArguments = [
      "-Dzookeeper.extendedTypesEnabled=true",
      `-Dzookeeper.DigestAuthenticationProvider.superDigest=${superDigest}`,
      // Nothing happens that no step does: it looks for containers once in an hour.
      "-Dznode.container.checkIntervalMs=3600000",
    ];
    const ensemble = await Ensemble.start({
      ...{ version, size, javaArguments },
      // Servers that stand still for seconds on a busy machine choose no other leader.
      properties: { tickTime: 3000 },
    });
    try {
      const auth = { scheme: "digest", auth: superLogin };
      const servers = [await ensemble.leader(), ...(await ensemble.followers())];
      const ports = servers.map(({ clientPort }) => clientPort);
      return new RealTarget(ensemble, await connectTo(ensemble.connectString, { auth }), ports);
    } catch (error) {
      await ensemble[Symbol.asyncDispose]();
      throw error;
    }
  }

  get serverCount(): number {
    return this.#ports.length;
  }

  async connect(server: number): Promise<Wire> {
    const connection = await RawZooKeeper.connect(this.#ports[server] ?? 0);
    return {
      send: (frame) => connection.sendFrame(frame),
      next: () => connection.frameOrEnd(),
      drop: () => connection[Symbol.dispose](),
    };
  }

  async cleanUp(): Promise<void> {
    await this.#delete(root);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
    await this.#ensemble[Symbol.asyncDispose]();
  }

  async #delete(path: string): Promise<void> {
    if ((await this.#client.exists(path)) === null) return;
    const { children } = await this.#client.getChildren(path);
    for (const child of children) await this.#delete(childOf(path, child));
    await this.#client.delete(path, { ifExists: true });
  }
}
