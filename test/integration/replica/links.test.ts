import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, describe, it } from "node:test";
import { connect as connectSocket } from "node:net";

import { deferred, type Deferred } from "@everhold/base";
import type { Tls } from "@everhold/env";
import type { Frame } from "@everhold/group";
import { nodePorts } from "@everhold/node";
import { type LinksListener, type MemberPlace, openLinks, type OpenLinks } from "@everhold/replica";

import { makeCertificate } from "../tls/certificates.test-support.ts";

const host = "127.0.0.1";
const secret = randomBytes(32);

/** A member's links on real sockets. */
class Member implements LinksListener {
  readonly connected = deferred<number>();
  readonly disconnected = deferred<number>();
  readonly unreachable = deferred<string>();
  readonly enough: Deferred<readonly Frame[]>;
  readonly refusals: string[] = [];
  #links: OpenLinks | undefined;
  readonly #frames: Frame[] = [];
  readonly #frameCount: number;

  constructor(frameCount: number) {
    this.#frameCount = frameCount;
    this.enough = deferred<readonly Frame[]>();
  }

  get links(): OpenLinks {
    if (this.#links === undefined) throw new Error("it is not open");
    return this.#links;
  }

  async open(
    id: string,
    others: Map<string, MemberPlace>,
    tls?: Tls,
    known = secret,
  ): Promise<this> {
    const ports = nodePorts({ log: { write: () => undefined } });
    const { macs } = ports;
    if (macs === undefined) throw new Error("there are no proofs");
    const log = {
      ...ports.log,
      info: () => undefined,
      warn: (_message: string, fields: Readonly<Record<string, unknown>> = {}) =>
        void this.refusals.push(`${String(fields["reason"])} by ${String(fields["by"])}`),
    };
    this.#links = await openLinks(
      { ...ports, macs, log },
      {
        groupId: "g",
        id,
        secret: known,
        endpoint: { host, port: 0, ...(tls === undefined ? {} : { tls }) },
        addressOf: (other) => others.get(other),
      },
      this,
    );
    others.set(id, this.#links.endpoint);
    opened.push(this.#links);
    return this;
  }

  onConnected(link: number): void {
    this.connected.resolve(link);
  }

  onFrame(_link: number, frame: Frame): void {
    this.#frames.push(frame.kind === "append" ? { ...frame, piece: frame.piece.slice() } : frame);
    if (this.#frames.length === this.#frameCount) this.enough.resolve(this.#frames);
  }

  onDrained(): void {}

  onDisconnected(link: number): void {
    this.disconnected.resolve(link);
  }

  onUnreachable(_id: string, why: "refused" | "silent"): void {
    this.unreachable.resolve(why);
  }
}

const opened: OpenLinks[] = [];
after(async () => {
  await Promise.all(opened.map((links) => links.close()));
});

function piece(position: number, size: number): Frame<"append"> {
  const chain = "0011223344556677";
  const bytes = new Uint8Array(size).fill(position + 1);
  return {
    kind: "append",
    epoch: 1,
    position,
    end: position + 1,
    chain,
    commitPosition: 0,
    piece: bytes,
  };
}

const sizes = [0, 1, 70_000, 5_000_000, 3];

async function carriesPieces(tls: Tls | undefined): Promise<void> {
  const others = new Map<string, MemberPlace>();
  const a = await new Member(sizes.length).open("a", others, tls);
  const b = await new Member(sizes.length).open("b", others, tls);
  a.links.follow("b");
  const [near, far] = await Promise.all([a.connected.promise, b.connected.promise]);
  for (const [position, size] of sizes.entries()) {
    a.links.send(near, piece(position, size));
    b.links.send(far, piece(position + 100, size));
  }
  const expected = sizes.map((size, position) => piece(position, size));
  assert.deepEqual(await b.enough.promise, expected);
  assert.equal((await a.enough.promise).length, sizes.length);
  await b.links.close();
  await a.disconnected.promise;
  assert.equal(await a.unreachable.promise, "refused");
  a.links.follow(null);
}

const authority = makeCertificate({ name: "the group's authority", isAuthority: true });

function tlsOf(name: string, issuer = authority): Tls {
  const { cert, key } = makeCertificate({ name, hosts: [host], issuer });
  return { ca: authority.cert, cert, key, requestCert: true };
}

describe("links between members, on real sockets", () => {
  it("carry pieces both ways, and tell that a member has ended", () => carriesPieces(undefined));

  it("carry pieces within TLS, where both have a certificate of the group", () =>
    carriesPieces(tlsOf("a member")));

  it("refuse one that has another secret, and both logs say so", async () => {
    const others = new Map<string, MemberPlace>();
    const a = await new Member(1).open("a", others, undefined, randomBytes(32));
    const b = await new Member(1).open("b", others);
    a.links.follow("b");
    assert.equal(await a.unreachable.promise, "silent");
    a.links.follow(null);
    assert.deepEqual([a.refusals[0], b.refusals[0]], ["secret by them", "secret by us"]);
  });

  it("let nobody in whose certificate another authority signed, though it knows the secret", async () => {
    const others = new Map<string, MemberPlace>();
    const other = makeCertificate({ name: "another authority", isAuthority: true });
    const a = await new Member(1).open("a", others, tlsOf("a stranger", other));
    const b = await new Member(1).open("b", others, tlsOf("a member"));
    const linked: number[] = [];
    b.onConnected = (link) => void linked.push(link);
    a.links.follow("b");
    assert.equal(await a.unreachable.promise, "silent");
    a.links.follow(null);
    assert.deepEqual(linked, []);
  });

  it("answer a stranger's bytes with a reason, and end", async () => {
    const b = await new Member(1).open("b", new Map());
    const socket = connectSocket(b.links.endpoint.port, host);
    const heard: number[] = [];
    socket.on("data", (bytes: Uint8Array) => void heard.push(...bytes));
    socket.write("GET / HTTP/1.1\r\n\r\n");
    const closed = deferred<void>();
    socket.on("close", () => closed.resolve());
    await closed.promise;
    assert.deepEqual(heard, [0, 0, 0, 2, 5, 1]);
    assert.deepEqual(b.refusals, ["protocol by us"]);
  });
});
