import type { Endpoint, LogFields } from "@everhold/env";
import type { Frame } from "@everhold/group";
import type { TestWorld } from "@everhold/test-world";
import type { LinksListener } from "../links.ts";
import { type LinksOptions, openLinks, type OpenLinks } from "./open-links.ts";

/** Where each member accepts: its name is its host. */
export function endpointOf(id: string): Endpoint {
  return { host: id, port: 7800 };
}

/** What all members of the group know. */
export const secret = new TextEncoder().encode("a secret of 16 bytes or more");

/** A member's links, and all that was told of them. */
export class TestMember implements LinksListener {
  readonly id: string;
  readonly connected: { readonly link: number; readonly id: string; readonly outgoing: boolean }[] =
    [];
  readonly frames: { readonly link: number; readonly frame: Frame }[] = [];
  readonly drained: number[] = [];
  readonly disconnected: number[] = [];
  readonly unreachable: string[] = [];
  /** Reasons in its log, in order, with who refused. */
  readonly refusals: string[] = [];
  /** Called for each frame before it is noted. */
  onEachFrame: (link: number, frame: Frame) => void = () => undefined;
  #links: OpenLinks | undefined;

  constructor(id: string) {
    this.id = id;
  }

  get links(): OpenLinks {
    if (this.#links === undefined) throw new Error(`${this.id} is not open`);
    return this.#links;
  }

  /** The link that was told last and is not gone. */
  get link(): number {
    const open = this.connected.filter(({ link }) => !this.disconnected.includes(link));
    const last = open.at(-1);
    if (last === undefined) throw new Error(`${this.id} has no link`);
    return last.link;
  }

  async open(world: TestWorld, options: Partial<LinksOptions> = {}): Promise<this> {
    const { macs, network, timers, monotonicClock, random } = world.ports;
    if (macs === undefined) throw new Error("the world has no proofs");
    const note = (_message: string, fields: LogFields = {}): void => {
      if (fields["reason"] !== undefined && fields["by"] !== undefined) {
        this.refusals.push(`${String(fields["reason"])} by ${String(fields["by"])}`);
      }
    };
    const log = { debug: note, info: note, warn: note, error: note };
    this.#links = await openLinks(
      { macs, network, timers, monotonicClock, random, log },
      {
        groupId: "g",
        id: this.id,
        secret,
        endpoint: endpointOf(this.id),
        addressOf: endpointOf,
        ...options,
      },
      this,
    );
    return this;
  }

  onConnected(link: number, id: string, outgoing: boolean): void {
    this.connected.push({ link, id, outgoing });
  }

  onFrame(link: number, frame: Frame): void {
    this.onEachFrame(link, frame);
    const kept = frame.kind === "append" ? { ...frame, piece: frame.piece.slice() } : frame;
    this.frames.push({ link, frame: kept });
  }

  onDrained(link: number): void {
    this.drained.push(link);
  }

  onDisconnected(link: number): void {
    this.disconnected.push(link);
  }

  onUnreachable(id: string, why: "refused" | "silent"): void {
    this.unreachable.push(`${id} ${why}`);
  }
}

/** A small frame that can be told from others. */
export function acknowledge(position: number): Frame {
  return { kind: "acknowledge", epoch: 1, position };
}

/** A piece of a journal. */
export function append(position: number, piece: Uint8Array): Frame<"append"> {
  return {
    kind: "append",
    epoch: 1,
    position,
    end: position + piece.length,
    chain: "0011223344556677",
    commitPosition: 0,
    piece,
  };
}
