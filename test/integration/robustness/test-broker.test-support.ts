import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Broker, type BrokerOptions } from "@everhold/broker";
import { nodePorts } from "@everhold/node";

import { LogRecorder } from "./log-recorder.test-support.ts";

/** A new folder for a broker's data. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "everhold-robustness-"));
}

/** A broker in this process, on a real socket and real files, with its log at hand. */
export class TestBroker implements AsyncDisposable {
  readonly broker: Broker;
  readonly log: LogRecorder;
  readonly folder: string;
  /** Sockets to it; whatever a test leaves open is closed with the broker. */
  readonly sockets: Socket[] = [];

  private constructor(broker: Broker, log: LogRecorder, folder: string) {
    this.broker = broker;
    this.log = log;
    this.folder = folder;
  }

  static async start(config: BrokerOptions = {}, folder = temporaryFolder()): Promise<TestBroker> {
    const log = new LogRecorder();
    const broker = await Broker.start({
      ports: { ...nodePorts({ disk: { folder, syncMode: "none" } }), log },
      config: {
        endpoints: [{ host: "127.0.0.1", port: 0 }],
        ...config,
        journal: { segmentBytes: 16 * 1024 * 1024, freeBytesMin: 0, ...config.journal },
      },
    });
    return new TestBroker(broker, log, folder);
  }

  get port(): number {
    const [endpoint] = this.broker.endpoints;
    assert.ok(endpoint);
    return endpoint.port;
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Checks that nothing went wrong inside, and stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.broker.assertInvariants();
      assert.deepEqual(this.log.errors(), []);
    } finally {
      for (const socket of this.sockets) socket.destroy();
      await this.broker.stop();
      rmSync(this.folder, { recursive: true });
    }
  }
}
