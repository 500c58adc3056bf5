import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { freePorts } from "#free-port";

import { classPathOf, type ZooKeeperVersion } from "./class-path.ts";
import { TemporaryFolder } from "./folders.ts";
import { FreezingProxy } from "./freezing-proxy.ts";
import { Owned } from "./owned.ts";
import { until } from "./until.ts";
import { PortTakenError, ZooKeeperServer, type ServerOptions } from "./zookeeper-server.ts";

export interface EnsembleOptions extends Pick<
  ServerOptions,
  "version" | "javaArguments" | "files"
> {
  /** Default 3; 1 is a server that stands alone. */
  readonly size?: number;
  /** Lines of `zoo.cfg`, of every server or of one by its number. */
  readonly properties?:
    | ServerOptions["properties"]
    | ((id: number) => NonNullable<ServerOptions["properties"]>);
  /** Whether every server has a port for TLS as well; `properties` and `files` say with what. Default false. */
  readonly isSecure?: boolean;
  /** Whether followers reach their leader through proxies that {@link Ensemble.cutOff} freezes. Default false. */
  readonly canBeCut?: boolean;
  /** Whether its configuration says where clients reach each server. Default false. */
  readonly tellsClients?: boolean;
  /** Where its ports come from. Default {@link freePorts}. */
  readonly findPorts?: typeof freePorts;
}

/** How often an ensemble is made anew because somebody else was quicker at one of its ports. */
const attemptsMax = 5;

/** As long as a server tries by itself to reach the one that it follows. */
const followingPatienceMs = 5_000;

/** Servers that were told of each other, on 127.0.0.1, with their data in a folder that goes with them. */
export class Ensemble implements AsyncDisposable {
  readonly version: ZooKeeperVersion;
  readonly servers: readonly ZooKeeperServer[];
  /** Those that are not over, and those that went since {@link forgetOver}. */
  static readonly recent: Ensemble[] = [];
  readonly #owned: Owned;
  /** Whether its servers are gone for good; then what they were. */
  #isOver: string | undefined;
  /** From a server to another one's port for followers, by "from,to". */
  readonly #links: ReadonlyMap<string, FreezingProxy>;

  private constructor(
    servers: readonly ZooKeeperServer[],
    owned: Owned,
    links: ReadonlyMap<string, FreezingProxy>,
    version: ZooKeeperVersion,
  ) {
    this.servers = servers;
    this.version = version;
    this.#owned = owned;
    this.#links = links;
    Ensemble.recent.push(this);
  }

  /** Makes the servers, starts them, and returns when every one serves; on other ports where one was taken meanwhile. */
  static async start(options: EnsembleOptions): Promise<Ensemble> {
    for (let attempt = 1; ; attempt += 1) {
      const ensemble = await Ensemble.make(options);
      try {
        await ensemble.startAll();
        return ensemble;
      } catch (error) {
        await ensemble[Symbol.asyncDispose]();
        if (!(error instanceof PortTakenError) || attempt === attemptsMax) throw error;
      }
    }
  }

  /** Makes the servers; none runs. */
  static async make(options: EnsembleOptions): Promise<Ensemble> {
    // What it takes may be fetched first, for longer than free ports stay free.
    await classPathOf(options.version);
    const owned = new Owned();
    try {
      return await Ensemble.#makeIn(owned, options);
    } catch (error) {
      await owned[Symbol.asyncDispose]();
      throw error;
    }
  }

  static async #makeIn(owned: Owned, options: EnsembleOptions): Promise<Ensemble> {
    const { version, size = 3, properties = {}, javaArguments = [], files = {} } = options;
    const folder = owned.own(new TemporaryFolder());
    const ids = Array.from({ length: size }, (_, index) => index + 1);
    const ports = new Map<number, { client: number; quorum: number; election: number }>();
    const free = await (options.findPorts ?? freePorts)(4 * size);
    const nextPort = (): number => free.pop() ?? 0;
    for (const id of ids) {
      ports.set(id, { client: nextPort(), quorum: nextPort(), election: nextPort() });
    }
    const links = new Map<string, FreezingProxy>();
    for (const from of options.canBeCut === true ? ids : []) {
      for (const [to, { quorum }] of ports) {
        if (from === to) continue;
        const link = owned.own(await FreezingProxy.start(quorum));
        // Who is elected listens a little later, and who is turned away before that elects anew.
        link.patienceMs = followingPatienceMs;
        links.set(`${from},${to}`, link);
      }
    }
    const servers = ids.map((id) => {
      const own = join(folder.path, `server-${id}`);
      mkdirSync(own);
      const peers = [...ports].map(([peer, { quorum, election, client }]) => {
        const port = links.get(`${id},${peer}`)?.port ?? quorum;
        const forClients = options.tellsClients === true ? `;127.0.0.1:${client}` : "";
        return [`server.${peer}`, `127.0.0.1:${port}:${election}${forClients}`] as const;
      });
      return new ZooKeeperServer({
        version,
        folder: own,
        clientPort: ports.get(id)?.client ?? 0,
        javaArguments,
        files,
        ...(options.isSecure === true ? { secureClientPort: nextPort() } : {}),
        ...(size === 1 ? {} : { id }),
        properties: {
          ...(size === 1 ? {} : Object.fromEntries(peers)),
          ...(typeof properties === "function" ? properties(id) : properties),
        },
      });
    });
    for (const server of servers) owned.own(server);
    return new Ensemble(servers, owned, links, version);
  }

  /** `host:port` of every server, as a client is told. */
  get connectString(): string {
    return this.servers.map(({ address }) => address).join(",");
  }

  /** The same with the ports for TLS. */
  get secureConnectString(): string {
    return this.servers.map(({ securePort }) => `127.0.0.1:${securePort}`).join(",");
  }

  /** Starts those that do not run, and returns when every one serves. */
  async startAll(): Promise<void> {
    await Promise.all(
      this.servers.filter(({ isAlive }) => !isAlive).map((server) => server.start()),
    );
    await this.serves();
  }

  /** Returns when every server serves. */
  async serves(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.serves()));
  }

  /** The one that leads, or stands alone, when there is one. */
  async leader(): Promise<ZooKeeperServer> {
    return until("a server leads", async () => {
      for (const server of this.servers.filter(({ isAlive }) => isAlive)) {
        const mode = await server.mode();
        if (mode === "leader" || mode === "standalone") return server;
      }
      return undefined;
    });
  }

  /** Those that follow. */
  async followers(): Promise<ZooKeeperServer[]> {
    const leader = await this.leader();
    return this.servers.filter((server) => server !== leader && server.isAlive);
  }

  /** The server at a client's port. @throws Error when there is none */
  serverAt(clientPort: number): ZooKeeperServer {
    const server = this.servers.find((each) => each.clientPort === clientPort);
    if (server === undefined) throw new Error(`no server of this ensemble has port ${clientPort}`);
    return server;
  }

  /** The server that a session is connected to, as the servers say. */
  async serverOf(sessionId: bigint): Promise<ZooKeeperServer> {
    const id = BigInt.asUintN(64, sessionId).toString(16);
    return until(`session 0x${id} is at a server`, async () => {
      for (const server of this.servers.filter(({ isAlive }) => isAlive)) {
        if (new RegExp(`sid=0x0*${id},`).test(await server.command("cons"))) return server;
      }
      return undefined;
    });
  }

  /** Nothing passes between a follower and its leader any more; needs `canBeCut`. */
  cutOff(follower: ZooKeeperServer): void {
    for (const link of this.#linksOf(follower)) link.freeze();
  }

  /** A follower that was cut off hears of the others again. */
  rejoin(follower: ZooKeeperServer): void {
    // What was held back belongs to connections that the others may have given up.
    for (const link of this.#linksOf(follower)) {
      link.cut();
      link.thaw();
    }
  }

  /** Ends all in order; their data stay. */
  async stopAll(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  /** Ends all at once; their data stay. */
  async killAll(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver ??= await this.describe();
    await this.killAll();
    await this.#owned[Symbol.asyncDispose]();
  }

  /** Of each server what it is, and the end of its log; of one that is over what that was. */
  async describe(): Promise<string> {
    if (this.#isOver !== undefined) return this.#isOver;
    return (await Promise.all(this.servers.map((server) => server.describe()))).join("\n");
  }

  /** Forgets those of the {@link recent} that are over. */
  static forgetOver(): void {
    const left = Ensemble.recent.filter((ensemble) => ensemble.#isOver === undefined);
    Ensemble.recent.splice(0, Infinity, ...left);
  }

  #linksOf(follower: ZooKeeperServer): FreezingProxy[] {
    return [...this.#links].flatMap(([ends, link]) =>
      ends.split(",").includes(String(follower.id)) ? [link] : [],
    );
  }
}
