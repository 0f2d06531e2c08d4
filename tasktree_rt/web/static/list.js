// The tree on screen: only the rows that can be seen exist, and a row is written only when what it shows has changed.
// Whatever comes from events is set as text, never as HTML.

import { statusOf } from "./tree.js";
import { titleOf } from "./rows.js";

const OVERSCAN = 6;

export const element = (name, className, ...children) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
};

/** A progress from 0 to 100, or null. */
export const progressOf = ({ progress }) =>
  typeof progress === "number" ? Math.min(100, Math.max(0, progress)) : null;

class Row {
  constructor() {
    this.twisty = element("button", "twisty");
    this.twisty.tabIndex = -1;
    this.title = element("span", "title");
    this.kind = element("span", "kind");
    this.message = element("span", "message");
    this.fill = element("i", "fill");
    this.bar = element("span", "bar", this.fill);
    this.percent = element("span", "percent");
    this.status = element("span", "status");
    const line = element("span", "line", this.title, this.kind, this.message);
    this.element = element("div", "row", this.twisty, element("span", "dot"), line, this.bar, this.percent, this.status);
    this.element.setAttribute("role", "treeitem");
    this.index = -1;
    this.entry = this.fields = null;
  }

  /** Show `row` at `index`; whether anything had to be written. */
  show(row, index, chosen) {
    const { entry, depth, children, open } = row;
    if (this.index !== index) {
      this.index = index;
      this.element.style.setProperty("--index", index);
      this.element.id = `row-${index}`;
    }
    if (this.chosen !== chosen) {
      this.chosen = chosen;
      this.element.setAttribute("aria-selected", chosen);
    }
    const shape = `${depth} ${children} ${open}`;
    if (this.shape !== shape) {
      this.shape = shape;
      this._shape(depth, children, open);
    }
    if (this.entry !== entry || this.fields !== entry.fields) {
      this.entry = entry;
      this.fields = entry.fields;
      this._write(entry);
    }
  }

  _shape(depth, children, open) {
    this.element.style.setProperty("--depth", Math.min(depth, 24));
    this.element.setAttribute("aria-level", depth + 1);
    this.element.dataset.children = children;
    this.twisty.textContent = children ? (open ? "▾" : "▸") : "";
    this.twisty.ariaLabel = open ? "fold" : "unfold";
    if (children) this.element.setAttribute("aria-expanded", open);
    else this.element.removeAttribute("aria-expanded");
  }

  _write(entry) {
    const { fields } = entry;
    const status = statusOf(fields);
    const progress = progressOf(fields);
    this.element.dataset.status = status;
    set(this.title, titleOf(entry));
    set(this.kind, typeof fields.kind === "string" ? fields.kind : "");
    set(this.message, typeof fields.message === "string" ? fields.message : "");
    set(this.status, status.replaceAll("_", " "));
    this.bar.hidden = progress === null;
    set(this.percent, progress === null ? "" : `${Math.floor(progress)} %`);
    this.fill.style.transform = `scaleX(${(progress ?? 0) / 100})`;
  }
}

function set(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

export class List {
  /** `scroller` scrolls, `canvas` in it is as high as all rows; `onFold(id, folded)` and `onChoose(id)` tell. */
  constructor(scroller, canvas, { onFold, onChoose, wanted }) {
    this._scroller = scroller;
    this._canvas = canvas;
    this._pool = [];
    this._rows = [];
    this._chosen = null;
    this._onFold = onFold;
    this._onChoose = onChoose;
    this._measure();
    scroller.addEventListener("scroll", wanted, { passive: true });
    scroller.addEventListener("click", (event) => this._click(event));
    scroller.addEventListener("keydown", (event) => this._key(event));
    new ResizeObserver(() => {
      this._measure();
      wanted();
    }).observe(scroller);
  }

  get chosen() {
    return this._chosen;
  }

  choose(id) {
    this._chosen = id;
    this._onChoose(id);
  }

  /** Draw `rows`; cheap where nothing changed. */
  draw(rows) {
    this._rows = rows;
    const height = rows.length * this._height;
    if (height !== this._drawnHeight) this._canvas.style.height = `${(this._drawnHeight = height)}px`;
    const first = Math.max(0, Math.floor(this._scroller.scrollTop / this._height) - OVERSCAN);
    const last = Math.min(rows.length, first + this._fitting + 2 * OVERSCAN);
    this._grow(last - first);
    for (let index = first; index < last; index += 1) {
      const row = this._pool[index % this._pool.length];
      row.show(rows[index], index, rows[index].entry.id === this._chosen);
      row.element.hidden = false;
      row.used = true;
    }
    for (const row of this._pool) {
      if (!row.used) row.element.hidden = true;
      row.used = false;
    }
  }

  _grow(size) {
    if (this._pool.length >= size) return;
    while (this._pool.length < size) {
      const row = new Row();
      this._pool.push(row);
      this._canvas.append(row.element);
    }
  }

  _measure() {
    const style = getComputedStyle(this._scroller);
    this._height = parseFloat(style.getPropertyValue("--row")) || 34;
    this._fitting = Math.ceil(this._scroller.clientHeight / this._height) + 1;
  }

  _click(event) {
    const found = event.target.closest(".row");
    const row = found && this._pool.find((one) => one.element === found);
    if (!row) return;
    const shown = this._rows[row.index];
    if (event.target === row.twisty && shown.children) this._onFold(shown.entry.id, shown.open);
    else this.choose(shown.entry.id);
  }

  _key(event) {
    const at = this._rows.findIndex(({ entry }) => entry.id === this._chosen);
    const row = this._rows[at];
    const page = Math.max(1, this._fitting - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps && this._rows.length) {
      const to = Math.min(this._rows.length - 1, Math.max(0, at + steps[event.key]));
      this.choose(this._rows[to].entry.id);
      this._reveal(to);
    } else if (event.key === "ArrowRight" && row?.children && !row.open) {
      this._onFold(row.entry.id, false);
    } else if (event.key === "ArrowLeft" && row?.children && row.open) {
      this._onFold(row.entry.id, true);
    } else if (event.key === "Escape") {
      this.choose(null);
    } else {
      return;
    }
    event.preventDefault();
  }

  _reveal(index) {
    const { scrollTop, clientHeight } = this._scroller;
    const top = index * this._height;
    if (top < scrollTop) this._scroller.scrollTop = top;
    else if (top + this._height > scrollTop + clientHeight) {
      this._scroller.scrollTop = top + this._height - clientHeight;
    }
    this._scroller.setAttribute("aria-activedescendant", `row-${index}`);
  }
}
