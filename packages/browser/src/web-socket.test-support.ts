/** A browser's WebSocket in a test's hands: nothing happens but what the test says. */
export class FakeWebSocket extends EventTarget {
  static readonly made: FakeWebSocket[] = [];
  /** What the next one throws when it is made. */
  static refusal: Error | undefined;
  readonly url: string;
  readonly sent: Uint8Array[] = [];
  readonly closedWith: (number | undefined)[] = [];
  binaryType = "blob";
  bufferedAmount = 0;

  constructor(url: string) {
    super();
    if (FakeWebSocket.refusal !== undefined) throw FakeWebSocket.refusal;
    this.url = url;
    FakeWebSocket.made.push(this);
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes.slice());
  }

  close(code?: number): void {
    this.closedWith.push(code);
  }

  opens(): void {
    this.dispatchEvent(new Event("open"));
  }

  brings(data: unknown): void {
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  ends(code: number, reason = ""): void {
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}
