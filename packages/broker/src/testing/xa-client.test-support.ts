import { packets } from "@everhold/wire";

import type { Xid } from "../state/xid.ts";
import type { ManualWorld } from "./manual-world.test-support.ts";
import { messageOf, TestClient, type MessageChoices } from "./test-client.test-support.ts";

/** An xid that is the same for the same number. */
export function xidOf(number: number): Xid {
  return {
    formatId: 0x1234,
    globalTransactionId: new Uint8Array([number, 1, 2, 3]),
    branchQualifier: new Uint8Array([number, 9]),
  };
}

/** A client whose session works for branches: each method gives the code of the answer. */
export class XaClient {
  readonly client: TestClient;

  constructor(client: TestClient) {
    this.client = client;
  }

  static async open(world: ManualWorld): Promise<XaClient> {
    const choices = { xa: true, autoCommitSends: false, autoCommitAcks: false };
    return new XaClient(await TestClient.open(world, choices));
  }

  async start(number: number): Promise<number> {
    this.client.send(packets.xaStart, 10, { xid: xidOf(number) });
    return this.#code();
  }

  async join(number: number): Promise<number> {
    this.client.send(packets.xaJoin, 10, { xid: xidOf(number) });
    return this.#code();
  }

  async suspend(): Promise<number> {
    this.client.send(packets.xaSuspend, 10, {});
    return this.#code();
  }

  async resume(number: number): Promise<number> {
    this.client.send(packets.xaResume, 10, { xid: xidOf(number) });
    return this.#code();
  }

  async end(number: number, failed = false): Promise<number> {
    this.client.send(packets.xaEnd, 10, { xid: xidOf(number), failed });
    return this.#code();
  }

  async prepare(number: number): Promise<number> {
    this.client.send(packets.xaPrepare, 10, { xid: xidOf(number) });
    return this.#code();
  }

  async commit(number: number, onePhase = false): Promise<number> {
    this.client.send(packets.xaCommit, 10, { xid: xidOf(number), onePhase });
    return this.#code();
  }

  async rollback(number: number): Promise<number> {
    this.client.send(packets.xaRollback, 10, { xid: xidOf(number) });
    return this.#code();
  }

  async forget(number: number): Promise<number> {
    this.client.send(packets.xaForget, 10, { xid: xidOf(number) });
    return this.#code();
  }

  /** The first bytes of the global ids of what is in doubt. */
  async inDoubt(): Promise<number[]> {
    this.client.send(packets.xaInDoubtXids, 10, {});
    const { xids } = await this.client.expect(packets.xaInDoubtXidsResponse);
    return xids.map((xid) => xid.globalTransactionId[0] ?? -1);
  }

  async setTimeout(seconds: number): Promise<void> {
    this.client.send(packets.xaSetTimeout, 10, { seconds });
    await this.client.expect(packets.xaSetTimeoutResponse);
  }

  /** Sends a message without waiting for anything. */
  post(address: string, text: string, choices: MessageChoices = {}): void {
    this.client.post(messageOf(address, { text, ...choices }), 0, false);
  }

  /** Starts a branch, sends one message, and ends it. */
  async send(number: number, address: string, text: string): Promise<void> {
    await this.start(number);
    this.post(address, text);
    await this.end(number);
  }

  async #code(): Promise<number> {
    const { responseCode, error } = await this.client.expect(packets.xaResponse);
    const isSuccess = responseCode === 0 || responseCode === 3;
    if (error === isSuccess) throw new Error(`the answer ${responseCode} says error ${error}`);
    return responseCode;
  }
}
