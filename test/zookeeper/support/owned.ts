/** Things that are given back together, the last one first, each though another one failed to. */
export class Owned implements AsyncDisposable {
  readonly #things: (AsyncDisposable | Disposable)[] = [];

  /** Returns what it is given, and gives it back in time. */
  own<T extends AsyncDisposable | Disposable>(thing: T): T {
    this.#things.push(thing);
    return thing;
  }

  /** @throws AggregateError of what failed */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (let thing = this.#things.pop(); thing !== undefined; thing = this.#things.pop()) {
      try {
        if (Symbol.asyncDispose in thing) await thing[Symbol.asyncDispose]();
        else thing[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, "something could not be given back");
  }
}
