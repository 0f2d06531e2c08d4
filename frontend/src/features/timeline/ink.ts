/** Canvases that are as sharp as the screen, in the colours of the page. */
import type { StatusClass } from "../../core/index.ts";
import { RANKS } from "./survey.ts";

export type Pen = CanvasRenderingContext2D;

/** The colours of the page, as it is now: light or dark. */
export interface Ink {
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly strong: string;
  readonly accent: string;
  readonly sunken: string;
  readonly surface: string;
  readonly failed: string;
  readonly review: string;
  /** By rank. */
  readonly tones: readonly string[];
  readonly softs: readonly string[];
  readonly font: string;
}

export function readInk(): Ink {
  const style = getComputedStyle(document.documentElement);
  const one = (name: string) => style.getPropertyValue(`--${name}`).trim() || "#888";
  const tones = RANKS.map((name: StatusClass) => one(name));
  return {
    text: one("text"),
    muted: one("muted"),
    line: one("line"),
    strong: one("line-strong"),
    accent: one("accent"),
    sunken: one("sunken"),
    surface: one("surface"),
    failed: one("failed"),
    review: one("review"),
    tones,
    softs: RANKS.map((name: StatusClass) => one(`${name}-soft`)),
    font: `${Math.round(Number.parseFloat(style.fontSize) * 0.8)}px ${one("font")}`,
  };
}

/** Make a canvas so many pixels of the page large and empty it. Null: this browser draws nothing. */
export function emptied(canvas: HTMLCanvasElement, width: number, height: number): Pen | null {
  const pen = canvas.getContext("2d");
  if (pen === null) return null;
  const sharp = window.devicePixelRatio || 1;
  const [wide, high] = [Math.max(1, Math.round(width * sharp)), Math.max(1, Math.round(height * sharp))];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  pen.setTransform(sharp, 0, 0, sharp, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}
