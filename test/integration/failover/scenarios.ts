/** What fails: the columns of the catalogue. */
export const failures = {
  cut: "every connection is cut",
  restart: "our broker is killed and started again",
  pair: "the live broker of an Artemis pair is killed",
} as const;

/** One of {@link failures}. */
export type Failure = keyof typeof failures;

/** One scenario: what happens and what must come of it. */
export interface FailoverScenario {
  /** `F` and a number; tests are named after it. */
  readonly id: string;
  readonly scenario: string;
  /** Failures with which it is not tried, and why. Each other one has a test. */
  readonly except?: Readonly<Partial<Record<Failure, string>>>;
  /** Tests that are not named after it, by their whole names. */
  readonly tests?: readonly string[];
  /** What of it does not hold yet. */
  readonly open?: string;
}

/** Scenarios that belong together. */
export interface ScenarioGroup {
  readonly title: string;
  readonly scenarios: readonly FailoverScenario[];
}

const everyFrame = "loses, doubles and hides nothing wherever its connection breaks";
const again = "loses, doubles and hides nothing when its return breaks as well";
const everyKill = "loses, doubles and hides nothing when the broker is killed in its midst";
const own = "tried at every frame of an exchange, and at some on the pair (`npm run failover`)";
const atEveryFrame = { restart: own, pair: own } as const;
const nobodyDies = { restart: "nobody dies", pair: "nobody dies" } as const;

/** Scenarios of others that are tried elsewhere, or make no sense here, and why. */
export const scenariosElsewhere = {
  "A bridge between brokers fails and comes back (F93)":
    "Everhold has no bridges; those of Artemis are among the strangers of `npm run interop -- strangers`",
  "The link to a replica fails (F94)": "Everhold has no replicas yet",
  "Clients are killed for hours, brokers too (F96)":
    "`npm run torture`, whose processes die with their brokers only; a client that dies alone is F95",
  "A client that finds a duplicate makes a dead letter of it (F107)":
    "this client compares no ids of what it receives: what comes again is known by the message, is not shown while the application has it, and is marked",
} as const;

/** Every scenario of failure that concerns a client. */
export const scenarioGroups: readonly ScenarioGroup[] = [
  {
    title: "What is open goes on",
    scenarios: [
      { id: "F1", scenario: "What was sent before and is durable arrives afterwards." },
      {
        id: "F5",
        scenario:
          "Consumers made before receive what is sent afterwards, durable or not, from queues that last and from those that live with their connection.",
      },
      { id: "F6", scenario: "A session opened afterwards works." },
      { id: "F7", scenario: "A new connection finds who serves now." },
      { id: "F8", scenario: "A connection that is being made meanwhile comes to stand." },
      {
        id: "F14",
        scenario: "Many sessions with many consumers: each consumer gets all of its share.",
      },
      { id: "F15", scenario: "A consumer that was open receives what is sent later." },
      { id: "F16", scenario: "A handler without a window gets every message, each once." },
      { id: "F17", scenario: "A receive that waits without a window gets its message." },
      { id: "F18", scenario: "A browse is interrupted: browsing begins again at the head." },
      {
        id: "F19",
        scenario:
          "What was not acknowledged comes again, what was acknowledged does not, and what the application holds is not shown to it twice.",
      },
      {
        id: "F20",
        scenario:
          "Re-creating sessions fails the second and third time: tried again until all live.",
        except: { ...atEveryFrame, cut: "every frame of the return is cut" },
        tests: [again, "survives a second break while it is under way"],
      },
      {
        id: "F106",
        scenario: "Any broker of a list will do.",
        except: { restart: "one broker has one address", pair: "every scenario uses its list" },
        tests: [
          "any broker of a list will do, and `status` tells what happens",
          "goes on to the next broker of the list",
          "one goes on at another broker of its list when its own dies",
        ],
      },
    ],
  },
  {
    title: "Calls that are under way",
    scenarios: [
      {
        id: "F23",
        scenario: "A send or a request is under way: it is let go, and settles with what is known.",
      },
      {
        id: "F24",
        scenario:
          "The answer to a send is lost: repeated, by the client or by the application, it is stored once.",
        tests: [everyFrame],
      },
      {
        id: "F25",
        scenario: "The send itself is lost: repeated it is stored once.",
        except: atEveryFrame,
        tests: [everyFrame],
      },
      {
        id: "F26",
        scenario:
          "The time of sends is over while a broker fails, and the application sends each once more under its duplicate id: each is there once.",
      },
      {
        id: "F27",
        scenario: "The time of a call is over in an outage: it says whether anything happened.",
      },
      {
        id: "F28",
        scenario: "The answer to a commit is lost.",
        except: atEveryFrame,
        tests: [
          everyFrame,
          "${fault} at every frame: every commit is known to be applied, or not",
          "says before its end whether it has committed",
          "says unknown when the connection breaks during the commit",
        ],
      },
      { id: "F98", scenario: "The answer to a send is lost: one message." },
      {
        id: "F97",
        scenario: "The broker dies after the commit and before the answer: exactly one message.",
        except: { ...atEveryFrame, cut: "nobody dies" },
        tests: [
          everyKill,
          "inputs and outputs of a committed transaction survive a crash together",
        ],
      },
    ],
  },
  {
    title: "Transactions",
    scenarios: [
      {
        id: "F29",
        scenario:
          "Sent in a transaction, before its commit: a session that was kept goes on; else the commit says rolled back, nothing is seen.",
      },
      { id: "F30", scenario: "The same session serves for the next transaction." },
      { id: "F31", scenario: "Committed before: nobody says that it was rolled back." },
      {
        id: "F32",
        scenario:
          "Taken in a transaction: a session that was kept goes on; else the commit says rolled back, all comes again.",
      },
      { id: "F33", scenario: "Nothing pending: the commit passes, the rest comes in order." },
      {
        id: "F34",
        scenario:
          "Moving messages with commits and rollbacks at random: nothing lost, nothing doubled.",
      },
      {
        id: "F35",
        scenario: "An interrupted transaction that consumes: rolled back once, then all once.",
      },
      {
        id: "F99",
        scenario:
          "The connection breaks after a send of a transaction: committed or rolled back, never twice.",
        except: atEveryFrame,
        tests: [everyFrame],
      },
      {
        id: "F100",
        scenario: "An acknowledgement is lost: no message goes to two consumers with transactions.",
        except: atEveryFrame,
        tests: [everyFrame],
      },
      {
        id: "F104",
        scenario: "A producer is closed before its transaction ends: what it sent counts.",
      },
    ],
  },
  {
    title: "Branches of distributed transactions",
    scenarios: [
      { id: "F36", scenario: "Before its end: gone, and the application is told." },
      { id: "F37", scenario: "After its end, before it is prepared: the same." },
      { id: "F38", scenario: "Prepared: committed by repeating, or rolled back, whole." },
      { id: "F39", scenario: "Committed before: fine." },
      {
        id: "F40",
        scenario: "Committed in one phase without having been prepared: unknown to the broker.",
      },
      { id: "F41", scenario: "The same for what a branch consumed." },
      {
        id: "F103",
        scenario: "The answer to prepare or commit is lost: found out, repeated.",
        tests: [everyFrame],
      },
    ],
  },
  {
    title: "Connections that break and come back",
    scenarios: [
      {
        id: "F80",
        scenario: "A connection breaks at any frame, either way: nothing lost, nothing doubled.",
        except: atEveryFrame,
        tests: [everyFrame, "settles when nothing passes any more and nobody says so"],
      },
      {
        id: "F80b",
        scenario: "It breaks again while it returns, at any frame.",
        except: atEveryFrame,
        tests: [again],
      },
      {
        id: "F81",
        scenario: "The attempts are used up: everything that waits is told, with an event.",
      },
      {
        id: "F82",
        scenario: "Many sessions are being opened as it fails: all are, or say why not.",
      },
      { id: "F83", scenario: "Afterwards the window of a consumer is right." },
      {
        id: "F84",
        scenario: "The creation of a queue is cut in its middle: it is there.",
        except: atEveryFrame,
        tests: [everyFrame],
      },
      {
        id: "F85",
        scenario: "The pauses between attempts grow up to their limit.",
        except: {
          cut: "shown with a clock",
          restart: "shown with a clock",
          pair: "shown with a clock",
        },
        tests: ["tries again as often as initialAttempts says, with pauses"],
      },
      { id: "F87", scenario: "The order of a producer's sends is kept." },
      { id: "F91", scenario: "Sends without waiting, in full flow: no gap, no double, in order." },
      {
        id: "F88",
        scenario: "Everything at random, for a long time.",
        except: {
          cut: "`npm run torture`",
          restart: "`npm run torture`",
          pair: "`npm run torture`",
        },
        tests: ["nothing is lost or doubled when connections break at any byte"],
      },
      { id: "F89", scenario: "It is told once, and once that it is over." },
      {
        id: "F90",
        scenario: "Senders that wait for credit go on.",
        except: { ...atEveryFrame, cut: "shown at a full address" },
        tests: ["wait while no broker is there, however long"],
      },
      {
        id: "F92",
        scenario: "Temporary queues are made again; a connection can be closed meanwhile.",
      },
      {
        id: "F95",
        scenario: "A client dies: what it had comes to others, and nothing is left of it.",
      },
      { id: "F101", scenario: "Many consumers are closed meanwhile: nothing is left of them." },
      { id: "F105", scenario: "A consumer that pulls goes on." },
      {
        id: "F118",
        scenario:
          "Nothing passes any more one way, and nobody says so: whoever hears nothing ends the connection, nothing is lost or doubled.",
        except: nobodyDies,
      },
      {
        id: "F119",
        scenario:
          "Everything comes later than calls wait: they say unknown, what they did can be asked about, the connection stays.",
        except: nobodyDies,
      },
    ],
  },
];
