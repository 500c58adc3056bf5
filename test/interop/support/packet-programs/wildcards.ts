import type { PacketProgram } from "../packet-comparison.ts";

const multicast = { routingType: 0 } as const;

/** Addresses that stand for others: Artemis' documentation "wildcard-routing". */
export const wildcardPrograms: readonly PacketProgram[] = [
  {
    name: "queues of wildcard addresses get what is sent to the addresses these stand for",
    build: (script) => {
      const session = script.session();
      const addresses = ["w.#", "w.*", "w.*.eu", "w.a.eu"];
      for (const address of addresses) {
        session.createQueue(`on ${address}`, { address, ...multicast });
        session.binding(address);
      }
      for (const address of ["w", "w.a", "w.a.eu", "w.b.eu", "w.a.eu.x", "x"]) {
        session.binding(address);
        session.createAddress(address, [0]);
        session.binding(address);
        session.publish(address, `to ${address}`, { routing: 0 });
      }
      addresses.forEach((address, index) => {
        session.consume(index, `on ${address}`);
        session.query(`on ${address}`);
      });
      session.start();
    },
  },
  {
    name: "a send to the name of a wildcard address",
    build: (script) => {
      const session = script.session();
      for (const address of ["s.#", "s.*", "s.a"]) {
        session.createQueue(`on ${address}`, { address, ...multicast });
      }
      session.publish("s.*", "to s.*", { routing: 0 });
      session.publish("s.#", "to s.#", { routing: 0 });
      session.publish("s.a", "to s.a", { routing: 0 });
      for (const address of ["s.#", "s.*", "s.a"]) session.query(`on ${address}`);
    },
  },
  {
    name: "a wildcard address that comes and goes",
    build: (script) => {
      const session = script.session();
      session.createQueue("q", { address: "c.a", ...multicast });
      session.publish("c.a", "before", { routing: 0 });
      session.createQueue("wild", { address: "c.*", filter: "color = 'red'", ...multicast });
      session.publish("c.a", "between", { routing: 0 });
      const red = { color: { type: "string", value: "red" } } as const;
      session.publish("c.a", "red", { routing: 0, properties: red });
      session.query("wild");
      session.deleteQueue("wild");
      session.publish("c.a", "after", { routing: 0 });
      session.query("q");
    },
  },
  {
    name: "anycast queues of a wildcard address",
    build: (script) => {
      const session = script.session();
      session.createQueue("one", { address: "t.*" });
      session.createQueue("two", { address: "t.*" });
      session.createQueue("t.a");
      for (let count = 0; count < 4; count += 1) session.publish("t.a", "t", { routing: 1 });
      for (const name of ["one", "two", "t.a"]) session.query(name);
    },
  },
];
