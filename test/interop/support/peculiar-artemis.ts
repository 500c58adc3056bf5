import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "#free-port";

import { ArtemisBroker } from "./artemis-broker.ts";

/** A broker set up to be difficult, address by address; what it does there is in the names. */
export interface PeculiarArtemis {
  readonly broker: ArtemisBroker;
  /** Of a second acceptor that lets one connection in. */
  readonly narrowUrl: string;
}

/** Silence after which this broker ends a connection, whatever TTL the client asked for. */
export const ttlOverrideMs = 10_000;

/** Bytes that an address of `block.#`, `fail.#` and `drop.#` may hold. */
export const fullBytes = 100_000;

/** Users beside `admin`, each with a role of its own and `name` as password. */
const users = ["writer", "reader", "looker"] as const;

const addressSettings = `
  <address-setting match="closed.#">
    <auto-create-queues>false</auto-create-queues>
    <auto-create-addresses>false</auto-create-addresses>
  </address-setting>
  ${["BLOCK", "FAIL", "DROP"]
    .map(
      (policy) => `
  <address-setting match="${policy.toLowerCase()}.#">
    <max-size-bytes>${fullBytes}</max-size-bytes>
    <address-full-policy>${policy}</address-full-policy>
  </address-setting>`,
    )
    .join("")}
  <address-setting match="mortal.#">
    <dead-letter-address>graves</dead-letter-address>
  </address-setting>
  <address-setting match="hasty.#">
    <slow-consumer-threshold>20</slow-consumer-threshold>
    <slow-consumer-check-period>1</slow-consumer-check-period>
    <slow-consumer-policy>KILL</slow-consumer-policy>
  </address-setting>`;

const securitySettings = `
  <security-setting match="guarded.#">
    ${["createNonDurableQueue", "deleteNonDurableQueue", "createDurableQueue", "deleteDurableQueue"]
      .map((type) => `<permission type="${type}" roles="amq"/>`)
      .join("")}
    <permission type="createAddress" roles="amq"/>
    <permission type="deleteAddress" roles="amq"/>
    <permission type="consume" roles="amq,reader"/>
    <permission type="browse" roles="amq,looker"/>
    <permission type="send" roles="amq,writer"/>
  </security-setting>`;

/** Starts it. */
export async function startPeculiarArtemis(): Promise<PeculiarArtemis> {
  const narrowPort = await freePort();
  const narrow = `tcp://127.0.0.1:${narrowPort}?protocols=CORE;connectionsAllowed=1`;
  const broker = await ArtemisBroker.start({
    security: true,
    brokerXml: (xml) =>
      xml
        .replace("<acceptors>", `<acceptors><acceptor name="narrow">${narrow}</acceptor>`)
        .replace(
          "<acceptors>",
          `<connection-ttl-override>${ttlOverrideMs}</connection-ttl-override><acceptors>`,
        )
        .replace("<security-settings>", `<security-settings>${securitySettings}`)
        .replace("<address-settings>", `<address-settings>${addressSettings}`),
  });
  const etc = join(broker.instance, "etc");
  for (const user of users) {
    appendFileSync(join(etc, "artemis-users.properties"), `\n${user} = ${user}\n`);
    appendFileSync(join(etc, "artemis-roles.properties"), `\n${user} = ${user}\n`);
  }
  return { broker, narrowUrl: `tcp://127.0.0.1:${narrowPort}` };
}
