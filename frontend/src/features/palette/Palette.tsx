import {
  type KeyboardEvent,
  type ReactNode,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { useProjects, useReadable } from "../../react/hooks.ts";
import { CURRENT } from "../../ui/current.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { go } from "../../ui/location.ts";
import { Mark } from "../../ui/parts.tsx";
import { isAsked } from "../../ui/search/useSearch.ts";
import { find, type Target } from "./find.ts";
import "./palette.css";

/** Jump to a page, a project, or a view or node of the project that is shown. */
export default function Palette({ onClose }: { onClose: () => void }): ReactNode {
  const { byId } = useProjects();
  const current = useReadable(CURRENT);
  const [text, setText] = useState("");
  const words = useDeferredValue(text);
  const found = useMemo(() => {
    const projectId = current?.projectId ?? null;
    const named = find(words, { projects: byId.values(), projectId, snapshot: current?.tree.get() ?? null });
    return isAsked(words) ? [...named, everywhere(words.trim())] : named;
  }, [words, byId, current]);
  const [at, setAt] = useState(0);
  const chosen = Math.min(at, found.length - 1);
  const jump = ({ address }: Target) => {
    onClose();
    go(address);
  };
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const target = found[chosen];
    if (step !== undefined) setAt((chosen + step + found.length) % Math.max(1, found.length));
    else if (event.key === "Enter" && target !== undefined) jump(target);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog label="Jump to" onClose={onClose}>
      <input
        className="input palette-words"
        type="text"
        role="combobox"
        aria-label="Jump to a project, a node or a page"
        aria-expanded="true"
        aria-controls="palette-found"
        aria-autocomplete="list"
        {...(chosen >= 0 ? { "aria-activedescendant": `palette-${chosen}` } : {})}
        placeholder="A project, a node, a page"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={({ target }) => {
          setText(target.value);
          setAt(0);
        }}
        onKeyDown={pressed}
      />
      <div id="palette-found" className="palette-found" role="listbox" aria-label="Found">
        {found.map((one, n) => (
          <Found key={`${one.kind} ${one.address}`} target={one} at={n} chosen={n === chosen} onJump={jump} />
        ))}
      </div>
      {found.every((one) => one.kind === "search") && (
        <p className="muted palette-none" role="status">
          Nothing is called so.
        </p>
      )}
    </Dialog>
  );
}

/** The words in the output and events of all projects. */
function everywhere(words: string): Target {
  const address = `/search?${new URLSearchParams({ q: words })}`;
  return { kind: "search", name: `Search for ${words}`, detail: "in all projects", address };
}

interface FoundProps {
  readonly target: Target;
  readonly at: number;
  readonly chosen: boolean;
  readonly onJump: (target: Target) => void;
}

function Found({ target, at, chosen, onJump }: FoundProps): ReactNode {
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen) row.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the input's, which has the focus
    // biome-ignore lint/a11y/useFocusableInteractive: the input tells which one is active
    <div
      ref={row}
      id={`palette-${at}`}
      className="palette-row"
      role="option"
      aria-selected={chosen}
      onClick={() => onJump(target)}
    >
      {target.status !== undefined && <Mark status={target.status} />}
      <bdi className="ellipsis">{target.name}</bdi>
      <bdi className="muted ellipsis grow">{target.detail === target.name ? "" : target.detail}</bdi>
      <span className="chip">{target.kind}</span>
    </div>
  );
}
