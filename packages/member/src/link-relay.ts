import type { Frame } from "@everhold/group";
import type { Links, LinksListener } from "@everhold/replica";

/**
 * Links outlive what is done with them: this tells whoever is there, and ends those that were somebody's who is there no
 * more. Nobody takes a link over: who was on the other side greets anew.
 */
export class LinkRelay implements LinksListener {
  readonly #up = new Set<number>();
  #links: Pick<Links, "disconnect" | "follow"> | undefined;
  #user: LinksListener | undefined;

  /** The links that it was made for; whatever came before them is ended. */
  attach(links: Pick<Links, "disconnect" | "follow">): void {
    this.#links = links;
    this.#endAll();
  }

  /** From now on this one is told. */
  use(user: LinksListener): void {
    this.#user = user;
  }

  /** Nobody is told any more, and every link ends. */
  leave(): void {
    this.#user = undefined;
    this.#links?.follow(null);
    this.#endAll();
  }

  onConnected(link: number, id: string, outgoing: boolean): void {
    this.#up.add(link);
    if (this.#user === undefined) this.#links?.disconnect(link);
    else this.#user.onConnected(link, id, outgoing);
  }

  onFrame(link: number, frame: Frame): void {
    this.#user?.onFrame(link, frame);
  }

  onDrained(link: number): void {
    this.#user?.onDrained(link);
  }

  onDisconnected(link: number): void {
    this.#up.delete(link);
    this.#user?.onDisconnected(link);
  }

  onUnreachable(id: string, why: "refused" | "silent"): void {
    this.#user?.onUnreachable(id, why);
  }

  #endAll(): void {
    for (const link of this.#up) this.#links?.disconnect(link);
  }
}
