import type { World } from "../world/world.ts";
import { SimDisk } from "./sim-disk.ts";

/** A disk in a world, whose randomness follows from the name of its machine. */
export function worldDisk(world: World, name: string): SimDisk {
  const source = `${name} disk`;
  const scheduler = {
    after: (delayMs: number, task: () => void): unknown =>
      world.after(delayMs, source, "done", task),
  };
  return new SimDisk({ seed: world.randomFor(source).uint32(), scheduler });
}
