import type { RegisterName } from "./history.ts";
import { LineLink } from "./line-link.ts";
import type { StoreAnswer, StoreRequest } from "./store.ts";

/** Under which grant something is done, and what the store is shown for it. */
export interface Pass {
  readonly token: number;
  readonly grant: number;
}

/** A process's connection to the store. */
export class Registers {
  readonly #link: LineLink;
  readonly #process: number;
  readonly #waiting = new Map<number, (answer: StoreAnswer) => void>();
  #requestCount = 0;

  private constructor(link: LineLink, process: number) {
    this.#link = link;
    this.#process = process;
    link.onValue((answer) => {
      if (!isAnswer(answer)) throw new Error(`found ${JSON.stringify(answer)}`);
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
  }

  static async open(port: number, process: number): Promise<Registers> {
    return new Registers(await LineLink.open(port), process);
  }

  /** The number in it; `undefined` where the store refuses. */
  async read(register: RegisterName, pass: Pass): Promise<number | undefined> {
    const { isTaken, value } = await this.#ask({ access: "read", register, value: 0, ...pass });
    return isTaken ? value : undefined;
  }

  /** Whether the store took it. */
  async write(register: RegisterName, pass: Pass, value: number): Promise<boolean> {
    return (await this.#ask({ access: "write", register, value, ...pass })).isTaken;
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  #ask(request: Omit<StoreRequest, "id" | "process">): Promise<StoreAnswer> {
    this.#requestCount += 1;
    const id = this.#requestCount;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#link.send({ ...request, id, process: this.#process });
    });
  }
}

function isAnswer(value: object): value is StoreAnswer {
  return "id" in value && "isTaken" in value && "value" in value;
}
