import type { Link, LinkHandler } from "@everhold/env";

/** A link that passes everything on to another one, for those who look at or change some of it. */
export class PassingLink implements Link {
  protected readonly link: Link;

  constructor(link: Link) {
    this.link = link;
  }

  get peer(): string {
    return this.link.peer;
  }

  get queuedBytes(): number {
    return this.link.queuedBytes;
  }

  /** What hears of the link instead of `handler`, and tells it. */
  attach(handler: LinkHandler): LinkHandler {
    return {
      onData: (bytes) => handler.onData(bytes),
      onSent: (bytes) => handler.onSent(bytes),
      onDrained: () => handler.onDrained(),
      onClosed: (error) => handler.onClosed(error),
    };
  }

  send(bytes: Uint8Array): void {
    this.link.send(bytes);
  }

  pause(): void {
    this.link.pause();
  }

  resume(): void {
    this.link.resume();
  }

  end(): void {
    this.link.end();
  }

  destroy(): void {
    this.link.destroy();
  }
}
