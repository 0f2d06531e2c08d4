export type { AnnouncedCommand, Choice, Node, NodeChanges, Option, ProjectFields, Via } from "./api.ts";
export { type Attempt, attemptCount, attempts } from "./attempts.ts";
export { Backoff } from "./backoff.ts";
export { type Heard, HubClock } from "./clock.ts";
export { type AvailableCommands, UNKNOWN_COMMANDS } from "./commands.ts";
export type { Engine, EngineEvents, Status } from "./engine.ts";
export { HubError } from "./errors.ts";
export { parseExact, writeExact } from "./exact.ts";
export { type EventPage, type EventQuery, Http } from "./http.ts";
export { type CommandRequest, createHub, Hub, type HubOptions } from "./hub.ts";
export { type Fields, isObject, number, own, text, texts, time } from "./json.ts";
export { LARGE_FIELDS, type Large, largeOf } from "./large.ts";
export { LocalEngine } from "./local.ts";
export { type Log, type LogLine, type LogScope, LogStore, linesOf, wholeLog } from "./logs.ts";
export { moment, type Ran, ran } from "./moments.ts";
export { type Notice, type Notices, NoticesStore } from "./notices.ts";
export {
  type Outcome,
  type Prompt,
  type PromptAnswer,
  type PromptPlace,
  type Prompts,
  PromptsStore,
  promptKey,
} from "./people.ts";
export { type Position, read as readPosition, write as writePosition } from "./position.ts";
export { type CommandRecord, type Loading, Project } from "./project.ts";
export { Cell, type Readable } from "./readable.ts";
export { Nodes, reduce, type Top } from "./reducer.ts";
export { type ProjectRow, type Rows, RowsStore, type ShownRow } from "./rows.ts";
export type { SearchAnswer, SearchHit, SearchOfAll, SearchPage, SearchQuery } from "./search.ts";
export { type Rollup, Shape } from "./shape.ts";
export { CLASSES, classOf, isEnded, type StatusClass } from "./statuses.ts";
export { type Run, shownLines, shownText } from "./terminal.ts";
export type { TokenSource } from "./tokens.ts";
export type { StoredEvent, Told } from "./told.ts";
export { Travel, type Travelling } from "./travel.ts";
export { onFrame, type Scheduler, type TreeSnapshot, TreeStore } from "./tree.ts";
export {
  cost,
  type Spent,
  spent as spentOf,
  sum as sumSpent,
  summed,
  TOKENS,
  tokensOf,
  totalTokens,
} from "./usage.ts";
export { seqAt } from "./when.ts";
