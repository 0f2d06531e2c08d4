import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import {
  moment,
  type Notices,
  type NoticesStore,
  type Prompt,
  promptKey,
  shownText,
} from "../../core/index.ts";
import { usePrompts, useReadable } from "../../react/hooks.ts";
import { useHub } from "../../react/provider.tsx";
import { OutsideLink } from "../../ui/link.tsx";
import { outcomeWords } from "../../ui/PromptForm.tsx";
import { Ago, Badge, CopyLine, Failure, Spinner } from "../../ui/parts.tsx";
import { usePreference } from "../../ui/preference.ts";
import { RichText } from "../../ui/RichText.tsx";
import { Open } from "./Open.tsx";
import { Where } from "./Where.tsx";
import "./inbox.css";

/** What waits for a person, what was settled meanwhile, and notifications. */
export default function InboxPage(): ReactNode {
  const { open, settled, ready, error } = usePrompts();
  const hub = useHub();
  if (!ready) return <Spinner label="Asking the hub what is open …" />;
  return (
    <div className="page">
      <h1>Inbox</h1>
      {error !== null && <Failure error={error} again={() => void hub.prompts.refresh()} />}
      {open.length === 0 ? <NothingOpen /> : <Open prompts={open} />}
      {settled.length > 0 && <Settled prompts={settled} />}
      <Notifications />
    </div>
  );
}

function NothingOpen(): ReactNode {
  return (
    <section className="stack">
      <p className="muted">
        Nothing waits for a person. A run asks like this, and the question shows here at once:
      </p>
      <CopyLine
        text={`tasktree-rt ask "Deploy to production?" --project my-first --hub ${window.location.origin}`}
      />
    </section>
  );
}

function Settled({ prompts }: { prompts: readonly Prompt[] }): ReactNode {
  return (
    <section className="stack" aria-label="Settled">
      <h2>Settled, the newest first</h2>
      {prompts.map((one) => (
        <div key={promptKey(one)} className="card row wrap inbox-settled">
          <div className="grow">
            <RichText text={shownText(one.message)} />
            <Where prompt={one} near={false} />
          </div>
          {one.outcome !== undefined && (
            <>
              <span className="muted">
                {outcomeWords(one.outcome)}
                {one.settled_at !== undefined && (
                  <>
                    , <Ago time={moment(one.settled_at)} />
                  </>
                )}
              </span>
              <Badge status={one.outcome.proceed ? "completed" : "cancelled"} />
            </>
          )}
        </div>
      ))}
    </section>
  );
}

function Notifications(): ReactNode {
  const [user, setUser] = usePreference("user", "");
  const [typed, setTyped] = useState(user);
  const save = (event: FormEvent) => {
    event.preventDefault();
    setUser(typed.trim());
  };
  return (
    <section className="stack" aria-label="Notifications">
      <form className="row wrap" onSubmit={save}>
        <h2>Notifications</h2>
        <span className="grow" />
        <label className="row">
          <span className="muted">for user</span>
          <input
            className="input"
            value={typed}
            placeholder="user id"
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
        <button type="submit" className="button">
          Show
        </button>
      </form>
      {user === "" ? (
        <p className="muted">Name the user whose notifications you want to see. This browser remembers it.</p>
      ) : (
        <OfUser key={user} userId={user} />
      )}
    </section>
  );
}

function OfUser({ userId }: { userId: string }): ReactNode {
  const hub = useHub();
  const [store, setStore] = useState<NoticesStore | null>(null);
  useEffect(() => {
    setStore(hub.watchUser(userId));
    return () => hub.releaseUser(userId);
  }, [hub, userId]);
  return store === null ? null : <List store={store} />;
}

function List({ store }: { store: NoticesStore }): ReactNode {
  const { all, read, ready, error }: Notices = useReadable(store);
  if (error !== null) return <Failure error={error} again={() => void store.load()} />;
  if (!ready) return <p className="muted">Loading …</p>;
  if (all.length === 0) {
    return (
      <>
        <p className="muted">None yet. A caller that may push sends one like this:</p>
        <CopyLine
          text={`tasktree-rt notify ${store.userId} "Build 7 is green" --hub ${window.location.origin}`}
        />
      </>
    );
  }
  return (
    <>
      <div>
        <button
          type="button"
          className="button"
          disabled={(all[0]?.seq ?? 0) <= read}
          onClick={() => void store.markRead()}
        >
          All read
        </button>
      </div>
      {all.map((one) => (
        <div key={one.seq} className={`card row wrap c-${LEVELS[one.level] ?? "running"}`}>
          {one.seq > read && <span className="badge">new</span>}
          <div className="grow">
            <bdi>
              <strong>
                {one.url === null ? one.title : <OutsideLink href={one.url}>{one.title}</OutsideLink>}
              </strong>
            </bdi>
            {one.body !== null && <p className="muted">{shownText(one.body)}</p>}
          </div>
          <span className="muted">
            <Ago time={moment(one.timestamp)} />
          </span>
        </div>
      ))}
    </>
  );
}

const LEVELS: Record<string, string> = { error: "failed", warning: "review", success: "done" };
