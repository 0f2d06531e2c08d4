import { useMemo, useSyncExternalStore } from "react";
import { type HubClock, moment, type Readable, type Status } from "../core/index.ts";
import { Listeners } from "../core/readable.ts";
import { usePast } from "./past.ts";

const ticked = new Listeners();
let clockOf: () => number = Date.now;
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
/** The moment from which nothing is heard of the hub; null: it is heard. */
let lost: number | null = null;

function tick(): void {
  now = clockOf();
  ticked.tell();
}

/** Go by the hub's clock from now on: what it tells of is by its clock, whatever this machine's says. */
export function followClock(clock: HubClock): void {
  clockOf = () => clock.now();
  now = clockOf();
  clock.subscribe(tick);
}

/** What is shown of a run stands still while the hub is not heard: the page does not know whether it goes on. */
export function followStatus(status: Readable<Status>): void {
  let live = false;
  status.subscribe(() => {
    const { kind } = status.get();
    if (kind === "live") lost = null;
    else if (live && lost === null) lost = clockOf();
    live = kind === "live";
    tick();
  });
}

function subscribe(listener: () => void): () => void {
  const remove = ticked.add(listener);
  timer ??= setInterval(tick, 1000);
  return () => {
    remove();
    if (ticked.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

const still = () => () => {};

/** The time in milliseconds, another one each second: the hub's; of a page that shows the past, its position's. */
export function useClock(): number {
  const past = usePast();
  const present = useSyncExternalStore(past === null ? subscribe : still, () => now);
  return past === null ? present : past.time;
}

/** The same for how long something has been going on: it stands still while the hub is not heard. */
export function useNow(): number {
  const past = usePast();
  const present = useSyncExternalStore(past === null ? subscribe : still, () => lost ?? now);
  return past === null ? present : past.time;
}

const known = () => lost ?? clockOf();

/** Gives that now at the moment of asking, for what is not drawn again each second. */
export function useMoment(): () => number {
  const past = usePast();
  return useMemo(() => (past === null ? known : () => past.time), [past]);
}

/** The hub's time, this moment. */
export function hubNow(): number {
  return clockOf();
}

/** A time as milliseconds since 1970, for showing: what is none gives NaN. */
export function at(time: string): number {
  return moment(time) ?? Number.NaN;
}

/** `1 h 02 min`, `12.4 s`, `340 ms`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const all = Math.max(0, ms);
  if (all < 1000) return `${Math.round(all)} ms`;
  const seconds = all / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** `just now`, `12 s ago`, `3 h ago`. */
export function ago(then: number, at: number): string {
  const ms = at - then;
  if (ms < 2000) return "just now";
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function clock(ms: number): string {
  return Number.isNaN(ms) ? "–" : CLOCK.format(ms);
}

export function full(ms: number): string {
  return Number.isNaN(ms) ? "no time" : FULL.format(ms);
}

export function count(value: number): string {
  return value.toLocaleString();
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let at = value / 1024;
  let unit = 0;
  while (at >= 1024 && unit < units.length - 1) {
    at /= 1024;
    unit += 1;
  }
  return `${at < 10 ? at.toFixed(1) : Math.round(at)} ${units[unit]}`;
}
