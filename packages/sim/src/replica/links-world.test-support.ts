import type { Endpoint, Ports } from "@everhold/env";
import type { Frame } from "@everhold/group";
import { type LinksListener, openLinks, type OpenLinks } from "@everhold/replica";
import { SimDisk } from "../disk/sim-disk.ts";
import { type SimNetwork } from "../network/sim-network.ts";
import { Machine } from "../world/machine.ts";
import { type World } from "../world/world.ts";

/** What came over one link at one member: positions in order, and how it was linked. */
interface Heard {
  readonly id: string;
  readonly outgoing: boolean;
  next: number;
  isOver: boolean;
}

const secret = new TextEncoder().encode("the secret of a simulated group");

/** A member on a machine, which may be killed and started again. It checks all that it is told. */
export class SimMember implements LinksListener {
  readonly id: string;
  readonly machine: Machine;
  readonly heard = new Map<number, Heard>();
  /** Where what is sent goes on, by link. */
  readonly sent = new Map<number, number>();
  frameCount = 0;
  unreachableCount = 0;
  #world: World;
  #links: OpenLinks | undefined;

  constructor(world: World, network: SimNetwork, id: string) {
    this.id = id;
    this.#world = world;
    const scheduler = {
      after: (ms: number, task: () => void) => world.after(ms, id, "disk", task),
    };
    const disk = new SimDisk({ seed: 1, scheduler });
    this.machine = new Machine({ world, network, name: id, disk });
  }

  /** Begins; whom to follow is told at once. */
  start(follows: string | null): void {
    const ports: Ports = this.machine.start();
    const { macs } = ports;
    if (macs === undefined) throw new Error("the world has no proofs");
    this.heard.clear();
    this.sent.clear();
    const options = { groupId: "g", id: this.id, secret, endpoint: at(this.id), addressOf: at };
    openLinks({ ...ports, macs }, options, this).then(
      (links) => {
        this.#links = links;
        links.follow(follows);
      },
      (error: unknown) => this.#fail(String(error)),
    );
  }

  /** Ends without a word. */
  kill(): void {
    this.#links = undefined;
    this.machine.crash({ power: false });
  }

  get openLinks(): number[] {
    return [...this.heard].filter(([, { isOver }]) => !isOver).map(([link]) => link);
  }

  follow(id: string | null): void {
    this.#links?.follow(id);
  }

  disconnect(link: number): void {
    this.#links?.disconnect(link);
  }

  /** Sends the next pieces on each link that is open. */
  send(count: number, sizeOf: () => number): void {
    for (const link of this.openLinks) {
      let position = this.sent.get(link) ?? 0;
      for (let index = 0; index < count; index += 1) {
        this.#links?.send(link, pieceAt(position, sizeOf()));
        position += 1;
      }
      this.sent.set(link, position);
    }
  }

  onConnected(link: number, id: string, outgoing: boolean): void {
    if (this.heard.has(link)) this.#fail(`link ${link} was told twice`);
    this.heard.set(link, { id, outgoing, next: 0, isOver: false });
  }

  onFrame(link: number, frame: Frame): void {
    const heard = this.heard.get(link);
    if (heard === undefined || heard.isOver) return this.#fail(`a frame on link ${link}`);
    if (frame.kind !== "append") return this.#fail(`a frame of kind ${frame.kind}`);
    const { position, piece } = frame;
    if (position !== heard.next) this.#fail(`piece ${position} came, expected ${heard.next}`);
    if (!piece.every((byte) => byte === position % 251)) this.#fail("a piece was altered");
    heard.next += 1;
    this.frameCount += 1;
  }

  onDrained(link: number): void {
    if (!this.heard.has(link)) this.#fail(`link ${link} drained, which nobody knows`);
  }

  onDisconnected(link: number): void {
    const heard = this.heard.get(link);
    if (heard === undefined || heard.isOver) return this.#fail(`link ${link} ended twice`);
    heard.isOver = true;
  }

  onUnreachable(): void {
    this.unreachableCount += 1;
  }

  #fail(message: string): void {
    this.#world.fail(this.id, new Error(message));
  }
}

function at(id: string): Endpoint {
  return { host: id, port: 7800 };
}

function pieceAt(position: number, size: number): Frame {
  return {
    kind: "append",
    epoch: 1,
    position,
    end: position + 1,
    chain: "0011223344556677",
    commitPosition: 0,
    piece: new Uint8Array(size).fill(position % 251),
  };
}
