/** Search over all events and logs, which is the hub's. */

/** An event that matches. */
export interface SearchHit {
  readonly project_id: string;
  readonly epoch: string;
  readonly seq: number;
  readonly type: string;
  readonly kind: "log" | "node" | "event";
  readonly node_id: string | null;
  readonly level: string | null;
  readonly received: string;
  /** A piece of its text, in parts: every second one matches. */
  readonly excerpt: readonly string[];
}

/** What every search answers. */
export interface SearchAnswer {
  readonly hits: readonly SearchHit[];
  /** How many match, from `after` on, as far as was looked. */
  readonly count: number;
  /** Whether `count` is all of them. */
  readonly exact: boolean;
  readonly next: string | null;
  /** False: there is no index, and only the newest events were read. */
  readonly index: boolean;
}

/** Of one project. */
export interface SearchPage extends SearchAnswer {
  readonly searched_from: number;
  readonly indexed_up_to: number;
  readonly head: number;
}

/** Of all projects whose history may be read. Hits of a project stand together, the newest first. */
export interface SearchOfAll extends SearchAnswer {
  /** Events that are not in the index yet. */
  readonly behind: number;
}

export interface SearchQuery {
  /** Words that all occur, `"a phrase"`, `prefix*`. */
  readonly q: string;
  readonly kind?: SearchHit["kind"];
  readonly node?: string;
  /** Levels of output, separated by commas. */
  readonly level?: string;
  readonly after?: string;
  readonly limit?: number;
}
