/** TLS between Java and us, with stores that keytool made: Java's clients to our broker, ours to Artemis. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import { connect, type ConnectOptions } from "@everhold/client";
import { nodePorts } from "@everhold/node";
import { freePort } from "#free-port";

import { ArtemisBroker } from "../support/artemis-broker.ts";
import { EverholdBroker } from "../support/everhold-broker.ts";
import { TemporaryFolder } from "../support/folders.ts";
import { javaCases, newestClients, runJava } from "../support/java.ts";
import { runTool, succeed } from "../support/run-tool.ts";

const password = "changeit";
const ports = nodePorts({ log: { level: "error" } });

/** Key stores of a broker and a client, each trusting the other and nobody else. */
class Stores implements Disposable {
  readonly #folder = new TemporaryFolder();

  async make(): Promise<void> {
    for (const [name, san] of [
      ["broker", "dns:localhost,ip:127.0.0.1"],
      ["client", "dns:client"],
    ] as const) {
      const store = ["-keystore", this.path(name), "-storetype", "PKCS12", "-storepass", password];
      await keytool(
        "-genkeypair",
        "-alias",
        name,
        "-keyalg",
        "RSA",
        "-dname",
        `CN=${name}`,
        ...[...["-ext", `san=${san}`, "-validity", "2"], ...store],
      );
      const certificate = join(this.#folder.path, `${name}.pem`);
      await keytool("-exportcert", "-rfc", "-alias", name, "-file", certificate, ...store);
      await keytool(
        "-importcert",
        "-noprompt",
        "-alias",
        name,
        "-file",
        certificate,
        ...[
          ...["-keystore", this.path(`trust-${name}`), "-storetype", "PKCS12"],
          ...["-storepass", password],
        ],
      );
    }
  }

  path(name: string): string {
    return join(this.#folder.path, `${name}.p12`);
  }

  /** Parameters of an Artemis URL that name two of them. */
  parameters(keys: string | undefined, trusted: string, separator: string): string {
    return [
      "sslEnabled=true",
      ...(keys === undefined
        ? []
        : [`keyStorePath=${this.path(keys)}`, `keyStorePassword=${password}`]),
      `trustStorePath=${this.path(trusted)}`,
      `trustStorePassword=${password}`,
    ].join(separator);
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

async function keytool(...args: readonly string[]): Promise<void> {
  succeed("keytool", await runTool("keytool", [...args]));
}

describe("over TLS", { concurrency: 2, timeout: 300_000 }, () => {
  let stores: Stores;
  before(async () => {
    stores = new Stores();
    await stores.make();
  });
  after(() => stores[Symbol.dispose]());

  describe(
    "Java clients on Everhold, which asks for their certificates",
    { concurrency: 2 },
    () => {
      let broker: EverholdBroker | undefined;
      before(async () => {
        const tls = {
          pfx: stores.path("broker"),
          passphrase: password,
          ca: stores.path("trust-client"),
          caPassphrase: password,
          requestCert: true,
        };
        const core = { url: "tls://127.0.0.1:0", tls };
        broker = await EverholdBroker.start({ config: { acceptors: { core } } });
      });
      after(() => broker?.[Symbol.asyncDispose]());

      for (const client of newestClients) {
        // What goes over TLS is the same with each; how they come to speak it is not.
        const programs = client === "jakarta-2.56" ? ["RequestReply", "Bodies"] : ["RequestReply"];
        for (const program of programs) {
          it(`${client}: ${program}`, async (test) => {
            const parameters = stores.parameters("client", "trust-broker", "&");
            const url = `tcp://localhost:${broker?.port}?${parameters}`;
            await javaCases(test, await runJava(client, program, [url]));
          });
        }
      }
    },
  );

  describe("our client on Artemis", () => {
    let artemis: ArtemisBroker | undefined;
    let plainPort = 0;
    let strictPort = 0;
    before(async () => {
      plainPort = await freePort();
      strictPort = await freePort();
      const acceptor = (port: number, more: string): string =>
        `<acceptor name="tls-${port}">tcp://127.0.0.1:${port}?${stores.parameters("broker", "trust-client", ";")};protocols=CORE${more}</acceptor>`;
      artemis = await ArtemisBroker.start({
        brokerXml: (xml) =>
          xml.replace(
            "<acceptors>",
            `<acceptors>${acceptor(plainPort, "")}${acceptor(strictPort, ";needClientAuth=true")}`,
          ),
      });
    });
    after(() => artemis?.[Symbol.asyncDispose]());

    // The acceptors open one after the other, and the harness waits for another one.
    const patient: ConnectOptions = { reconnect: { initialAttempts: 1000, maxDelay: 200 } };

    function url(port: number, keys: string | undefined): string {
      return `tcp://localhost:${port}?${stores.parameters(keys, "trust-broker", "&")}`;
    }

    it("sends and receives, with a certificate where one is asked for", async () => {
      for (const [port, keys] of [
        [plainPort, undefined],
        [strictPort, "client"],
      ] as const) {
        const connection = await connect(ports, url(port, keys), patient);
        const body = "x".repeat(500_000);
        await connection.producer("tls").send(body);
        const message = await connection.consumer("tls").receive({ timeout: 60_000 });
        assert.ok(message?.text() === body);
        await message.ack();
        await connection.close();
      }
    });

    it("is told when Artemis asks for a certificate that it does not have", async () => {
      await assert.rejects(connect(ports, url(strictPort, undefined), patient), (error) => {
        assert.ok(EverholdError.is(error, "EVH_CLIENT_CERTIFICATE"), String(error));
        return true;
      });
    });

    it("refuses an Artemis whose certificate it does not trust", async () => {
      await assert.rejects(connect(ports, `tls://localhost:${plainPort}`, patient), {
        code: "EVH_CERTIFICATE_SELF_SIGNED",
      });
    });
  });
});
