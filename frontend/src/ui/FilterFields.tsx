import type { ReactNode } from "react";
import { CLASSES, type TreeStore } from "../core/index.ts";
import { isFilter, matching, NO_FILTER, setFilter, toggled, useFilter } from "./filter.ts";
import { useSearchKey } from "./keys.ts";
import { useSnapshot } from "./looking.ts";
import { More } from "./More.tsx";
import { Mark } from "./parts.tsx";
import { count } from "./time.ts";

interface FilterFieldsProps {
  readonly tree: TreeStore;
  /** What the view's toolbar has besides. */
  readonly children?: ReactNode;
}

/** The search and the filters by status that every view of nodes has, and how many nodes they find. */
export function FilterFields({ tree, children }: FilterFieldsProps): ReactNode {
  const filter = useFilter();
  const search = useSearchKey();
  return (
    <>
      <input
        ref={search}
        className="input grow"
        type="search"
        placeholder="Search title, id, message"
        aria-label="Search the tree"
        value={filter.search}
        onChange={({ target }) => setFilter({ ...filter, search: target.value })}
      />
      <More label="Filter and order" on={filter.classes.size}>
        {CLASSES.map((one) => (
          <button
            key={one}
            type="button"
            className="button icon"
            aria-pressed={filter.classes.has(one)}
            aria-label={`Only ${one}`}
            title={`Only ${one}`}
            onClick={() => setFilter(toggled(filter, one))}
          >
            <Mark status={one} />
          </button>
        ))}
        {children}
      </More>
      {isFilter(filter) && <Found tree={tree} />}
    </>
  );
}

function Found({ tree }: { tree: TreeStore }): ReactNode {
  const filter = useFilter();
  const snapshot = useSnapshot(tree);
  return (
    <>
      <span className="muted nowrap" role="status">
        {count(matching(snapshot, filter).size)} of {count(snapshot.nodes.size)}
      </span>
      <button type="button" className="button" onClick={() => setFilter(NO_FILTER)}>
        Show all
      </button>
    </>
  );
}
