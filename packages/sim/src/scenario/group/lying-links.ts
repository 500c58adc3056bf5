import type { Link, LinkHandler, Network } from "@everhold/env";
import { readFrame, writeFrame, type Frame } from "@everhold/group";
import { ByteWriter, FrameReader } from "@everhold/wire";
import { PassingLink } from "../../network/passing-link.ts";
import { linksPort } from "./group-node.ts";

/** What a backup hears instead of a frame of its live; `say` sends that one a frame that the backup did not send. */
export type Hear = (frame: Frame, say: (frame: Frame) => void) => Frame;

/** What whoever was called says before frames: its challenge, and its welcome. */
const greetingCount = 2;

const lengthBytes = 4;

/** The network of a member that hears something else of whom it follows than was said, or has more said in its name. */
export function lyingLinks(network: Network, hear: Hear): Network {
  return {
    listen: (endpoint, accept) => network.listen(endpoint, accept),
    connect: (endpoint, attempt) => {
      if (endpoint.port !== linksPort) return network.connect(endpoint, attempt);
      return network.connect(endpoint, {
        onConnected: (link) => {
          const lying = new LyingLink(link, hear);
          return lying.attach(attempt.onConnected(lying));
        },
        onFailed: (error, isRefused) => attempt.onFailed(error, isRefused),
      });
    },
  };
}

class LyingLink extends PassingLink {
  readonly #hear: Hear;
  readonly #reader = new FrameReader({ frameLengthMin: 1 });
  /** What was sent in the member's name, and does not come back to it. */
  readonly #own = new Set<Uint8Array>();
  #greetingsLeft = greetingCount;

  constructor(link: Link, hear: Hear) {
    super(link);
    this.#hear = hear;
  }

  override attach(handler: LinkHandler): LinkHandler {
    const passing = super.attach(handler);
    const onFrame = (bytes: Uint8Array, _view: DataView, start: number, end: number): boolean => {
      passing.onData(this.#heard(bytes.slice(start, end)));
      return true;
    };
    return {
      ...passing,
      onData: (bytes) => this.#reader.push(bytes, { onFrame }),
      onSent: (bytes) => {
        if (!this.#own.delete(bytes)) passing.onSent(bytes);
      },
    };
  }

  #heard(bytes: Uint8Array): Uint8Array {
    if (this.#greetingsLeft > 0) {
      this.#greetingsLeft -= 1;
      return bytes;
    }
    const frame = readFrame(bytes.subarray(lengthBytes));
    const heard = this.#hear(frame, (said) => {
      const own = bytesOf(said);
      this.#own.add(own);
      this.link.send(own);
    });
    return heard === frame ? bytes : bytesOf(heard);
  }
}

function bytesOf(frame: Frame): Uint8Array {
  const writer = new ByteWriter();
  writer.u32(0);
  writeFrame(writer, frame);
  writer.view.setUint32(0, writer.offset - lengthBytes);
  return writer.written().slice();
}
