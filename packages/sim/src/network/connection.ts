import type { Prng } from "@everhold/base";
import type { Life } from "../world/life.ts";
import type { World } from "../world/world.ts";
import { Pipe, type PipeOptions } from "./pipe.ts";
import { SimLink, type LinkOwner } from "./sim-link.ts";

/** One end of a connection to be. */
export interface EndOptions {
  /** The machine it is on. */
  readonly machine: string;
  readonly life: Life;
}

/** How a {@link Connection} is made. */
export interface ConnectionOptions {
  readonly world: World;
  readonly prng: Prng;
  readonly name: string;
  readonly latencyMs: () => number;
  readonly client: EndOptions;
  readonly server: EndOptions;
  /** As shown to the client. */
  readonly serverPeer: string;
}

/** A connection between two machines: two links, two pipes, and what may go wrong with them. */
export class Connection implements LinkOwner {
  readonly clientLink: SimLink;
  readonly serverLink: SimLink;
  readonly #options: ConnectionOptions;
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  readonly #dropped = new Set<Pipe>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { client, server, name } = options;
    this.clientLink = new SimLink(options.serverPeer, client.life, this);
    this.serverLink = new SimLink(`${client.machine}:${name}`, server.life, this);
    const common: Pick<PipeOptions, "world" | "prng" | "latencyMs"> = options;
    this.#toServer = new Pipe({
      ...common,
      name: `${name} >`,
      writer: this.clientLink,
      reader: this.serverLink,
    });
    this.#toClient = new Pipe({
      ...common,
      name: `${name} <`,
      writer: this.serverLink,
      reader: this.clientLink,
    });
    this.clientLink.join(this.#toServer, this.#toClient);
    this.serverLink.join(this.#toClient, this.#toServer);
  }

  /** Whether at least one end believes that it is open. */
  get open(): boolean {
    return this.#believes("client") || this.#believes("server");
  }

  /** Whether it begins or ends at `machine`. */
  touches(machine: string): boolean {
    return this.#options.client.machine === machine || this.#options.server.machine === machine;
  }

  /**
   * The cable is cut: what is on its way is lost. Each end hears of it at a time of its own, and now and
   * then one end does not hear of it at all.
   */
  cut(): void {
    const { prng } = this.#options;
    this.#toServer.freeze();
    this.#toClient.freeze();
    const deafEnd = prng.chance(0.3) ? prng.pick([this.clientLink, this.serverLink]) : undefined;
    for (const link of [this.clientLink, this.serverLink]) {
      if (link !== deafEnd) this.#breakLater(link, prng.fraction() * 200, "connection reset");
    }
  }

  /** Holds up one direction for a while. */
  stall(direction: "toServer" | "toClient", durationMs: number): void {
    (direction === "toServer" ? this.#toServer : this.#toClient).stall(durationMs);
  }

  /** Nothing arrives in one direction any more, not even its end, and nobody is told; the other goes on. */
  drop(direction: "toServer" | "toClient"): void {
    const pipe = direction === "toServer" ? this.#toServer : this.#toClient;
    pipe.freeze();
    this.#dropped.add(pipe);
  }

  /** Holds up both directions for a while. */
  stallBoth(durationMs: number): void {
    this.#toServer.stall(durationMs);
    this.#toClient.stall(durationMs);
  }

  /**
   * One of the machines has died. After kill -9 its system sends what it had taken and closes; after a
   * loss of power the peer gets nothing, until the machine is back and answers with a reset.
   */
  machineDied(machine: string, power: boolean, isBack: () => boolean): void {
    const clientDied = this.#options.client.machine === machine && !this.#options.client.life.alive;
    const [dead, survivor] = clientDied
      ? [this.#toServer, this.serverLink]
      : [this.#toClient, this.clientLink];
    if (!power) {
      this.#closeTowards(dead, survivor);
      return;
    }
    dead.freeze();
    this.#resetWhenBack(survivor, isBack);
  }

  onDestroyed(end: SimLink): void {
    const [outgoing, peer] =
      end === this.clientLink
        ? [this.#toServer, this.serverLink]
        : [this.#toClient, this.clientLink];
    this.#closeTowards(outgoing, peer);
  }

  onFinished(end: SimLink): void {
    const peer = end === this.clientLink ? this.serverLink : this.clientLink;
    if (!peer.closed) return;
    this.#toServer.break();
    this.#toClient.break();
  }

  #believes(end: "client" | "server"): boolean {
    const link = end === "client" ? this.clientLink : this.serverLink;
    return this.#options[end].life.alive && !link.closed;
  }

  /** Whoever closes without reading everything resets the connection; else it ends in order. */
  #closeTowards(outgoing: Pipe, peer: SimLink): void {
    if (this.#dropped.has(outgoing) || this.#options.prng.chance(0.5)) {
      outgoing.abandon();
      return;
    }
    outgoing.break();
    this.#breakLater(peer, this.#options.latencyMs(), "connection reset by peer");
  }

  /** A system that knows nothing of a connection answers the next byte on it with a reset. */
  #resetWhenBack(survivor: SimLink, isBack: () => boolean): void {
    const { world, prng, name } = this.#options;
    world.after(1000 + prng.fraction() * 1000, name, "retransmits", () => {
      if (!this.open) return;
      const unread = survivor === this.clientLink ? this.#toServer : this.#toClient;
      if (isBack() && unread.unreadBytes > 0) survivor.breakWith("connection reset by peer");
      else this.#resetWhenBack(survivor, isBack);
    });
  }

  #breakLater(link: SimLink, delayMs: number, reason: string): void {
    const { world, name } = this.#options;
    world.after(delayMs, name, "breaks", () => link.breakWith(reason));
  }
}
