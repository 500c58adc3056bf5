import type { Link, LinkHandler, Network } from "@everhold/env";
import { FrameReader, magicBytes } from "@everhold/wire";

import { PassingLink } from "../network/passing-link.ts";

/** One whole frame, its length field included. */
export interface Frame {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** What somebody between the clients and the broker does. New for each connection. */
export interface Editor {
  /** What the broker gets instead of a client's frame. */
  edit(frame: Frame): Uint8Array;
  /** What the client gets instead of frames that the broker sent together: as many bytes. */
  rearrange(frames: readonly Frame[]): readonly Frame[];
}

/** The network of a broker that does not get what its clients sent, or whose clients do not get what it sent. */
export function editingNetwork(network: Network, newEditor: () => Editor): Network {
  return {
    listen: (endpoint, accept) =>
      network.listen(endpoint, (link) => {
        const editing = new EditingLink(link, newEditor());
        const handler = accept(editing);
        return editing.attach(handler);
      }),
    connect: (endpoint, attempt) => network.connect(endpoint, attempt),
  };
}

class EditingLink extends PassingLink {
  readonly #editor: Editor;
  readonly #incoming = new FrameReader();
  readonly #outgoing = new FrameReader();
  /** What the broker gave us, in the order in which its changed copies were sent. */
  readonly #originals: Uint8Array[] = [];
  #magicLeft = magicBytes.length;

  constructor(link: Link, editor: Editor) {
    super(link);
    this.#editor = editor;
  }

  override attach(handler: LinkHandler): LinkHandler {
    return {
      ...super.attach(handler),
      onData: (bytes) => {
        const magic = bytes.subarray(0, this.#magicLeft);
        this.#magicLeft -= magic.length;
        if (magic.length > 0) handler.onData(magic.slice());
        for (const frame of framesOf(this.#incoming, bytes.subarray(magic.length))) {
          handler.onData(this.#editor.edit(frame));
        }
      },
      onSent: () => {
        const original = this.#originals.shift();
        if (original !== undefined) handler.onSent(original);
      },
    };
  }

  override send(bytes: Uint8Array): void {
    const changed = new Uint8Array(bytes.length);
    let offset = 0;
    for (const frame of this.#editor.rearrange(framesOf(this.#outgoing, bytes))) {
      changed.set(frame.bytes, offset);
      offset += frame.bytes.length;
    }
    this.#originals.push(bytes);
    super.send(changed.subarray(0, offset));
  }
}

/** The frames that are complete with these bytes: copies, which may be changed. */
export function framesOf(reader: FrameReader, bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  reader.push(bytes, {
    onFrame: (chunk, _view, start, end) => {
      const copy = chunk.slice(start, end);
      frames.push({ bytes: copy, view: new DataView(copy.buffer) });
      return true;
    },
  });
  return frames;
}
