import type { StepDifference } from "./packet-comparison.ts";

/** A difference from Artemis that is meant, with its reason. */
export interface KnownDifference {
  /** What Everhold does, and what Artemis does. */
  readonly what: string;
  /** Why it is so. */
  readonly why: string;
  /** Programs in which it may show; all when left out. */
  readonly programs?: RegExp;
  /** Steps, as they are written in the report; all when left out. */
  readonly steps?: RegExp;
  /** Places in what comes back; all when left out. */
  readonly paths?: RegExp;
}

/** Whether a difference is one of these kinds. */
export function isCoveredBy(known: KnownDifference, found: StepDifference): boolean {
  if (known.programs?.test(found.program) === false) return false;
  if (known.steps?.test(found.step) === false) return false;
  return known.paths?.test(found.path) !== false;
}

/**
 * All differences from Artemis 2.44 that the programs have found and that stay. docs/ARTEMIS-BROKER.md is
 * made of them. A row that no program shows any more fails the suite.
 */
const sections: Readonly<Record<string, readonly KnownDifference[]>> = {
  "Safer, or clearer": [
    {
      what: "Answers about branches of distributed transactions have texts of our own; their codes are the same.",
      why: "Texts are for people.",
      programs: /branch/,
      steps: /^SESS_XA_/,
      paths: /\.answers\.\d+\.message$/,
    },
    {
      what: "A branch of a distributed transaction that did nothing is prepared as read-only (3); Artemis answers 0 and waits for the second phase.",
      why: "There is nothing to decide, so neither side has to remember it.",
      programs: /^a branch that did nothing/,
    },
    {
      what: "A branch that can only be rolled back answers its first phase with the code for that (100 to 106); Artemis answers with an exception, which its client reports as a failure of the broker.",
      why: "The manager learns what has happened, and rolls the others back.",
      programs: /^a branch that can only be rolled back/,
    },
    {
      what: "A branch whose work failed (`TMFAIL`) is not prepared; Artemis prepares it.",
      why: "JTA: the branch is marked as rollback-only.",
      programs: /^a branch whose work failed/,
    },
    {
      what: "A branch in the wrong phase is refused with XAER_PROTO and stays; Artemis answers with an exception and forgets it.",
      why: "Nothing that was sent may be lost because of a mistake.",
      programs: /^a branch in the wrong phase/,
    },
    {
      what: "A second phase that is repeated is answered as the first time, also after a restart; Artemis answers XAER_NOTA.",
      why: "A manager that missed the answer asks again.",
      programs: /^a branch that is committed twice|^a branch that is rolled back/,
    },
    {
      what: "The time limit of branches is the one that was set; Artemis always reports its default.",
      why: "JTA: `getTransactionTimeout` gives what was set.",
      programs: /^time limits of branches/,
    },
    {
      what: "A packet that is not for its channel, or that no client sends, ends the connection with a line in the log; Artemis ignores many of them.",
      why: "Such a client is broken, and what it meant is lost either way.",
      programs:
        /^a packet (of the unknown id|that only brokers send|for a channel of brokers)|^a session's packet on/,
    },
    {
      what: "A session on a channel that is taken, or that is one of the protocol's own, ends the connection; Artemis opens it.",
      why: "Two sessions would answer on one channel.",
      programs: /^a session on (one of the protocol's own channels|a channel that is taken)/,
    },
    {
      what: "A routing type that does not exist is refused with code 215; Artemis closes the connection.",
      why: "The other sessions of the connection need not suffer.",
      programs: /^a routing type that does not exist/,
    },
    {
      what: "A property `_AMQ_ROUTING_TYPE` that is no byte is ignored; Artemis refuses the message with code 0.",
      why: "A message that says nothing we understand about routing goes to all queues of its address.",
      programs: /^a routing type that is no routing type/,
    },
    {
      what: "A consumer id that is in use is refused with code 104; Artemis opens a second one under it.",
      why: "What the first consumer holds would never come back.",
      programs: /^a consumer id that is taken/,
    },
    {
      what: "A temporary queue is refused to consumers of other connections with code 105; Artemis lets them in.",
      why: "JMS says so, and its queue goes with the connection that made it.",
      programs: /^a temporary queue of another connection/,
    },
    {
      what: "A binding query for the name of a wildcard address lists its own queues; Artemis lists those of other wildcard addresses as well that match the name as text.",
      why: "What is sent to that name goes to its own queues only, in Artemis too.",
      programs: /^queues of wildcard addresses/,
      steps: /BINDINGQUERY/,
      paths: /queueNames/,
    },
    {
      what: "CREATE_ADDRESS for an address that exists adds routing types; Artemis replaces them.",
      why: "Otherwise a client that creates a queue takes the topic of the same name away from others.",
      programs: /^CREATE_ADDRESS/,
      paths: /supports(Any|Multi)cast$/,
    },
    {
      what: "An acknowledgement of a message that the consumer does not hold is refused with code 104 and changes nothing; Artemis refuses it, and gives back everything that the consumer holds, counted as an attempt.",
      why: "A repeated acknowledgement must not bring messages nearer to the dead letters.",
      programs: /^a cumulative acknowledgement|^a wrong acknowledgement/,
      paths: /\.to\d|^c0\/10$/,
    },
    {
      what: "A send that cannot be done in a transaction is answered at COMMIT, which rolls back with its code; Artemis answers it at once where an answer is asked for, and commits the rest.",
      why: "A transaction is all or nothing, also for sends that nobody waits for.",
      programs:
        /^a message without an address in a transaction|^sends that are refused in a transaction/,
    },
    {
      what: "A duplicate id that is used twice in one transaction makes COMMIT answer 113; Artemis takes both messages.",
      why: "The id promises that one of them is kept.",
      programs: /^the same duplicate id twice/,
    },
    {
      what: "Priorities above 9 and below 0 are treated as 9 and 0; Artemis confirms such messages and loses them.",
      why: "What is confirmed is kept.",
      programs: /^priorities decide/,
    },
    {
      what: "A message of type 8, or whose duplicate id is neither text nor bytes, is taken as it is; Artemis refuses it with code 0.",
      why: "The body is the application's, and an id that cannot be compared is none.",
      programs: /^headers and properties arrive|^a duplicate id outside a transaction/,
      steps: /"type":8|"type 99"|"body"|_AMQ_DUPL_ID":\{"type":"int"|QUEUEQUERY|"id" to q/,
    },
    {
      what: "An expiration below zero is none; Artemis expires the message.",
      why: "It was never a time.",
      programs: /^headers and properties arrive/,
      steps: /below zero/,
    },
    {
      what: "Consumers of a non-destructive queue are told how often each of them got a message; in Artemis how often all of them together.",
      why: "A count above 1 says that this consumer may have seen it before.",
      programs: /not emptied by consumers/,
      paths: /deliveryCount/,
    },
    {
      what: "Properties that Artemis brokers use among themselves (`_AMQ_ROUTE_TO*`, `_AMQ_ACK_ROUTE_TO*`, `_AMQ_SCALEDOWN_TO`) are left as they are; Artemis takes them away or fails over their types.",
      why: "They mean nothing here.",
      programs: /^properties that only brokers set/,
    },
    {
      what: "An acknowledgement in a pre-acknowledging session is answered; Artemis refuses it with code 104.",
      why: "There is nothing left to do, which is what was asked for.",
      programs: /^pre-acknowledgement/,
    },
    {
      what: "A send to `address::queue` makes the queue that is missing and reaches it whatever the routing type; Artemis makes a queue named like the address, or drops the message.",
      why: "The message was for that queue, and the send is confirmed.",
      programs: /^a send with routing type|^a multicast address by its full name/,
      paths:
        /queueNames|exists|messageCount|\.address$|autoCreated|routingType|autoDelete|enabled|supportsAnycast/,
    },
    {
      what: "A send to `address::queue` reaches that queue; in Artemis, after a send to the address itself, it may reach every multicast queue of the address.",
      why: "The message was for that queue.",
      programs: /^the full name of a multicast queue/,
      paths: /messageCount/,
    },
    {
      what: "A send without a routing type makes the address that is missing; Artemis drops the message and makes none. A send does not add its routing type to an address that exists; in Artemis it does.",
      why: "What an address supports is for who creates it to say.",
      programs: /^a send with routing type/,
      paths: /exists|supportsMulticast/,
    },
    {
      what: "`_AMQ_ACTUAL_EXPIRY` of an expired message is the time at which it was to expire; in Artemis the time at which that was seen. A message that was moved says why, in `_EVH_CAUSE` and, a dead letter, in `dlqDeliveryFailureCause`; in Artemis it does not.",
      why: "It expired then, whoever looked when; and who finds a dead letter wants to know its reason.",
      programs: /expired|dead after/,
      paths: /_AMQ_ACTUAL_EXPIRY|_EVH_CAUSE|dlqDeliveryFailureCause/,
    },
    {
      what: "A session that is to be reattached and cannot be ends with its connection, and what it held comes back as redelivered; Artemis ends it in order, uncounted, and leaves the connection.",
      why: "The application may have seen the messages.",
      programs: /^reattaching a session without a window/,
    },
    {
      what: "The connection that a reattached session is taken from ends; Artemis leaves it open.",
      why: "A client that comes back has given it up, whether the broker has noticed that or not.",
      programs: /^reattaching a session with a window/,
    },
    {
      what: "Credit that is given after credit without a limit changes nothing; Artemis fails over it, and the next COMMIT answers 999.",
      why: "There is no limit that it could add to.",
      programs: /^more credit after credit without a limit/,
    },
    {
      what: "A send without a routing type, or to a queue `address::queue` that is missing, is refused with code 106 or 100 where nothing may be created; Artemis confirms it and drops the message.",
      why: "What is confirmed is kept.",
      programs: /^what may not be created|^a client may still create/,
      steps: /^SESS_SEND/,
    },
    {
      what: "A client that creates a queue creates its address with it, also where messages may not create addresses; Artemis refuses that with code 106.",
      why: "The setting is about what happens by itself.",
      programs: /^a client may still create/,
      steps: /"missing"|"queueName":"q"/,
    },
    {
      what: "A producer that was told that its address is full asks again; Artemis also grants what was asked for once there is room.",
      why: "The client has taken the refusal for its answer.",
      programs: /^a full address refuses/,
      paths: /answers/,
    },
    {
      what: "Messages of a transaction find their queues at COMMIT, and those created meanwhile get them too; in Artemis it is the queues that were there when they were sent.",
      why: "They are sent when they are committed.",
      programs: /^a queue that is created while a transaction/,
      paths: /messageCount/,
    },
  ],
  "Of no consequence for clients": [
    {
      what: "A body of up to 64 KiB that came in parts is delivered whole, in one packet; Artemis delivers it in parts.",
      why: "Clients take both, and what is small is kept and read in one piece.",
      paths: /\.form$/,
    },
    {
      what: "Clients of versions 125 to 130 get the topology as CLUSTER_TOPOLOGY_V3; Artemis without a cluster sends V2.",
      why: "Both are known to them; Artemis in a cluster sends V3.",
      paths: /^c0\/0\.answers\.0$/,
      steps: /^SUBSCRIBE_TOPOLOGY_V2/,
    },
    {
      what: "A broker of ours refuses versions below 129 with code 108; Artemis still speaks to clients of before 2.0.",
      why: "Their messages have another layout and other names of addresses.",
      programs: /^a client of before 2\.0/,
    },
    {
      what: "A message that is not durable may overtake a durable one that is still being written; in Artemis it waits.",
      why: "JMS promises an order within each delivery mode only, and who sends without durability wants speed.",
      programs: /^messages of both delivery modes/,
      paths: /\.to0/,
    },
    {
      what: "Every packet counts for PACKETS_CONFIRMED; Artemis does not count those that it answered with EXCEPTION.",
      why: "The client counts them too, and both must agree.",
      programs: /^confirmations go on after an error|^the program of seed/,
      paths: /confirmed$/,
    },
    {
      what: "A browser with credit is shown messages that come later at once; Artemis shows them when it is asked for more.",
      why: "JMS leaves it open.",
      programs: /^a browser sees what is there/,
      paths: /\.to0$/,
    },
    {
      what: "A browser is not shown messages that have expired; Artemis shows them until they are taken away.",
      why: "Nobody else would get them.",
      programs: /^a browser and messages that have expired/,
      paths: /\.to0/,
    },
    {
      what: "When consumers come or go, messages go on in turn behind the consumer that was served last; Artemis starts again, mostly with the first.",
      why: "The first one would get more than its share.",
      programs: /^messages (that wait )?are shared in turn/,
      paths: /\.to\d/,
    },
    {
      what: "The address of a queue that lives as long as its consumers goes with it, and the queue is not called temporary; in Artemis the address goes some time later.",
      why: "Nobody created the address by itself.",
      programs: /^a shared subscription that is not durable lives/,
      paths: /temporary|exists|supportsMulticast/,
    },
    {
      what: "DLQ and ExpiryQueue are not said to be managed by configuration.",
      why: "They are made when they are needed.",
      paths: /configurationManaged|messageCount$/,
      steps: /"queueName":"(DLQ|ExpiryQueue)"/,
    },
  ],
  Selectors: [
    {
      what: "`JMSPriority` and the other names of JMS work in selectors as `AMQPriority` and its like do, `JMSXDeliveryCount` too; in Artemis only clients translate them.",
      why: "A client that is not Java need not know the other names.",
      steps: /"filter":"JMSPriority/,
    },
    {
      what: "A missing property is equal to nothing, not even to itself or another missing one; in Artemis it is. A text is not unequal to a number but incomparable; in Artemis it is unequal.",
      why: "So says JMS: SQL's three-valued logic.",
      steps: /"filter":"(missing = missing|int = long|text <> 5|int=5--comment|text=\\"hello\\")"/,
    },
    {
      what: "A property of type char is a text of one character; Artemis compares it with nothing.",
      why: "There is no other use for it.",
      steps: /"filter":"char = 'c'"/,
    },
    {
      what: "Whole numbers beyond 64 bits, XPATH, XQUERY and comments are refused with code 103; Artemis takes them.",
      why: "They are no part of JMS, and are refused rather than misread.",
      steps: /"filter":"(int > 9{20}|XPATH|XQUERY|int = 5 \/\*)/,
    },
    {
      what: "A whole number divided by a whole number is whole, `5 / 2` is 2, and by zero it is NULL; in Artemis it is a double, 2.5 and infinite.",
      why: "So say JMS and Java's numeric promotion.",
      steps: /"filter":"int \/ (2|0) = /,
    },
  ],
};

/** The rows of all sections. */
export const knownDifferences: readonly KnownDifference[] = Object.values(sections).flat();

/** docs/ARTEMIS-BROKER.md. */
export function differencesDocument(): string {
  const tables = Object.entries(sections).map(([section, rows]) => {
    const lines = rows.map(({ what, why }) => `| ${what} | ${why} |`);
    return [`## ${section}`, "", "| What | Why |", "|---|---|", ...lines, ""].join("\n");
  });
  return [introduction, ...tables].join("\n");
}

const introduction = `# Our broker beside Artemis

Made by \`UPDATE=1 npm run interop -- same-packets\` from test/interop/support/known-differences.ts.

The suite sends the same CORE packets to Everhold and to Artemis 2.44, programs written by hand and
others that follow from a seed, and compares everything that comes back: answers and their order, codes, every
field of the answers to queries, deliveries with their headers, properties, counts and order, and whether
the connection stays. What differs is one of these rows, and every row still shows.
\`EVERHOLD_INTEROP_PROGRAMS=1000 npm run interop -- same-packets\` runs more programs; one that differs is made as
short as it can be, and its seed is in its name.
`;
