import { FlowTokenFrame, writeFlowToken } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";

/** One holder for all: frames are written one after the other. */
const flowToken = new FlowTokenFrame();

/** Grants a consumer credit of so many bytes; 0 takes back all that it has. */
export function sendFlowToken(channel: Channel, consumerId: number, credits: number): void {
  flowToken.channelId = channel.id;
  flowToken.consumerId = consumerId;
  flowToken.credits = credits;
  const writer = channel.begin();
  writeFlowToken(writer, flowToken);
  channel.end(writer);
}
