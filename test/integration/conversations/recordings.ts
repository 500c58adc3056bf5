/** What the interop suite shares with the tests here: it records what they replay. */
export { clientScenarios } from "./client-scenarios.ts";
export {
  formatConversation,
  parseConversation,
  type Conversation,
  type ConversationEvent,
} from "./conversation.ts";
export { shapeOf } from "./shape.ts";
