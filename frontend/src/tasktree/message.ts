/** An event as TaskTree's pages know it. */
export interface WebSocketMessage {
  type: string;
  project_id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: as TaskTree's own type has it
  data: any;
  timestamp: string;
}
