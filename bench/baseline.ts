import { closeSync, constants, fdatasyncSync, openSync, write } from "node:fs";
import { join } from "node:path";

const prepareBytes = 64 * 1024 * 1024;

/** What {@link measureBaseline} writes. */
export interface BaselineOptions {
  readonly folder: string;
  /** Bytes of one message. */
  readonly size: number;
  /** Messages that one write holds: as many as a group commit can find waiting. */
  readonly inFlight: number;
  readonly durable: boolean;
  readonly milliseconds: number;
}

/**
 * Messages a second that this disk takes when nothing but appending is done: one write after the
 * other, each with all that is in flight, each on stable storage (`O_DSYNC`) when durable.
 */
export async function measureBaseline(options: BaselineOptions): Promise<number> {
  const { size, inFlight, durable, milliseconds } = options;
  const sync = durable ? constants.O_DSYNC : 0;
  const file = openSync(
    join(options.folder, "baseline"),
    constants.O_CREAT | constants.O_RDWR | sync,
    0o600,
  );
  const bytes = new Uint8Array(Math.max(512, Math.ceil((size * inFlight) / 512) * 512)).fill(120);
  await appendAt(file, new Uint8Array(prepareBytes), 0);
  fdatasyncSync(file);
  let count = 0;
  let position = 0;
  const startedMs = performance.now();
  while (performance.now() - startedMs < milliseconds) {
    if (position + bytes.length > prepareBytes) position = 0;
    await appendAt(file, bytes, position);
    position += bytes.length;
    count += inFlight;
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  closeSync(file);
  return Math.round(count / seconds);
}

function appendAt(file: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    write(file, bytes, 0, bytes.length, position, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}
