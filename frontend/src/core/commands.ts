/** The commands that a project's orchestrator announced, as the hub lists them. */
import type { AnnouncedCommand } from "./api.ts";

export interface AvailableCommands {
  /** How many connections take the project's commands. */
  readonly listening: number;
  /** At least one orchestrator announced nothing: what it obeys is not known. */
  readonly any: boolean;
  readonly commands: readonly AnnouncedCommand[];
  /** Whether the viewer's token allows commands. */
  readonly allowed: boolean;
  readonly version: string;
}

/** What a hub of before says, which knows no announcements. */
export const UNKNOWN_COMMANDS: AvailableCommands = {
  listening: 1,
  any: true,
  commands: [],
  allowed: true,
  version: "",
};
