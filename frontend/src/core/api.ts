// Made by `just types` of the hub's AsyncAPI document. Do not edit.

/**
 * Names a project.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectId".
 */
export type ProjectId = string;
/**
 * Names a node: 1–512 characters without control characters.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NodeId".
 */
export type NodeId = string;
/**
 * Names one life of a project's log; empty where there is none.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Epoch".
 */
export type Epoch = string;
/**
 * Counts the events of one life, from 1; 0 is before the first.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Seq".
 */
export type Seq = number;
/**
 * `<epoch>:<seq>`: after event `seq` of the life `epoch`. `:0` is the beginning of whatever life there is.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Position".
 */
export type Position = string;
/**
 * RFC 3339, in UTC, with microseconds and `Z`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Time".
 */
export type Time = string;
/**
 * What was wrong. Each has its HTTP status: `invalid_json` 400, `invalid_message` 400, `invalid_event` 400, `invalid_project_id` 400, `invalid_position` 400, `mixed_projects` 400, `too_large` 413, `node_too_large` 409, `project_full` 409, `subject_full` 409, `idempotency_conflict` 409, `invalid_transition` 409, `project_damaged` 409, `prompt_closed` 409, `no_orchestrator` 409, `too_many_subscriptions` 429, `rate_limited` 429, `unauthorized` 401, `forbidden` 403, `not_found` 404, `gone` 410, `overloaded` 503, `store_unavailable` 503, `draining` 503, `internal` 500.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ErrorCode".
 */
export type ErrorCode =
  | "invalid_json"
  | "invalid_message"
  | "invalid_event"
  | "invalid_project_id"
  | "invalid_position"
  | "mixed_projects"
  | "too_large"
  | "node_too_large"
  | "project_full"
  | "subject_full"
  | "idempotency_conflict"
  | "invalid_transition"
  | "project_damaged"
  | "prompt_closed"
  | "no_orchestrator"
  | "too_many_subscriptions"
  | "rate_limited"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "gone"
  | "overloaded"
  | "store_unavailable"
  | "draining"
  | "internal";
/**
 * The last word of the project's orchestrator; null if it never said one.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorFields".
 */
export type OrchestratorFields = {
  /**
   * `running`, `stopped` or `error`, unless it said another.
   */
  status?: string;
  [k: string]: unknown;
} & OrchestratorFields1;
export type OrchestratorFields1 = {
  /**
   * `running`, `stopped` or `error`, unless it said another.
   */
  status?: string;
  [k: string]: unknown;
} | null;
/**
 * The last `coordination_update`; null if there was none.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CoordinationFields".
 */
export type CoordinationFields = {
  /**
   * How many agents work.
   */
  active_agents?: number;
  /**
   * Agents by name.
   */
  agents?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
} & CoordinationFields1;
export type CoordinationFields1 = {
  /**
   * How many agents work.
   */
  active_agents?: number;
  /**
   * Agents by name.
   */
  agents?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
} | null;
/**
 * The project's own state, set by `state_transition` without a node; null before the first.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectState".
 */
export type ProjectState = string | null;
/**
 * Names a request; its answer carries it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "RequestId".
 */
export type RequestId = string | number;
/**
 * What happens when this reader is too slow: what changed in one message, the whole state, or close 4008.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Policy".
 */
export type Policy = "conflate" | "resync" | "disconnect";
/**
 * An event at its position; `type` tells which.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Event".
 */
export type Event =
  | NodeUpdateEvent
  | ProjectUpdateEvent
  | LogEvent
  | StateTransitionEvent
  | MissionSnapshotEvent
  | OrchestratorStartedEvent
  | OrchestratorStoppedEvent
  | OrchestratorErrorEvent
  | CoordinationUpdateEvent
  | ProjectCreatedEvent
  | ProjectUpdatedEvent
  | TaskCreatedEvent
  | TaskUpdatedEvent
  | TaskStatusChangedEvent
  | TaskCompletedEvent
  | TaskQueuedForMergeEvent
  | TaskMergedEvent
  | TaskDeletedEvent
  | TasksResetEvent
  | ProjectResetEvent
  | ProjectDeletedEvent
  | PromptEvent
  | PromptResolvedEvent
  | CommandEvent
  | CommandResultEvent
  | NotificationEvent
  | NotificationsReadEvent
  | OtherEvent;
/**
 * A question to people is open.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "PromptEvent".
 */
export type PromptEvent = {
  [k: string]: unknown;
} & {
  type: "prompt";
  project_id?: ProjectId;
  user_id?: UserId;
  data: PromptData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
};
/**
 * Names a user: 1–256 characters without control characters; with tokens it is the token's `sub`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "UserId".
 */
export type UserId = string;
/**
 * Names a prompt; the asker may choose it, so that the same question is asked once.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "PromptId".
 */
export type PromptId = string;
/**
 * A prompt is settled.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "PromptResolvedEvent".
 */
export type PromptResolvedEvent = {
  [k: string]: unknown;
} & {
  type: "prompt_resolved";
  project_id?: ProjectId;
  user_id?: UserId;
  data: PromptResolvedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
};
/**
 * Names a command.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandId".
 */
export type CommandId = string;
/**
 * A subscription stands at this position.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Subscribed".
 */
export type Subscribed = {
  [k: string]: unknown;
} & {
  type: "subscribed";
  project_id?: ProjectId;
  user_id?: UserId;
  seq: Seq;
  epoch: Epoch;
  /**
   * true: exactly the events after `since` follow. false: a gap; the state follows, or `project_deleted`. null: no `since` was given, or a new life begins.
   */
  recovered: boolean | null;
  id?: RequestId;
};
/**
 * The whole state at this position, in parts of one frozen snapshot; swap trees at the last.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectStatePart".
 */
export type ProjectStatePart = {
  [k: string]: unknown;
} & {
  type: "project_state";
  project_id?: ProjectId;
  user_id?: UserId;
  seq: Seq;
  epoch: Epoch;
  /**
   * It was asked for, there is a gap, or this reader was too slow.
   */
  reason: "initial" | "gap" | "shed";
  /**
   * Which part, from 1.
   */
  part: number;
  /**
   * How many there are.
   */
  parts: number;
  /**
   * The latter of a user's log.
   */
  data: StatePartData | UserStateData;
};
/**
 * Everything between `after` and `seq` in one step.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Conflated".
 */
export type Conflated = {
  [k: string]: unknown;
} & {
  type: "conflated";
  project_id?: ProjectId;
  user_id?: UserId;
  epoch: Epoch;
  after: Seq;
  seq: Seq;
  /**
   * Take out exactly these nodes, nothing under them.
   */
  removed: NodeId[];
  /**
   * Put each in, whole.
   */
  nodes: Node[];
  state?: ProjectState;
  project?: ProjectFields;
  orchestrator?: OrchestratorFields;
  coordination?: CoordinationFields;
  /**
   * The kept events of that stretch: to show, never to reduce.
   */
  events: Event[];
  /**
   * Lines of output left out, by node; those without a node under the empty name.
   */
  logs_skipped?: {
    /**
     * How many.
     */
    [k: string]: number;
  };
  /**
   * The open questions to people, the oldest first.
   */
  prompts?: PromptData[];
  /**
   * Of a user's log: the seq up to which the user has read.
   */
  read?: number;
};
/**
 * Answer to `unsubscribe`; without `id`, word that a subscription ended by itself.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Unsubscribed".
 */
export type Unsubscribed = {
  [k: string]: unknown;
} & {
  type: "unsubscribed";
  project_id?: ProjectId | "*";
  user_id?: UserId;
  id?: RequestId;
};
/**
 * Watch a project; replaces a subscription to it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Subscribe".
 */
export type Subscribe = {
  [k: string]: unknown;
} & {
  type: "subscribe";
  id?: RequestId;
  /**
   * A project, or `*` for all that the caller may watch, those to come included.
   */
  project_id?: ProjectId | "*";
  user_id?: UserId;
  /**
   * Go on after this position; with `*` an object of positions by project.
   */
  since?:
    | Position
    | {
        [k: string]: Position;
      };
  policy?: Policy;
  /**
   * Begin with the whole state; not together with `since`.
   */
  state?: boolean;
};
/**
 * Stop watching a project, or all; with `*` in force, a name is taken out of it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Unsubscribe".
 */
export type Unsubscribe = {
  [k: string]: unknown;
} & {
  type: "unsubscribe";
  id?: RequestId;
  /**
   * A project, or `*` for all that the caller may watch, those to come included.
   */
  project_id?: ProjectId | "*";
  user_id?: UserId;
};
/**
 * How far this client has rendered a project, or a user has read their own log; only the latter is answered, if it has an `id`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "WatermarkAck".
 */
export type WatermarkAck = {
  [k: string]: unknown;
} & {
  type: "ack";
  project_id?: ProjectId;
  user_id?: UserId;
  seq: Seq;
  id?: RequestId;
};
/**
 * What a native watcher is told; `type` tells which. (A personal message may be any object.)
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "WatchMessage".
 */
export type WatchMessage =
  | Welcome
  | Subscribed
  | ProjectStatePart
  | Conflated
  | Heartbeat
  | Pong
  | Unsubscribed
  | Reply
  | Draining
  | ErrorMessage
  | Event
  | BroadcastMessage;
/**
 * What a native watcher may ask; `type` tells which.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "WatchRequest".
 */
export type WatchRequest = Subscribe | Unsubscribe | Ping | WatermarkAck | Refresh | Answer | Command;
/**
 * What a producer is told; `type` tells which.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProducerMessage".
 */
export type ProducerMessage = Acknowledgement | ErrorMessage | Pong | Draining | Instruction | Reply;
/**
 * What a producer may say.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProducerRequest".
 */
export type ProducerRequest = Publish | BareEvent | Ping | CommandResult;
/**
 * An execution's id: its project is `execution:` and this.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionId".
 */
export type ExecutionId = string;
/**
 * How it stands. After `completed` and `failed` its stream ends.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionStatus".
 */
export type ExecutionStatus = "pending" | "running" | "completed" | "failed";

export interface Everything {
  [k: string]: unknown;
}
/**
 * A node, whole. Beside these it may have any field that somebody gave it. Types hold for what `node_update` sets; a TaskTree event's fields are taken as they come.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Node".
 */
export interface Node {
  node_id: NodeId;
  /**
   * The node it is shown under. A mere field: orphans and cycles are stored, and shown at the top.
   */
  parent_id?: string;
  /**
   * What people read.
   */
  title?: string;
  /**
   * What it is, e.g. `folder`, `step`, `task`.
   */
  kind?: string;
  /**
   * `draft`, `ready`, `running`, `review`, `completed`, `failed`, `cancelled`, a task's status, or any word of your own.
   */
  status?: string;
  /**
   * Percent.
   */
  progress?: number;
  /**
   * What is going on, or why it failed.
   */
  message?: string;
  /**
   * Place among its siblings.
   */
  order?: number;
  /**
   * When it began.
   */
  started_at?: string;
  /**
   * When it ended.
   */
  ended_at?: string;
  /**
   * Ids of the nodes it waits for.
   */
  depends_on?: string[];
  /**
   * Which try this is.
   */
  attempt?: number;
  [k: string]: unknown;
}
/**
 * The project's own fields: these, and any that somebody gave it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectFields".
 */
export interface ProjectFields {
  /**
   * What people read.
   */
  title?: string;
  /**
   * Projects that belong together have the same.
   */
  group?: string;
  /**
   * Any labels.
   */
  labels?: {
    [k: string]: unknown;
  };
  /**
   * Where more can be seen.
   */
  url?: string;
  [k: string]: unknown;
}
/**
 * Where one event stands.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "StoredPosition".
 */
export interface StoredPosition {
  project_id: ProjectId;
  epoch: Epoch;
  /**
   * The event's place.
   */
  seq: number;
}
/**
 * Merged into the node's fields, shallowly; null takes a field out. Beside these there may be any.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NodeChanges".
 */
export interface NodeChanges {
  /**
   * The node it is shown under. A mere field: orphans and cycles are stored, and shown at the top.
   */
  parent_id?: string | null;
  /**
   * What people read.
   */
  title?: string | null;
  /**
   * What it is, e.g. `folder`, `step`, `task`.
   */
  kind?: string | null;
  /**
   * `draft`, `ready`, `running`, `review`, `completed`, `failed`, `cancelled`, a task's status, or any word of your own.
   */
  status?: string | null;
  /**
   * Percent.
   */
  progress?: number | null;
  /**
   * What is going on, or why it failed.
   */
  message?: string | null;
  /**
   * Place among its siblings.
   */
  order?: number | null;
  /**
   * When it began.
   */
  started_at?: string | null;
  /**
   * When it ended.
   */
  ended_at?: string | null;
  /**
   * Ids of the nodes it waits for.
   */
  depends_on?: string[] | null;
  /**
   * Which try this is.
   */
  attempt?: number | null;
  /**
   * true: take the node out with everything under it; the other changes are ignored.
   */
  deleted?: boolean | null;
  [k: string]: unknown;
}
/**
 * Merged into the project's own fields, shallowly; null takes a field out. Beside these there may be any.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectChanges".
 */
export interface ProjectChanges {
  /**
   * What people read.
   */
  title?: string | null;
  /**
   * Projects that belong together have the same.
   */
  group?: string | null;
  /**
   * Any labels.
   */
  labels?: {
    [k: string]: unknown;
  };
  /**
   * Where more can be seen.
   */
  url?: string | null;
  [k: string]: unknown;
}
/**
 * The data of `node_update`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NodeUpdateData".
 */
export interface NodeUpdateData {
  node_id: NodeId;
  changes: NodeChanges;
  [k: string]: unknown;
}
/**
 * A node is made or changed, or taken out.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NodeUpdateEvent".
 */
export interface NodeUpdateEvent {
  type: "node_update";
  project_id: ProjectId;
  data: NodeUpdateData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `project_update`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectUpdateData".
 */
export interface ProjectUpdateData {
  changes: ProjectChanges;
  [k: string]: unknown;
}
/**
 * The project's own fields change.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectUpdateEvent".
 */
export interface ProjectUpdateEvent {
  type: "project_update";
  project_id: ProjectId;
  data: ProjectUpdateData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `log`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "LogData".
 */
export interface LogData {
  /**
   * The node.
   */
  node_id?: string | null;
  /**
   * As in `info`.
   */
  level: string;
  /**
   * The line; ANSI colours are kept.
   */
  message: string;
  /**
   * As in `stderr`.
   */
  stream?: string | null;
  [k: string]: unknown;
}
/**
 * A line of output. Changes nothing in the tree.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "LogEvent".
 */
export interface LogEvent {
  type: "log";
  project_id: ProjectId;
  data: LogData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `state_transition`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "StateTransitionData".
 */
export interface StateTransitionData {
  /**
   * The node.
   */
  node_id?: string | null;
  /**
   * What it was; not checked by the reducer.
   */
  from?: string | null;
  /**
   * What it is now.
   */
  to: string;
  /**
   * Why.
   */
  context?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * A node's status, or without a node the project's state, passes from one to another.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "StateTransitionEvent".
 */
export interface StateTransitionEvent {
  type: "state_transition";
  project_id: ProjectId;
  data: StateTransitionData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `mission_snapshot`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "MissionSnapshotData".
 */
export interface MissionSnapshotData {
  /**
   * Which.
   */
  snapshot_id: string;
  [k: string]: unknown;
}
/**
 * Somebody took a snapshot.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "MissionSnapshotEvent".
 */
export interface MissionSnapshotEvent {
  type: "mission_snapshot";
  project_id: ProjectId;
  data: MissionSnapshotData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `orchestrator_started`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorStartedData".
 */
export interface OrchestratorStartedData {
  /**
   * `running`.
   */
  status?: string;
  /**
   * Whether agents talk over A2AMCP.
   */
  a2amcp_enabled?: boolean;
  [k: string]: unknown;
}
/**
 * The orchestrator runs.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorStartedEvent".
 */
export interface OrchestratorStartedEvent {
  type: "orchestrator_started";
  project_id: ProjectId;
  data: OrchestratorStartedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `orchestrator_stopped`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorStoppedData".
 */
export interface OrchestratorStoppedData {
  /**
   * `stopped`.
   */
  status?: string;
  [k: string]: unknown;
}
/**
 * The orchestrator has stopped.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorStoppedEvent".
 */
export interface OrchestratorStoppedEvent {
  type: "orchestrator_stopped";
  project_id: ProjectId;
  data: OrchestratorStoppedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `orchestrator_error`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorErrorData".
 */
export interface OrchestratorErrorData {
  /**
   * What went wrong.
   */
  error: string;
  [k: string]: unknown;
}
/**
 * The orchestrator has failed.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorErrorEvent".
 */
export interface OrchestratorErrorEvent {
  type: "orchestrator_error";
  project_id: ProjectId;
  data: OrchestratorErrorData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `coordination_update`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CoordinationUpdateData".
 */
export interface CoordinationUpdateData {
  /**
   * How many.
   */
  active_agents: number;
  /**
   * By name.
   */
  agents: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * Which agents are at work.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CoordinationUpdateEvent".
 */
export interface CoordinationUpdateEvent {
  type: "coordination_update";
  project_id: ProjectId;
  data: CoordinationUpdateData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `project_created`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectCreatedData".
 */
export interface ProjectCreatedData {
  /**
   * Becomes the title.
   */
  name?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: the whole project.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectCreatedEvent".
 */
export interface ProjectCreatedEvent {
  type: "project_created";
  project_id: ProjectId;
  data: ProjectCreatedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `project_updated`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectUpdatedData".
 */
export interface ProjectUpdatedData {
  /**
   * Becomes the title.
   */
  name?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: the whole project.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectUpdatedEvent".
 */
export interface ProjectUpdatedEvent {
  type: "project_updated";
  project_id: ProjectId;
  data: ProjectUpdatedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `task_created`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskCreatedData".
 */
export interface TaskCreatedData {
  /**
   * The task.
   */
  id?: string | number;
  /**
   * The task, by its number or its name.
   */
  task_id?: string | number;
  /**
   * Ids of tasks; become `depends_on`.
   */
  dependencies?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: the whole task.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskCreatedEvent".
 */
export interface TaskCreatedEvent {
  type: "task_created";
  project_id: ProjectId;
  data: TaskCreatedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `task_updated`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskUpdatedData".
 */
export interface TaskUpdatedData {
  /**
   * The task.
   */
  id?: string | number;
  /**
   * The task, by its number or its name.
   */
  task_id?: string | number;
  /**
   * Ids of tasks; become `depends_on`.
   */
  dependencies?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: the whole task.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskUpdatedEvent".
 */
export interface TaskUpdatedEvent {
  type: "task_updated";
  project_id: ProjectId;
  data: TaskUpdatedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `task_status_changed`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskStatusChangedData".
 */
export interface TaskStatusChangedData {
  /**
   * The task, by its number or its name.
   */
  task_id: string | number;
  /**
   * `unclaimed`, `up_next`, `in_progress`, `completed`, `merged` or another.
   */
  status: string;
  [k: string]: unknown;
}
/**
 * TaskTree: a task's status.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskStatusChangedEvent".
 */
export interface TaskStatusChangedEvent {
  type: "task_status_changed";
  project_id: ProjectId;
  data: TaskStatusChangedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `task_completed`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskCompletedData".
 */
export interface TaskCompletedData {
  /**
   * The task, by its number or its name.
   */
  task_id?: string | number;
  /**
   * Where.
   */
  branch?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: sets the status `completed`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskCompletedEvent".
 */
export interface TaskCompletedEvent {
  type: "task_completed";
  project_id: ProjectId;
  data: TaskCompletedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `task_queued_for_merge`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskQueuedForMergeData".
 */
export interface TaskQueuedForMergeData {
  /**
   * The task, by its number or its name.
   */
  task_id?: string | number;
  /**
   * Its title.
   */
  title?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: sets the status `queued_for_merge`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskQueuedForMergeEvent".
 */
export interface TaskQueuedForMergeEvent {
  type: "task_queued_for_merge";
  project_id: ProjectId;
  data: TaskQueuedForMergeData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `task_merged`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskMergedData".
 */
export interface TaskMergedData {
  /**
   * The task, by its number or its name.
   */
  task_id?: string | number;
  /**
   * Where.
   */
  branch?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: sets the status `merged`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskMergedEvent".
 */
export interface TaskMergedEvent {
  type: "task_merged";
  project_id: ProjectId;
  data: TaskMergedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `task_deleted`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskDeletedData".
 */
export interface TaskDeletedData {
  /**
   * The task, by its number or its name.
   */
  task_id?: string | number;
  [k: string]: unknown;
}
/**
 * TaskTree: takes the task out with everything under it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TaskDeletedEvent".
 */
export interface TaskDeletedEvent {
  type: "task_deleted";
  project_id: ProjectId;
  data: TaskDeletedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `tasks_reset`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TasksResetData".
 */
export interface TasksResetData {
  /**
   * How many.
   */
  reset_count?: {
    [k: string]: unknown;
  };
  /**
   * How many.
   */
  killed_sessions?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: every task that is not merged is unclaimed again.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TasksResetEvent".
 */
export interface TasksResetEvent {
  type: "tasks_reset";
  project_id: ProjectId;
  data: TasksResetData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `project_reset`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectResetData".
 */
export interface ProjectResetData {
  [k: string]: unknown;
}
/**
 * TaskTree: all tasks are taken out.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectResetEvent".
 */
export interface ProjectResetEvent {
  type: "project_reset";
  project_id: ProjectId;
  data: ProjectResetData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The data of `project_deleted`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectDeletedData".
 */
export interface ProjectDeletedData {
  /**
   * The project.
   */
  project_id?: {
    [k: string]: unknown;
  };
  /**
   * Whether more than the log was cleaned up.
   */
  cleanup_performed?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * The project's life ends with this event: empty the tree.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectDeletedEvent".
 */
export interface ProjectDeletedEvent {
  type: "project_deleted";
  project_id: ProjectId;
  data: ProjectDeletedData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * An event of any other type passes through as it was sent.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OtherEvent".
 */
export interface OtherEvent {
  /**
   * Any type that this document does not know.
   */
  type: string;
  project_id: ProjectId;
  /**
   * As it was sent.
   */
  data: {
    [k: string]: unknown;
  };
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * A question to people.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "PromptData".
 */
export interface PromptData {
  prompt_id: PromptId;
  project_id?: ProjectId;
  user_id?: UserId;
  node_id?: NodeId;
  /**
   * The question.
   */
  message: string;
  /**
   * What can be chosen.
   *
   * @minItems 1
   * @maxItems 50
   */
  options?: [Option, ...Option[]];
  /**
   * A JSON Schema that `value` must satisfy.
   */
  schema?:
    | {
        [k: string]: unknown;
      }
    | boolean;
  deadline: Time;
  default: Choice;
  /**
   * The asker's own, kept beside the question for those who show it.
   */
  data?: {
    [k: string]: unknown;
  };
}
/**
 * One thing to choose.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Option".
 */
export interface Option {
  /**
   * What `value` is if this is chosen.
   */
  id: string;
  /**
   * What people read.
   */
  label: string;
}
/**
 * An answer in short.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Choice".
 */
export interface Choice {
  /**
   * Yes or no.
   */
  proceed: boolean;
  /**
   * One of the options' ids, or what satisfies the schema; else anything, if anything is given.
   */
  value?: {
    [k: string]: unknown;
  };
}
/**
 * What a prompt came to.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "PromptResolvedData".
 */
export interface PromptResolvedData {
  prompt_id: PromptId;
  project_id?: ProjectId;
  user_id?: UserId;
  node_id?: NodeId;
  /**
   * Yes or no.
   */
  proceed: boolean;
  /**
   * What was chosen or entered.
   */
  value?: {
    [k: string]: unknown;
  };
  /**
   * A remark of whoever answered.
   */
  feedback?: string;
  /**
   * Whose token it was; null without authentication, and where nobody did it.
   */
  by: string | null;
  /**
   * An answer, the default at the deadline, or taken back (also with its project).
   */
  how: "answered" | "timeout" | "cancelled";
  via?: Via;
}
/**
 * How somebody spoke.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Via".
 */
export interface Via {
  /**
   * `http`, or the language of the connection.
   */
  dialect: string;
  /**
   * The connection's id.
   */
  connection?: string;
  /**
   * Where the request came from.
   */
  address?: string;
}
/**
 * A command was sent to the project's orchestrator.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandEvent".
 */
export interface CommandEvent {
  type: "command";
  project_id: ProjectId;
  data: CommandData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * A command to the project's orchestrator.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandData".
 */
export interface CommandData {
  command_id: CommandId;
  /**
   * Usual ones: `cancel`, `retry`, `pause`, `resume`.
   */
  name: string;
  node_id?: NodeId;
  /**
   * Whatever the orchestrator understands.
   */
  args?: {
    [k: string]: unknown;
  };
  /**
   * Whose token it was; null without authentication.
   */
  by: string | null;
  via: Via;
}
/**
 * What the orchestrator said of a command, or what became of it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandResultEvent".
 */
export interface CommandResultEvent {
  type: "command_result";
  project_id: ProjectId;
  data: CommandResultData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * What an orchestrator said of a command, or what became of it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandResultData".
 */
export interface CommandResultData {
  command_id: CommandId;
  /**
   * `accepted` settles nothing. `timeout`: no orchestrator said anything in time; `cancelled`: the project was deleted.
   */
  status: "accepted" | "done" | "refused" | "timeout" | "cancelled";
  /**
   * Why, in words.
   */
  message?: string;
  node_id?: NodeId;
}
/**
 * A user is told something.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NotificationEvent".
 */
export interface NotificationEvent {
  type: "notification";
  user_id: UserId;
  data: NotificationData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * Something a user is told.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NotificationData".
 */
export interface NotificationData {
  /**
   * In short.
   */
  title: string;
  /**
   * At length.
   */
  body?: string;
  /**
   * As in `info`.
   */
  level?: string;
  /**
   * Where more can be seen.
   */
  url?: string;
  /**
   * Anything else.
   */
  data?: {
    [k: string]: unknown;
  };
}
/**
 * A user has read up to a position.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NotificationsReadEvent".
 */
export interface NotificationsReadEvent {
  type: "notifications_read";
  user_id: UserId;
  data: NotificationsReadData;
  timestamp: Time;
  /**
   * Its place in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The user has read up to here.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NotificationsReadData".
 */
export interface NotificationsReadData {
  /**
   * Of the user's log.
   */
  seq: number;
}
/**
 * For every watcher: it has no project, no position, and is not stored.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "BroadcastMessage".
 */
export interface BroadcastMessage {
  /**
   * Any word.
   */
  type: string;
  project_id: null;
  data: {
    [k: string]: unknown;
  };
  timestamp: Time;
}
/**
 * Any JSON object, for this connection alone, said by the program that embeds the hub.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "PersonalMessage".
 */
export interface PersonalMessage {
  [k: string]: unknown;
}
/**
 * The first message.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Welcome".
 */
export interface Welcome {
  type: "welcome";
  data: {
    /**
     * Names this connection.
     */
    connection_id: string;
    /**
     * Seconds; nothing for half as long again means that the hub is gone.
     */
    heartbeat_interval: number;
    server_time: Time;
    /**
     * Bytes; a larger message closes 1009.
     */
    max_message_size: number;
  };
}
/**
 * Part 1 carries everything, and its share of the nodes; later parts carry nodes only.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "StatePartData".
 */
export interface StatePartData {
  state?: ProjectState;
  project?: ProjectFields;
  orchestrator?: OrchestratorFields;
  coordination?: CoordinationFields;
  /**
   * The open questions to people, the oldest first.
   */
  prompts?: PromptData[];
  nodes: Node[];
}
/**
 * The state of a user's log: one part, no nodes.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "UserStateData".
 */
export interface UserStateData {
  /**
   * The open questions to people, the oldest first.
   */
  prompts: PromptData[];
  /**
   * The seq up to which the user has read.
   */
  read: number;
}
/**
 * Where this connection stands, every `heartbeat_interval`, whatever else is sent.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Heartbeat".
 */
export interface Heartbeat {
  type: "heartbeat";
  timestamp: Time;
  /**
   * The last position put on this connection, by project; those in which it is behind are left out.
   */
  positions: {
    [k: string]: Position;
  };
  /**
   * The same of users' logs, by user; left out if there are none.
   */
  user_positions?: {
    [k: string]: Position;
  };
}
/**
 * Answer to `ping`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Pong".
 */
export interface Pong {
  type: "pong";
  id?: RequestId;
}
/**
 * A request is done and has no answer of its own: `answer`, `command`, `ack` of a user's log, `refresh`, or `subscribe` to `*` once every project is open. To a producer: its `command_result` is stored.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Reply".
 */
export interface Reply {
  type: "reply";
  id?: RequestId;
  /**
   * Names a command.
   */
  command_id?: string;
}
/**
 * The hub stops; close 1012 follows.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Draining".
 */
export interface Draining {
  type: "draining";
  data: {
    /**
     * Come back after so many milliseconds.
     */
    reconnect_after_ms: number;
  };
}
/**
 * A request failed, or something cannot be understood.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ErrorMessage".
 */
export interface ErrorMessage {
  type: "error";
  id?: RequestId;
  code: ErrorCode;
  /**
   * One sentence for a person.
   */
  message: string;
  /**
   * Where in the message the fault is.
   */
  field?: string;
  /**
   * The same may be sent again after so many milliseconds.
   */
  retry_after_ms?: number;
  /**
   * With `prompt_closed`, and `gone` of a command: what settled it.
   */
  outcome?: {
    [k: string]: unknown;
  };
  /**
   * Names a project.
   */
  project_id?: string;
  /**
   * Names a user: 1–256 characters without control characters; with tokens it is the token's `sub`.
   */
  user_id?: string;
}
/**
 * Asks for a `pong`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Ping".
 */
export interface Ping {
  type: "ping";
  id?: RequestId;
}
/**
 * A new token for a connection whose old one runs out.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Refresh".
 */
export interface Refresh {
  type: "refresh";
  id?: RequestId;
  /**
   * A new JSON Web Token.
   */
  token: string;
}
/**
 * An event on its way in. Other keys are ignored.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NewEvent".
 */
export interface NewEvent {
  /**
   * Known types are checked; the name of a message of the hub's own is refused.
   */
  type: string;
  project_id: ProjectId;
  /**
   * As in the event of that type; empty if left out.
   */
  data?: {
    [k: string]: unknown;
  };
  /**
   * RFC 3339, when it happened; the time of receipt if left out.
   */
  timestamp?: string | null;
  [k: string]: unknown;
}
/**
 * Publish events of one project. With an `id` on a connection with a `producer_id` it is kept once, however often it is sent.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Publish".
 */
export interface Publish {
  type: "publish";
  id?: RequestId;
  /**
   * All of one project; kept all or none.
   *
   * @minItems 1
   */
  events: [NewEvent, ...NewEvent[]];
}
/**
 * One event by itself. Without an `id` it is answered only if it is refused.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "BareEvent".
 */
export interface BareEvent {
  id?: RequestId;
  /**
   * Any event type but those the hub says itself; the name of a message of the hub's own is refused.
   */
  type: string;
  project_id: ProjectId;
  data?: {
    [k: string]: unknown;
  };
  timestamp?: string | null;
  [k: string]: unknown;
}
/**
 * The publish is on disk, and handed to every watcher's outbox. Acks come in the order of the publishes.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Acknowledgement".
 */
export interface Acknowledgement {
  type: "ack";
  /**
   * That of the publish; null if it had none.
   */
  id: string | number | null;
  /**
   * One for each event, in the order sent.
   *
   * @minItems 1
   */
  positions: [StoredPosition, ...StoredPosition[]];
  /**
   * The same publish was kept before: these are its positions.
   */
  duplicate: boolean;
}
/**
 * Answer a prompt; the first valid answer settles it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Answer".
 */
export interface Answer {
  type: "answer";
  id?: RequestId;
  prompt_id: PromptId;
  /**
   * Yes or no.
   */
  proceed: boolean;
  /**
   * One of the options' ids, or what satisfies the schema. Needed with `proceed: true` where the prompt has either.
   */
  value?: {
    [k: string]: unknown;
  };
  /**
   * A remark.
   */
  feedback?: string;
}
/**
 * Tell the orchestrator of a project what to do.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Command".
 */
export interface Command {
  type: "command";
  id?: RequestId;
  project_id: ProjectId;
  /**
   * Usual ones: `cancel`, `retry`, `pause`, `resume`.
   */
  name: string;
  node_id?: NodeId;
  /**
   * Whatever the orchestrator understands.
   */
  args?: {
    [k: string]: unknown;
  };
}
/**
 * A command that this orchestrator is to obey: answer it with `command_result`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Instruction".
 */
export interface Instruction {
  type: "command";
  project_id: ProjectId;
  command_id: CommandId;
  /**
   * Usual ones: `cancel`, `retry`, `pause`, `resume`.
   */
  name: string;
  node_id?: NodeId;
  /**
   * Whatever the orchestrator understands.
   */
  args?: {
    [k: string]: unknown;
  };
  /**
   * Whose token it was; null without authentication.
   */
  by: string | null;
  via: Via;
}
/**
 * What this orchestrator says of a command it was given. The first `done` or `refused` settles it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandResult".
 */
export interface CommandResult {
  type: "command_result";
  id?: RequestId;
  command_id: CommandId;
  /**
   * `accepted`: it is being done, and does not time out any more.
   */
  status: "accepted" | "done" | "refused";
  /**
   * Why, in words.
   */
  message?: string;
}
/**
 * How an execution stands.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "StatusMessage".
 */
export interface StatusMessage {
  type: "status";
  execution_id: ExecutionId;
  status: ExecutionStatus;
  /**
   * What its worker set, else the share of finished leaves in percent.
   */
  progress: number;
  /**
   * What its worker says, or null.
   */
  message: {
    [k: string]: unknown;
  };
  /**
   * Any JSON.
   */
  result: {
    [k: string]: unknown;
  };
  /**
   * Why it failed: a string or an object, or null.
   */
  error: {
    [k: string]: unknown;
  };
  /**
   * Seconds it has been running, or ran; null before it began.
   */
  execution_time: number | null;
}
/**
 * A node, whole: all its fields beside these. With `deleted` it is gone.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NodeMessage".
 */
export interface NodeMessage {
  type: "node";
  execution_id: ExecutionId;
  node_id: NodeId;
  /**
   * The node's status, if it has one.
   */
  status: string | null;
  /**
   * There only where it is gone.
   */
  deleted?: true;
  [k: string]: unknown;
}
/**
 * A line of output.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "LineMessage".
 */
export interface LineMessage {
  type: "log";
  execution_id: ExecutionId;
  /**
   * As its producer says.
   */
  level: string;
  /**
   * The line, with its colours.
   */
  message: string;
  timestamp: Time;
  node_id?: NodeId;
  /**
   * Where it came from.
   */
  stream?: string;
}
/**
 * Answer to `ping`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionPong".
 */
export interface ExecutionPong {
  type: "pong";
}
/**
 * What was wrong, in words.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionError".
 */
export interface ExecutionError {
  type: "error";
  /**
   * A sentence for a person.
   */
  message: string;
}
/**
 * Asks for `pong`; other keys are ignored.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionPing".
 */
export interface ExecutionPing {
  type: "ping";
  [k: string]: unknown;
}
/**
 * Answered with the whole request.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsPing".
 */
export interface AiecsPing {
  /**
   * Always so.
   */
  action: "ping";
  [k: string]: unknown;
}
/**
 * From now on this user's messages; what is open is offered.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsSubscribe".
 */
export interface AiecsSubscribe {
  /**
   * Always so.
   */
  action: "subscribe";
  /**
   * Whose messages.
   */
  user_id?: string;
}
/**
 * A task is to end: told to all, and to its orchestrator as a command.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsCancel".
 */
export interface AiecsCancel {
  /**
   * Always so.
   */
  action: "cancel";
  /**
   * Whose task.
   */
  user_id?: string;
  /**
   * The task.
   */
  task_id?: string;
  [k: string]: unknown;
}
/**
 * Answers a question; the first answer counts, and there is no reply.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsConfirm".
 */
export interface AiecsConfirm {
  /**
   * Always so.
   */
  action: "confirm";
  /**
   * The question.
   */
  callback_id?: string;
  /**
   * Yes or no.
   */
  proceed?: boolean;
  /**
   * A remark.
   */
  feedback?: string | null;
  [k: string]: unknown;
}
/**
 * A message with `requires_ack` has arrived.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsAck".
 */
export interface AiecsAck {
  /**
   * Always so.
   */
  action: "ack";
  /**
   * The message.
   */
  message_id?: string;
  [k: string]: unknown;
}
/**
 * Answer to a ping.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsPong".
 */
export interface AiecsPong {
  /**
   * Always so.
   */
  type: "pong";
  /**
   * Seconds since the Unix epoch.
   */
  timestamp: number;
  /**
   * The request.
   */
  original_data: {
    [k: string]: unknown;
  };
}
/**
 * Answer to a subscription.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsSubscribed".
 */
export interface AiecsSubscribed {
  /**
   * Always so.
   */
  type: "subscription_confirmed";
  /**
   * Whose messages.
   */
  user_id: string;
}
/**
 * A question, from whichever side it was asked.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsStepResult".
 */
export interface AiecsStepResult {
  /**
   * Always so.
   */
  type: "task_step_result";
  /**
   * To answer by.
   */
  callback_id: string;
  /**
   * Whatever the asker gave; null without.
   */
  step: {
    [k: string]: unknown;
  };
  /**
   * The question.
   */
  message: string;
  /**
   * Whatever the asker gave; null without.
   */
  result: {
    [k: string]: unknown;
  };
  /**
   * Whatever the asker gave; null without.
   */
  status: {
    [k: string]: unknown;
  };
  /**
   * Whatever the asker gave; null without.
   */
  error_code: {
    [k: string]: unknown;
  };
  /**
   * Whatever the asker gave; null without.
   */
  error_message: {
    [k: string]: unknown;
  };
  /**
   * Who is asked.
   */
  user_id: string | null;
  /**
   * Whatever the asker gave; null without.
   */
  task_id: {
    [k: string]: unknown;
  };
  /**
   * Seconds since the Unix epoch.
   */
  timestamp: number;
}
/**
 * A task is still at work.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsHeartbeat".
 */
export interface AiecsHeartbeat {
  /**
   * Always so.
   */
  type: "heartbeat";
  /**
   * Always so.
   */
  status: "heartbeat";
  /**
   * In words.
   */
  message: string;
  /**
   * Whose task.
   */
  user_id: string;
  /**
   * The task.
   */
  task_id: string;
  /**
   * Seconds since the Unix epoch.
   */
  timestamp: number;
}
/**
 * Somebody cancelled a task.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsCancelled".
 */
export interface AiecsCancelled {
  /**
   * Always so.
   */
  type: "task_cancelled";
  /**
   * Whose task.
   */
  user_id: string;
  /**
   * The task.
   */
  task_id: string;
  /**
   * Seconds since the Unix epoch.
   */
  timestamp: number;
}
/**
 * A message for a user: as it was sent, with whom it is for; a notification is one of type `notification`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsUserMessage".
 */
export interface AiecsUserMessage {
  /**
   * Whom it is for.
   */
  target_user_id: string;
  /**
   * Of a notification: seconds since the Unix epoch.
   */
  timestamp?: number;
  [k: string]: unknown;
}
/**
 * What was said cannot be understood.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsError".
 */
export interface AiecsError {
  /**
   * Always so.
   */
  type: "error";
  /**
   * What was wrong.
   */
  message: string;
  /**
   * Seconds since the Unix epoch.
   */
  timestamp: number;
}
/**
 * A client's sign of life. More keys are ignored.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptHeartbeat".
 */
export interface AutoGptHeartbeat {
  method: "heartbeat";
  [k: string]: unknown;
}
/**
 * Show me an execution, or all of a graph. The two shorter methods are older names.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptSubscribe".
 */
export interface AutoGptSubscribe {
  method: "subscribe_graph_execution" | "subscribe_graph_executions" | "subscribe_graph_exec" | "subscribe_graph_execs";
  data: {
    /**
     * One execution.
     */
    graph_exec_id?: string;
    /**
     * Every execution of a graph.
     */
    graph_id?: string;
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * Take it back.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptUnsubscribe".
 */
export interface AutoGptUnsubscribe {
  method: "unsubscribe";
  data: {
    /**
     * One execution.
     */
    graph_exec_id?: string;
    /**
     * Every execution of a graph.
     */
    graph_id?: string;
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * An error of the client's; it has no answer.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptComplaint".
 */
export interface AutoGptComplaint {
  method: "error";
  [k: string]: unknown;
}
/**
 * Answer to a heartbeat; the only message without a channel.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptPong".
 */
export interface AutoGptPong {
  method: "heartbeat";
  data: "pong";
  success: true;
}
/**
 * A subscription stands, or is over; `channel` is null if there was none to end.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptAcknowledged".
 */
export interface AutoGptAcknowledged {
  method:
    | "subscribe_graph_execution"
    | "subscribe_graph_executions"
    | "subscribe_graph_exec"
    | "subscribe_graph_execs"
    | "unsubscribe";
  data: null;
  success: true;
  /**
   * How pushes of it are marked.
   */
  channel: string | null;
  error: null;
}
/**
 * What was said cannot be understood, or events may have been missed.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptError".
 */
export interface AutoGptError {
  method: "error";
  data: null;
  success: false;
  channel: null;
  error: string;
}
/**
 * The whole event as AutoGPT published it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptGraphExecution".
 */
export interface AutoGptGraphExecution {
  method: "graph_execution_event";
  data: {
    [k: string]: unknown;
  };
  success: null;
  channel: string;
  error: null;
}
/**
 * The whole event as AutoGPT published it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptNodeExecution".
 */
export interface AutoGptNodeExecution {
  method: "node_execution_event";
  data: {
    [k: string]: unknown;
  };
  success: null;
  channel: string;
  error: null;
}
/**
 * A notification of the user's, AutoGPT's as it came; any other has the type `tasktree`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptNotice".
 */
export interface AutoGptNotice {
  method: "notification";
  data: {
    type: string;
    event: string;
    [k: string]: unknown;
  };
  success: null;
  channel: null;
  error: null;
}
