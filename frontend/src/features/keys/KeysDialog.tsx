import type { ReactNode } from "react";
import { useReadable } from "../../react/hooks.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { KEYS } from "../../ui/keys.ts";
import "./keys.css";

const IN_TREE: readonly (readonly [string, string])[] = [
  ["↑ ↓", "the row above, below"],
  ["Home End", "the first row, the last"],
  ["→", "open a branch, or go into it"],
  ["←", "close it, or go to its parent"],
  ["Enter", "choose the node"],
  ["*", "open all siblings"],
  ["a letter", "the next row that begins with it"],
];

/** The keys that do something on the page as it is. */
export default function KeysDialog({ onClose }: { onClose: () => void }): ReactNode {
  const named = new Map(useReadable(KEYS).map((one) => [one.key, one.does]));
  const tree = document.querySelector("[role=tree]") !== null;
  const panel = document.querySelector(".stage-side") !== null;
  return (
    <Dialog label="Keys" onClose={onClose}>
      <div className="keys">
        <div className="row">
          <h2 className="grow">Keys</h2>
          <button type="button" className="button icon" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </div>
        <List keys={[...named, ["Escape", panel ? "close the panel" : "close what is open"]]} />
        {tree && (
          <>
            <h3>In the tree, when it has the focus</h3>
            <List keys={IN_TREE} />
          </>
        )}
      </div>
    </Dialog>
  );
}

function List({ keys }: { keys: readonly (readonly [string, string])[] }): ReactNode {
  return (
    <dl className="keys-list">
      {keys.map(([key, does]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
}
