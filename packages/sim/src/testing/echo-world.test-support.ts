import type { Link, Ports } from "@everhold/env";
import { SimDisk } from "../disk/sim-disk.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { FaultSchedule } from "../world/faults.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { RecordingLink } from "./recording-link.test-support.ts";

/**
 * A small program in a rough world: a server that echoes what it gets and writes it to its disk, and a
 * client that connects anew whenever it must, while cables are cut and machines die.
 *
 * @returns the fingerprint of everything that happened
 */
export async function runEchoWorld(seed: number, lines?: string[]): Promise<string> {
  const writeTrace =
    lines === undefined ? {} : { writeTrace: (line: string) => void lines.push(line) };
  const world = new World({ seed, ...writeTrace });
  const network = new SimNetwork(world);
  const server = machine(world, network, "server");
  const client = machine(world, network, "client");
  const startServer = (): void => {
    serve(server.start()).catch((error: unknown) => world.fail("server", error));
  };
  startServer();
  ask(client.start());
  const faults = new FaultSchedule(world, [
    { name: "cut", meanMs: 300, strike: () => network.cutOne() },
    { name: "stall", meanMs: 400, strike: (prng) => network.stallOne(prng.integer(1, 100)) },
    {
      name: "crash",
      meanMs: 900,
      strike: (prng) => {
        server.crash({ power: prng.chance(0.5) });
        startServer();
        return true;
      },
    },
  ]);
  await world.run({ timeMs: 5_000 });
  world.note("test", "faults", JSON.stringify([...faults.counts]));
  for (const failure of world.failures) throw failure.error;
  return world.trace.fingerprint;
}

function machine(world: World, network: SimNetwork, name: string): Machine {
  const scheduler = {
    after: (delayMs: number, task: () => void) =>
      world.after(delayMs, `${name} disk`, "done", task),
  };
  const disk = new SimDisk({ seed: world.randomFor(`${name} disk`).uint32(), scheduler });
  return new Machine({ world, network, name, disk });
}

async function serve(ports: Ports): Promise<void> {
  const names = await ports.disk.list();
  const file = await (names.includes("log") ? ports.disk.open("log") : ports.disk.create("log"));
  await ports.network.listen({ host: "server", port: 7 }, (link: Link) => {
    return new RecordingLink(link, (_end, bytes) => {
      const copy = bytes.slice();
      file.write(copy, file.sizeBytes, (error) => {
        if (error === undefined) link.send(copy);
      });
    });
  });
}

function ask(ports: Ports): void {
  const connect = (): void => {
    ports.network.connect(
      { host: "server", port: 7 },
      {
        onConnected: (link) => {
          const end = new RecordingLink(link, (_end, bytes) => {
            ports.log.info("An answer arrived", { bytes: bytes.length });
          });
          const send = (): void => {
            if (end.closings.length > 0) {
              connect();
              return;
            }
            const question = new Uint8Array(ports.random.uint32() % 2000);
            ports.random.fill(question);
            link.send(question);
            ports.timers.after(20, send);
          };
          send();
          return end;
        },
        onFailed: () => void ports.timers.after(10, connect),
      },
    );
  };
  connect();
}
