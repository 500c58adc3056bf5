import { once } from "node:events";
import { createServer, type Server } from "node:http";

const html = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Everhold</title>
<script type="module">
import * as everhold from "/everhold.js";
window.everhold = everhold;
</script>
`;

/** Serves one empty page that has the client in \`window.everhold\`. */
export class PageServer {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(code: string): Promise<PageServer> {
    const server = createServer((request, response) => {
      const isCode = request.url === "/everhold.js";
      response.setHeader("Content-Type", isCode ? "text/javascript" : "text/html");
      response.end(isCode ? code : html);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("no port");
    return new PageServer(server, address.port);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
