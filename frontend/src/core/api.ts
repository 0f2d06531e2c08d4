// Made by `just types` of the hub's AsyncAPI document. Do not edit.

/**
 * The id of a project.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectId".
 */
export type ProjectId = string;
/**
 * The id of a node: 1–512 characters without control characters.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NodeId".
 */
export type NodeId = string;
/**
 * A random name for one generation of a project's log; empty if there is no log.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Epoch".
 */
export type Epoch = string;
/**
 * The number of an event in its epoch, from 1; 0 is before the first.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Seq".
 */
export type Seq = number;
/**
 * `<epoch>:<seq>`: the place after event `seq` of that epoch. `:0` is the beginning of the current epoch.
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
 * What was wrong. Each has its HTTP status: `invalid_json` 400, `invalid_message` 400, `invalid_event` 400, `invalid_project_id` 400, `invalid_position` 400, `mixed_projects` 400, `too_large` 413, `node_too_large` 409, `project_full` 409, `subject_full` 409, `idempotency_conflict` 409, `invalid_transition` 409, `project_damaged` 409, `prompt_closed` 409, `no_orchestrator` 409, `ambiguous` 409, `too_many_subscriptions` 429, `rate_limited` 429, `unauthorized` 401, `forbidden` 403, `not_found` 404, `gone` 410, `overloaded` 503, `access_unavailable` 503, `store_unavailable` 503, `draining` 503, `internal` 500.
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
  | "ambiguous"
  | "too_many_subscriptions"
  | "rate_limited"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "gone"
  | "overloaded"
  | "access_unavailable"
  | "store_unavailable"
  | "draining"
  | "internal";
/**
 * The last data of an `orchestrator_*` event; null if there was none.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OrchestratorFields".
 */
export type OrchestratorFields = {
  /**
   * `running`, `stopped` or `error`, unless the event gave another.
   */
  status?: string;
  [k: string]: unknown;
} & OrchestratorFields1;
export type OrchestratorFields1 = {
  /**
   * `running`, `stopped` or `error`, unless the event gave another.
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
   * Number of active agents.
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
   * Number of active agents.
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
 * The id of a request; its answer has the same.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "RequestId".
 */
export type RequestId = string | number;
/**
 * What this reader gets when it is too slow: all changes in one message, the whole state, or close 4008.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Policy".
 */
export type Policy = "conflate" | "resync" | "disconnect";
/**
 * An event at its position, by `type`.
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
 * A prompt is open.
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
   * Its seq in the log.
   */
  seq: number;
  epoch: Epoch;
};
/**
 * The id of a user: 1–256 characters without control characters; with tokens it is the token's `sub`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "UserId".
 */
export type UserId = string;
/**
 * The id of a prompt. If the client chooses it, the same question is opened once.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "PromptId".
 */
export type PromptId = string;
/**
 * A prompt is resolved.
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
   * Its seq in the log.
   */
  seq: number;
  epoch: Epoch;
};
/**
 * The id of a command.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandId".
 */
export type CommandId = string;
/**
 * A subscription begins at this position.
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
   * true: exactly the events after `since` follow. false: a gap; the state follows, or `project_deleted`. null: the request had no `since`, or a new epoch begins.
   */
  recovered: boolean | null;
  id?: RequestId;
};
/**
 * The whole state at this position, in parts of one immutable snapshot. Replace the tree at the last part.
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
   * The client requested it, there is a gap, or this reader was too slow.
   */
  reason: "initial" | "gap" | "shed";
  /**
   * Number of this part, from 1.
   */
  part: number;
  /**
   * Number of parts.
   */
  parts: number;
  /**
   * A `UserState` for a user's log.
   */
  data: StatePartData | UserStateData;
};
/**
 * All changes between `after` and `seq` in one step.
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
   * Remove exactly these nodes, and nothing under them.
   */
  removed: NodeId[];
  /**
   * Store each; it replaces the whole node.
   */
  nodes: Node[];
  state?: ProjectState;
  project?: ProjectFields;
  orchestrator?: OrchestratorFields;
  coordination?: CoordinationFields;
  /**
   * The events of that stretch that conflation keeps: show them, never reduce them.
   */
  events: Event[];
  /**
   * Number of `log` events left out, by node id; "" for those without a node.
   */
  logs_skipped?: {
    /**
     * Number of lines.
     */
    [k: string]: number;
  };
  /**
   * The open prompts, the oldest first.
   */
  prompts?: PromptData[];
  /**
   * For a user's log: the seq of the last event that the user has read.
   */
  read?: number;
};
/**
 * Answer to `unsubscribe`; without `id` the hub has ended the subscription.
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
  /**
   * Why the hub ended it: `expired`, the permission for this project alone is over. Absent otherwise.
   */
  reason?: string;
};
/**
 * Subscribe to a project; replaces an earlier subscription to it.
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
   * A project, or `*` for all that the caller may watch, including projects created later.
   */
  project_id?: ProjectId | "*";
  user_id?: UserId;
  /**
   * Continue after this position; with `*` an object of positions by project.
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
  /**
   * A subscription token for this project. The subscription ends when it expires.
   */
  token?: string;
};
/**
 * Unsubscribe from a project, or from all; beside `*` it excludes a project by name.
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
   * A project, or `*` for all that the caller may watch, including projects created later.
   */
  project_id?: ProjectId | "*";
  user_id?: UserId;
};
/**
 * The last event of a project that this client has rendered, or of a user's log that the user has read. The hub answers only the latter, if it has an `id`.
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
 * A message to a native watcher, by `type`. (A personal message may be any object.)
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
  | TokenExpiring
  | ErrorMessage
  | Event
  | BroadcastMessage;
/**
 * A request of a native watcher, by `type`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "WatchRequest".
 */
export type WatchRequest = Subscribe | Unsubscribe | Ping | WatermarkAck | Refresh | Answer | Command;
/**
 * A message to a producer, by `type`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProducerMessage".
 */
export type ProducerMessage = Acknowledgement | ErrorMessage | Pong | Draining | TokenExpiring | Instruction | Reply;
/**
 * A message of a producer.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProducerRequest".
 */
export type ProducerRequest = Publish | BareEvent | Ping | CommandResult | Announce | Refresh;
/**
 * An execution's id: its project is `execution:` and this.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionId".
 */
export type ExecutionId = string;
/**
 * The status. After `completed` and `failed` the stream ends.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionStatus".
 */
export type ExecutionStatus = "pending" | "running" | "completed" | "failed";

export interface Everything {
  [k: string]: unknown;
}
/**
 * A node, whole. It may have other fields too. The types hold for fields set by `node_update`; the hub does not check those of TaskTree's events.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Node".
 */
export interface Node {
  node_id: NodeId;
  /**
   * The parent in the tree. The hub stores orphans and cycles; views show them at the top level.
   */
  parent_id?: string;
  /**
   * The title that people see.
   */
  title?: string;
  /**
   * The kind of node, e.g. `llm`, `tool`, `agent`, `retriever`, `embedding`, `chain`, `task`, `step`.
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
   * The current activity, or the reason of a failure.
   */
  message?: string;
  /**
   * Sort order among its siblings.
   */
  order?: number;
  /**
   * Start time.
   */
  started_at?: string;
  /**
   * End time.
   */
  ended_at?: string;
  /**
   * Ids of the nodes that it waits for.
   */
  depends_on?: string[];
  /**
   * Number of the attempt.
   */
  attempt?: number;
  /**
   * The attempts that ended before the present one, the oldest first. Only the reducer sets this field.
   *
   * @maxItems 8
   */
  ended_attempts?:
    | []
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ]
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ]
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ]
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ]
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ]
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ]
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ]
    | [
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        },
        {
          /**
           * The number of the attempt.
           */
          attempt?: number;
          /**
           * When the attempt began.
           */
          started_at?: string;
          /**
           * When the attempt ended.
           */
          ended_at?: string;
          /**
           * The node's status when the attempt ended.
           */
          status?: string;
          /**
           * The beginning of the node's message when the attempt ended.
           */
          message?: string;
          /**
           * The tokens that the attempt used.
           */
          usage?: {
            /**
             * Tokens of the input, those from a cache among them.
             */
            input_tokens?: number;
            /**
             * Tokens of the output, those for reasoning among them.
             */
            output_tokens?: number;
            /**
             * Input tokens that came from a cache.
             */
            cache_read_input_tokens?: number;
            /**
             * Input tokens written to a cache.
             */
            cache_creation_input_tokens?: number;
            /**
             * Output tokens for reasoning.
             */
            reasoning_output_tokens?: number;
            /**
             * All tokens; without it the sum of input and output.
             */
            total_tokens?: number;
            [k: string]: unknown;
          };
          /**
           * Cost of the attempt in US dollars.
           */
          cost_usd?: number;
          [k: string]: unknown;
        }
      ];
  /**
   * The model that answered.
   */
  model?: string;
  /**
   * Tokens that the present attempt has used. Other keys are allowed.
   */
  usage?: {
    /**
     * Tokens of the input, those from a cache among them.
     */
    input_tokens?: number;
    /**
     * Tokens of the output, those for reasoning among them.
     */
    output_tokens?: number;
    /**
     * Input tokens that came from a cache.
     */
    cache_read_input_tokens?: number;
    /**
     * Input tokens written to a cache.
     */
    cache_creation_input_tokens?: number;
    /**
     * Output tokens for reasoning.
     */
    reasoning_output_tokens?: number;
    /**
     * All tokens; without it the sum of input and output.
     */
    total_tokens?: number;
    [k: string]: unknown;
  };
  /**
   * Cost of the present attempt in US dollars.
   */
  cost_usd?: number;
  /**
   * What went in: messages, arguments, or any JSON. A value above `limits.max_inline_value` bytes is `{"$large": {bytes, digest}}` in states and events; `GET …/field` has it whole.
   */
  input?: {
    [k: string]: unknown;
  };
  /**
   * What came out: messages, a result, or any JSON. A value above `limits.max_inline_value` bytes is `{"$large": {bytes, digest}}` in states and events; `GET …/field` has it whole.
   */
  output?: {
    [k: string]: unknown;
  };
  /**
   * What all ended attempts have used together. Only the reducer sets this field.
   */
  ended_usage?: {
    /**
     * Tokens of the input, those from a cache among them.
     */
    input_tokens?: number;
    /**
     * Tokens of the output, those for reasoning among them.
     */
    output_tokens?: number;
    /**
     * Input tokens that came from a cache.
     */
    cache_read_input_tokens?: number;
    /**
     * Input tokens written to a cache.
     */
    cache_creation_input_tokens?: number;
    /**
     * Output tokens for reasoning.
     */
    reasoning_output_tokens?: number;
    /**
     * All tokens; without it the sum of input and output.
     */
    total_tokens?: number;
    /**
     * Cost in US dollars.
     */
    cost_usd?: number;
  };
  [k: string]: unknown;
}
/**
 * The project's own fields: these and any others.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectFields".
 */
export interface ProjectFields {
  /**
   * The title that people see.
   */
  title?: string;
  /**
   * The same value groups projects.
   */
  group?: string;
  /**
   * Any labels.
   */
  labels?: {
    [k: string]: unknown;
  };
  /**
   * A link with more about it.
   */
  url?: string;
  /**
   * The job of which the project is a run.
   */
  series?: string;
  /**
   * What the run is called in its series.
   */
  run?: string | number;
  [k: string]: unknown;
}
/**
 * The position of one event.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "StoredPosition".
 */
export interface StoredPosition {
  project_id: ProjectId;
  epoch: Epoch;
  /**
   * The event's seq.
   */
  seq: number;
}
/**
 * Merged into the node's fields, shallowly; null removes a field. Other fields are allowed.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NodeChanges".
 */
export interface NodeChanges {
  /**
   * The parent in the tree. The hub stores orphans and cycles; views show them at the top level.
   */
  parent_id?: string | null;
  /**
   * The title that people see.
   */
  title?: string | null;
  /**
   * The kind of node, e.g. `llm`, `tool`, `agent`, `retriever`, `embedding`, `chain`, `task`, `step`.
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
   * The current activity, or the reason of a failure.
   */
  message?: string | null;
  /**
   * Sort order among its siblings.
   */
  order?: number | null;
  /**
   * Start time.
   */
  started_at?: string | null;
  /**
   * End time.
   */
  ended_at?: string | null;
  /**
   * Ids of the nodes that it waits for.
   */
  depends_on?: string[] | null;
  /**
   * Number of the attempt.
   */
  attempt?: number | null;
  /**
   * The model that answered.
   */
  model?: string | null;
  /**
   * Tokens that the present attempt has used. Other keys are allowed.
   */
  usage?: {
    /**
     * Tokens of the input, those from a cache among them.
     */
    input_tokens?: number | null;
    /**
     * Tokens of the output, those for reasoning among them.
     */
    output_tokens?: number | null;
    /**
     * Input tokens that came from a cache.
     */
    cache_read_input_tokens?: number | null;
    /**
     * Input tokens written to a cache.
     */
    cache_creation_input_tokens?: number | null;
    /**
     * Output tokens for reasoning.
     */
    reasoning_output_tokens?: number | null;
    /**
     * All tokens; without it the sum of input and output.
     */
    total_tokens?: number | null;
    [k: string]: unknown;
  } | null;
  /**
   * Cost of the present attempt in US dollars.
   */
  cost_usd?: number | null;
  /**
   * What went in: messages, arguments, or any JSON.
   */
  input?: {
    [k: string]: unknown;
  };
  /**
   * What came out: messages, a result, or any JSON.
   */
  output?: {
    [k: string]: unknown;
  };
  /**
   * true: removes the node with everything under it; the other changes have no effect.
   */
  deleted?: boolean | null;
  [k: string]: unknown;
}
/**
 * Merged into the project's own fields, shallowly; null removes a field. Other fields are allowed.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ProjectChanges".
 */
export interface ProjectChanges {
  /**
   * The title that people see.
   */
  title?: string | null;
  /**
   * The same value groups projects.
   */
  group?: string | null;
  /**
   * Any labels.
   */
  labels?: {
    [k: string]: unknown;
  };
  /**
   * A link with more about it.
   */
  url?: string | null;
  /**
   * The job of which the project is a run.
   */
  series?: string | null;
  /**
   * What the run is called in its series.
   */
  run?: string | number | null;
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
 * Creates, changes or removes a node.
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
   * Its seq in the log.
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
 * Changes the project's own fields.
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
   * Its seq in the log.
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
 * A line of output. It does not change the tree.
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
   * Its seq in the log.
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
   * The previous value; the reducer ignores it.
   */
  from?: string | null;
  /**
   * The new value.
   */
  to: string;
  /**
   * The reason.
   */
  context?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * Changes a node's status, or without a node the project's state.
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
   * Its seq in the log.
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
   * The snapshot's id.
   */
  snapshot_id: string;
  [k: string]: unknown;
}
/**
 * A snapshot was taken.
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
   * Its seq in the log.
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
 * The orchestrator has started.
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
   * Its seq in the log.
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
   * Its seq in the log.
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
   * The error.
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
   * Its seq in the log.
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
   * Their number.
   */
  active_agents: number;
  /**
   * Agents by name.
   */
  agents: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * The active agents.
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
   * Its seq in the log.
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
   * Its seq in the log.
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
   * Its seq in the log.
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
   * Its seq in the log.
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
   * Its seq in the log.
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
   * Its seq in the log.
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
   * The branch.
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
   * Its seq in the log.
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
   * The task's title.
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
   * Its seq in the log.
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
   * The branch.
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
   * Its seq in the log.
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
 * TaskTree: removes the task with everything under it.
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
   * Its seq in the log.
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
   * Number of tasks.
   */
  reset_count?: {
    [k: string]: unknown;
  };
  /**
   * Number of sessions.
   */
  killed_sessions?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * TaskTree: sets every task that is not merged to `unclaimed`.
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
   * Its seq in the log.
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
 * TaskTree: removes all tasks.
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
   * Its seq in the log.
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
   * True if more than the log was cleaned up.
   */
  cleanup_performed?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * The project is deleted; this is the last event of its epoch. Empty the tree.
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
   * Its seq in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * An event of any other type; the hub passes it through unchanged.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "OtherEvent".
 */
export interface OtherEvent {
  /**
   * Any type that is not in this document.
   */
  type: string;
  project_id: ProjectId;
  /**
   * The data as sent.
   */
  data: {
    [k: string]: unknown;
  };
  timestamp: Time;
  /**
   * Its seq in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * A prompt.
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
   * The options.
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
   * Data of the program that opened the prompt, for clients that show it.
   */
  data?: {
    [k: string]: unknown;
  };
}
/**
 * One option.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Option".
 */
export interface Option {
  /**
   * The `value` of this choice.
   */
  id: string;
  /**
   * The title that people see.
   */
  label: string;
}
/**
 * An answer.
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
   * The id of an option, or a value that satisfies the schema; without either, any value or none.
   */
  value?: {
    [k: string]: unknown;
  };
}
/**
 * The outcome of a prompt.
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
   * The chosen or entered value.
   */
  value?: {
    [k: string]: unknown;
  };
  /**
   * A remark of the person who answered.
   */
  feedback?: string;
  /**
   * The subject of the token; null without authentication, and for a timeout.
   */
  by: string | null;
  /**
   * By an answer, by the default at the deadline, or by cancellation (also with its project).
   */
  how: "answered" | "timeout" | "cancelled";
  via?: Via;
}
/**
 * The way in which a request came.
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
   * The address of the client.
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
   * Its seq in the log.
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
   * Common names: `cancel`, `retry`, `pause`, `resume`.
   */
  name: string;
  node_id?: NodeId;
  /**
   * Arguments, as the orchestrator defines them.
   */
  args?: {
    [k: string]: unknown;
  };
  /**
   * The subject of the token; null without authentication.
   */
  by: string | null;
  via: Via;
}
/**
 * The status or the result of a command.
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
   * Its seq in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The status or the result of a command.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandResultData".
 */
export interface CommandResultData {
  command_id: CommandId;
  /**
   * `accepted` is not final. `timeout`: no orchestrator answered in time. `cancelled`: the project was deleted.
   */
  status: "accepted" | "done" | "refused" | "timeout" | "cancelled";
  /**
   * The reason, for a person.
   */
  message?: string;
  node_id?: NodeId;
}
/**
 * A notification to a user.
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
   * Its seq in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * A notification.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NotificationData".
 */
export interface NotificationData {
  /**
   * The title.
   */
  title: string;
  /**
   * The text.
   */
  body?: string;
  /**
   * As in `info`.
   */
  level?: string;
  /**
   * A link with more about it.
   */
  url?: string;
  /**
   * Any other data.
   */
  data?: {
    [k: string]: unknown;
  };
}
/**
 * A user has read all events up to a position.
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
   * Its seq in the log.
   */
  seq: number;
  epoch: Epoch;
}
/**
 * The user has read all events up to this one.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NotificationsReadData".
 */
export interface NotificationsReadData {
  /**
   * A seq of the user's log.
   */
  seq: number;
}
/**
 * For every watcher. It has no project and no position, and the hub does not store it.
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
 * Any JSON object to this connection alone, from the program that embeds the hub.
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
     * The id of this connection.
     */
    connection_id: string;
    /**
     * Seconds. If a client receives nothing for 1.5 times that, the hub is gone.
     */
    heartbeat_interval: number;
    server_time: Time;
    /**
     * Bytes; the hub closes a connection with a larger message with 1009.
     */
    max_message_size: number;
  };
}
/**
 * Part 1 has all fields and the first of the nodes; later parts have nodes only.
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
   * The open prompts, the oldest first.
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
   * The open prompts, the oldest first.
   */
  prompts: PromptData[];
  /**
   * The seq of the last event that the user has read.
   */
  read: number;
}
/**
 * The positions of this connection, every `heartbeat_interval`, whatever else the hub sends.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Heartbeat".
 */
export interface Heartbeat {
  type: "heartbeat";
  timestamp: Time;
  /**
   * The last position put on this connection, by project, without those in which it is behind.
   */
  positions: {
    [k: string]: Position;
  };
  /**
   * The same for users' logs, by user; left out if there are none.
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
 * A request succeeded that has no answer of its own: `answer`, `command`, `ack` of a user's log, `refresh`, or `subscribe` to `*` once every project is open. For a producer: its `command_result` is stored.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Reply".
 */
export interface Reply {
  type: "reply";
  id?: RequestId;
  /**
   * The id of a command.
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
     * Reconnect after this many milliseconds.
     */
    reconnect_after_ms: number;
  };
}
/**
 * The connection's token expires; close 4003 follows unless `refresh` comes before.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "TokenExpiring".
 */
export interface TokenExpiring {
  type: "token_expiring";
  data: {
    /**
     * The hub closes after this many milliseconds.
     */
    expires_in_ms: number;
  };
}
/**
 * A request failed, or a message is invalid.
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
   * The place of the fault in the message.
   */
  field?: string;
  /**
   * Send the same request again after this many milliseconds.
   */
  retry_after_ms?: number;
  /**
   * With `prompt_closed`, and with `gone` for a command: its outcome.
   */
  outcome?: {
    [k: string]: unknown;
  };
  /**
   * The id of a project.
   */
  project_id?: string;
  /**
   * The id of a user: 1–256 characters without control characters; with tokens it is the token's `sub`.
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
 * A new token for a connection whose token expires.
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
 * An event to publish. The hub ignores other keys.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "NewEvent".
 */
export interface NewEvent {
  /**
   * The hub checks known types, and refuses the name of a hub message.
   */
  type: string;
  project_id: ProjectId;
  /**
   * The data of that type of event; empty if left out.
   */
  data?: {
    [k: string]: unknown;
  };
  /**
   * RFC 3339, the time of the event; the time of receipt if left out.
   */
  timestamp?: string | null;
  [k: string]: unknown;
}
/**
 * Publish events of one project. With an `id`, on a connection with a `producer_id`, it is idempotent.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Publish".
 */
export interface Publish {
  type: "publish";
  id?: RequestId;
  /**
   * All of one project; stored all or none.
   *
   * @minItems 1
   */
  events: [NewEvent, ...NewEvent[]];
}
/**
 * One bare event. Without an `id` the hub answers it only if it refuses it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "BareEvent".
 */
export interface BareEvent {
  id?: RequestId;
  /**
   * Any event type except those that only the hub publishes and the names of hub messages.
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
 * The publish is on disk and handed to every watcher's outbox. The hub sends acks in the order of the publishes.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Acknowledgement".
 */
export interface Acknowledgement {
  type: "ack";
  /**
   * The id of the publish; null if it had none.
   */
  id: string | number | null;
  /**
   * One for each event, in the order sent.
   *
   * @minItems 1
   */
  positions: [StoredPosition, ...StoredPosition[]];
  /**
   * True if the same publish was stored before: these are its positions.
   */
  duplicate: boolean;
}
/**
 * Answer a prompt; the first valid answer resolves it.
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
   * The id of an option, or a value that satisfies the schema. Required with `proceed: true` if the prompt has either.
   */
  value?: {
    [k: string]: unknown;
  };
  /**
   * A remark.
   */
  feedback?: string;
  project_id?: ProjectId;
  user_id?: UserId;
}
/**
 * Send a command to the orchestrator of a project.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Command".
 */
export interface Command {
  type: "command";
  id?: RequestId;
  project_id: ProjectId;
  /**
   * Common names: `cancel`, `retry`, `pause`, `resume`.
   */
  name: string;
  node_id?: NodeId;
  /**
   * Arguments, as the orchestrator defines them.
   */
  args?: {
    [k: string]: unknown;
  };
}
/**
 * A command for this orchestrator: answer it with `command_result`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Instruction".
 */
export interface Instruction {
  type: "command";
  project_id: ProjectId;
  command_id: CommandId;
  /**
   * Common names: `cancel`, `retry`, `pause`, `resume`.
   */
  name: string;
  node_id?: NodeId;
  /**
   * Arguments, as the orchestrator defines them.
   */
  args?: {
    [k: string]: unknown;
  };
  /**
   * The subject of the token; null without authentication.
   */
  by: string | null;
  via: Via;
}
/**
 * The status or result of a command that this orchestrator received. The first `done` or `refused` resolves it.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "CommandResult".
 */
export interface CommandResult {
  type: "command_result";
  id?: RequestId;
  command_id: CommandId;
  /**
   * `accepted`: the orchestrator works on it, and it no longer times out.
   */
  status: "accepted" | "done" | "refused";
  /**
   * The reason, for a person.
   */
  message?: string;
}
/**
 * The commands that this orchestrator obeys in all projects of `commands`, in place of those that it announced before. They are forgotten when the connection ends.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "Announce".
 */
export interface Announce {
  type: "announce";
  id?: RequestId;
  /**
   * @maxItems 50
   */
  commands: AnnouncedCommand[];
}
/**
 * A command that an orchestrator says it obeys.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AnnouncedCommand".
 */
export interface AnnouncedCommand {
  name: string;
  description?: string;
  /**
   * A JSON Schema of its arguments, an object.
   */
  args?: {
    [k: string]: unknown;
  };
  /**
   * Whether it is for a node or for the whole project; without it, for both.
   */
  scope?: "node" | "project";
  /**
   * The kinds of the nodes that it is for; without it, all.
   *
   * @maxItems 20
   */
  kinds?:
    | []
    | [string]
    | [string, string]
    | [string, string, string]
    | [string, string, string, string]
    | [string, string, string, string, string]
    | [string, string, string, string, string, string]
    | [string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string, string, string]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ];
  /**
   * The statuses of the nodes that it is for; without it, all.
   *
   * @maxItems 20
   */
  statuses?:
    | []
    | [string]
    | [string, string]
    | [string, string, string]
    | [string, string, string, string]
    | [string, string, string, string, string]
    | [string, string, string, string, string, string]
    | [string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string, string, string]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ];
  /**
   * A page asks before it sends it.
   */
  dangerous?: boolean;
}
/**
 * The status of an execution.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "StatusMessage".
 */
export interface StatusMessage {
  type: "status";
  execution_id: ExecutionId;
  status: ExecutionStatus;
  /**
   * The worker's value, else the percentage of finished leaves.
   */
  progress: number;
  /**
   * The worker's message, or null.
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
   * The reason of the failure: a string or an object, or null.
   */
  error: {
    [k: string]: unknown;
  };
  /**
   * Running time in seconds; null before the start.
   */
  execution_time: number | null;
}
/**
 * A node, whole: it has its other fields too. With `deleted` it is removed.
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
   * Present only for a removed node.
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
   * The level that the producer gave.
   */
  level: string;
  /**
   * The line, with its colours.
   */
  message: string;
  timestamp: Time;
  node_id?: NodeId;
  /**
   * Its stream.
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
 * The fault, for a person.
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
 * Asks for `pong`; the hub ignores other keys.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "ExecutionPing".
 */
export interface ExecutionPing {
  type: "ping";
  [k: string]: unknown;
}
/**
 * The hub answers with the whole request.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsPing".
 */
export interface AiecsPing {
  /**
   * Always this value.
   */
  action: "ping";
  [k: string]: unknown;
}
/**
 * Subscribes to a user's messages; the hub first sends the open prompts.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsSubscribe".
 */
export interface AiecsSubscribe {
  /**
   * Always this value.
   */
  action: "subscribe";
  /**
   * The user.
   */
  user_id?: string;
}
/**
 * Cancels a task: a message to all clients, and a command to its orchestrator.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsCancel".
 */
export interface AiecsCancel {
  /**
   * Always this value.
   */
  action: "cancel";
  /**
   * The user of the task.
   */
  user_id?: string;
  /**
   * The task.
   */
  task_id?: string;
  [k: string]: unknown;
}
/**
 * Answers a prompt; the first answer counts, and the hub sends no reply.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsConfirm".
 */
export interface AiecsConfirm {
  /**
   * Always this value.
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
 * Acknowledges a message with `requires_ack`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsAck".
 */
export interface AiecsAck {
  /**
   * Always this value.
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
   * Always this value.
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
   * Always this value.
   */
  type: "subscription_confirmed";
  /**
   * The user.
   */
  user_id: string;
}
/**
 * A prompt, in whichever language it was opened.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsStepResult".
 */
export interface AiecsStepResult {
  /**
   * Always this value.
   */
  type: "task_step_result";
  /**
   * The id for the answer.
   */
  callback_id: string;
  /**
   * As the program gave it, or null.
   */
  step: {
    [k: string]: unknown;
  };
  /**
   * The question.
   */
  message: string;
  /**
   * As the program gave it, or null.
   */
  result: {
    [k: string]: unknown;
  };
  /**
   * As the program gave it, or null.
   */
  status: {
    [k: string]: unknown;
  };
  /**
   * As the program gave it, or null.
   */
  error_code: {
    [k: string]: unknown;
  };
  /**
   * As the program gave it, or null.
   */
  error_message: {
    [k: string]: unknown;
  };
  /**
   * The user who is asked.
   */
  user_id: string | null;
  /**
   * As the program gave it, or null.
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
 * A task is still running.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsHeartbeat".
 */
export interface AiecsHeartbeat {
  /**
   * Always this value.
   */
  type: "heartbeat";
  /**
   * Always this value.
   */
  status: "heartbeat";
  /**
   * A text for people.
   */
  message: string;
  /**
   * The user of the task.
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
 * A client cancelled a task.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsCancelled".
 */
export interface AiecsCancelled {
  /**
   * Always this value.
   */
  type: "task_cancelled";
  /**
   * The user of the task.
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
 * A message to a user, unchanged but for `target_user_id`; a notification has the type `notification`.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsUserMessage".
 */
export interface AiecsUserMessage {
  /**
   * The receiver.
   */
  target_user_id: string;
  /**
   * For a notification: seconds since the Unix epoch.
   */
  timestamp?: number;
  [k: string]: unknown;
}
/**
 * A message is invalid.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AiecsError".
 */
export interface AiecsError {
  /**
   * Always this value.
   */
  type: "error";
  /**
   * The fault, for a person.
   */
  message: string;
  /**
   * Seconds since the Unix epoch.
   */
  timestamp: number;
}
/**
 * A heartbeat of the client. The hub ignores other keys.
 *
 * This interface was referenced by `Everything`'s JSON-Schema
 * via the `definition` "AutoGptHeartbeat".
 */
export interface AutoGptHeartbeat {
  method: "heartbeat";
  [k: string]: unknown;
}
/**
 * Subscribe to an execution, or to all of a graph. The two shorter methods are older names.
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
 * Unsubscribe.
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
 * An error of the client; the hub does not answer it.
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
 * A subscription has begun or ended; `channel` is null if there was none to end.
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
   * The channel in its events.
   */
  channel: string | null;
  error: null;
}
/**
 * The message is invalid, or the client may have missed events.
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
 * A notification to the user. One of AutoGPT's is unchanged; any other has the type `tasktree`.
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
