/** A place in the log of one topic: seqs compare only within an epoch. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export const BEGINNING: Position = { epoch: "", seq: 0 };

export function same(one: Position | null, other: Position | null): boolean {
  return (
    one === other || (one !== null && other !== null && one.epoch === other.epoch && one.seq === other.seq)
  );
}

export function write(position: Position): string {
  return `${position.epoch}:${position.seq}`;
}

/** Reads `"<epoch>:<seq>"`; null if it is none. */
export function read(text: unknown): Position | null {
  const match = typeof text === "string" ? /^([^:]*):(\d+)$/.exec(text) : null;
  return match === null ? null : { epoch: match[1] ?? "", seq: Number(match[2]) };
}
