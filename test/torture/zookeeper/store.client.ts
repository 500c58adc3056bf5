/**
 * The store as a process of its own, so that nothing that is done to contenders or servers touches it:
 * `node store.client.js CONTROL_PORT`. It says its port, and then all that is done, in order.
 */
import { once } from "node:events";
import { createServer } from "node:net";

import { nowMicroseconds, registers, type StoreEvent } from "./history.ts";
import { LineLink } from "./line-link.ts";
import { Store, type StoreRequest } from "./store.ts";

const store = new Store();
const control = await LineLink.open(Number(process.argv[2]));
control.onClose(() => process.exit(0));
const server = createServer((socket) => {
  const link = new LineLink(socket);
  link.onValue((request) => {
    if (!isRequest(request)) throw new Error(`found ${JSON.stringify(request)}`);
    const answer = store.answer(request);
    const { access, register, process: number, token, grant } = request;
    const { isTaken, value } = answer;
    const event: StoreEvent = {
      ...{ kind: "access", access, register, process: number, token, grant },
      ...{ value: access === "write" ? request.value : value, isTaken, at: nowMicroseconds() },
    };
    control.send(event);
    link.send(answer);
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
if (address === null || typeof address === "string") throw new Error("no port was given");
control.send({ kind: "listens", port: address.port });

function isRequest(value: object): value is StoreRequest {
  return "id" in value && "register" in value && registers.some((name) => name === value.register);
}
