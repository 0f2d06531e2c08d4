/** What the hub refused, in its own words; `code` as in its protocol, or `unreachable`, `timeout`. */
export class HubError extends Error {
  readonly code: string;
  /** Where in the request the mistake is. */
  readonly field: string | undefined;
  /** More of the hub's answer: a settled prompt's outcome, a gap's oldest position. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = "HubError";
    this.code = code;
    this.field = typeof details.field === "string" ? details.field : undefined;
    this.details = details;
  }
}
