import { lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { Alerts } from "../features/alerts/Alerts.tsx";
import ProjectsPage from "../features/projects/ProjectsPage.tsx";
import { useReadable } from "../react/hooks.ts";
import { useHub } from "../react/provider.tsx";
import { useKey, useListKeys } from "../ui/keys.ts";
import { Link } from "../ui/link.tsx";
import { projectOf, usePlace, VIEWS, type ViewName } from "../ui/location.ts";
import { Empty, Spinner } from "../ui/parts.tsx";
import { usePreference } from "../ui/preference.ts";
import { useShared } from "../ui/shared.ts";
import { Boundary } from "./boundary.tsx";
import { ClockNotice, ConnectionPill } from "./connection.tsx";
import { ProjectPage } from "./ProjectPage.tsx";
import { TokenPage } from "./TokenPage.tsx";
import { applyTheme, THEMES } from "./theme.ts";

const InboxPage = lazy(() => import("../features/inbox/InboxPage.tsx"));
const SeriesPage = lazy(() => import("../features/series/SeriesPage.tsx"));
const SearchPage = lazy(() => import("../features/search/SearchPage.tsx"));
const HubPage = lazy(() => import("../features/hub/HubPage.tsx"));
const TvPage = lazy(() => import("../features/tv/TvPage.tsx"));
const DIALOGS = {
  keys: lazy(() => import("../features/keys/KeysDialog.tsx")),
  palette: lazy(() => import("../features/palette/Palette.tsx")),
} as const;

export function App(): ReactNode {
  const { path } = usePlace();
  const hub = useHub();
  const watched = useReadable(hub.status);
  const listed = useReadable(hub.rows.status);
  const shared = useShared();
  const needsToken = watched.kind === "refused" || listed.kind === "refused";
  if (path === "/tv" && !needsToken && !shared) {
    return (
      <Suspense fallback={<Spinner label="Loading …" />}>
        <TvPage connection={<ConnectionPill />} />
      </Suspense>
    );
  }
  return (
    <div className="shell">
      <SkipLink />
      {shared ? <SharedBar /> : <TopBar path={path} />}
      <ClockNotice />
      <main className="main" id="main" tabIndex={-1}>
        <Boundary name={path}>
          <Suspense fallback={<Spinner label="Loading …" />}>
            {needsToken ? <TokenPage /> : <Page path={path} shared={shared} />}
          </Suspense>
        </Boundary>
      </main>
    </div>
  );
}

function Page({ path, shared }: { path: string; shared: boolean }): ReactNode {
  if (shared && projectOf(path) === null) {
    return <Empty page title="This link shows one project, and no other page" />;
  }
  if (path === "/" || path === "/projects") return <ProjectsPage />;
  if (path === "/series") return <SeriesPage />;
  if (path === "/search") return <SearchPage />;
  if (path === "/inbox") return <InboxPage />;
  if (path === "/hub") return <HubPage />;
  const projectId = projectOf(path);
  const view = (/^\/p\/[^/]+\/?([^/]*)\/?$/.exec(path)?.[1] || "tree") as ViewName;
  if (projectId !== null && VIEWS.includes(view)) {
    return <ProjectPage key={projectId} projectId={projectId} view={view} />;
  }
  return (
    <Empty page title="There is no such page">
      <p>
        <Link href="/">All projects</Link>
      </p>
    </Empty>
  );
}

/** The first stop of the tab key: past what every page begins with. */
function SkipLink(): ReactNode {
  const skip = () => {
    const main = document.getElementById("main");
    (main?.querySelector<HTMLElement>("[role=tree]") ?? main)?.focus();
  };
  return (
    <button type="button" className="skip button" onClick={skip}>
      Skip to the content
    </button>
  );
}

/** What opens over the page: the palette to jump with, and the list of keys. */
function Dialogs(): ReactNode {
  const [open, setOpen] = useState<keyof typeof DIALOGS | null>(null);
  useKey("Ctrl+K", "jump to a project, a node or a page", () => setOpen("palette"));
  useKey("?", "this list", () => setOpen("keys"));
  useListKeys();
  const Opened = open === null ? null : DIALOGS[open];
  return (
    <>
      <button
        type="button"
        className="button plain icon"
        aria-label="Jump to a project, a node or a page"
        title="Jump to … : Ctrl+K"
        onClick={() => setOpen("palette")}
      >
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path
            d="M10.5 10.5L14 14M11.5 7a4.5 4.5 0 1 1-9 0 4.5 4.5 0 0 1 9 0z"
            fill="none"
            stroke="currentColor"
            strokeWidth="1.6"
          />
        </svg>
      </button>
      <button
        type="button"
        className="button plain icon wide"
        aria-label="Keys"
        title="Keys: ?"
        onClick={() => setOpen("keys")}
      >
        ?
      </button>
      {Opened !== null && (
        <Suspense>
          <Opened onClose={() => setOpen(null)} />
        </Suspense>
      )}
    </>
  );
}

/** Of a page that shows one project by a share link: nothing that leads elsewhere. */
function SharedBar(): ReactNode {
  return (
    <header className="topbar">
      <span className="brand">
        <Emblem />
        <span>tasktree_rt</span>
      </span>
      <span className="nav muted">shared, for watching</span>
      <ThemeSwitch />
      <ConnectionPill />
    </header>
  );
}

function Emblem(): ReactNode {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path
        d="M12 5v5M12 10c0 4-6 3-6 7M12 10c0 4 6 3 6 7M12 10v7"
        fill="none"
        stroke="var(--accent)"
        strokeWidth="2"
      />
      <circle cx="12" cy="4" r="3" fill="var(--accent)" />
      <circle cx="6" cy="19" r="3" fill="var(--done)" />
      <circle cx="12" cy="19" r="3" fill="var(--running)" />
      <circle cx="18" cy="19" r="3" fill="var(--review)" />
    </svg>
  );
}

function inProjects(path: string): boolean {
  return path === "/" || path === "/series" || path.startsWith("/p/");
}

function TopBar({ path }: { path: string }): ReactNode {
  return (
    <header className="topbar">
      <Link
        href="/"
        className="brand"
        aria-label="tasktree_rt: all projects"
        aria-current={inProjects(path) ? "page" : undefined}
      >
        <Emblem />
        <span>tasktree_rt</span>
      </Link>
      <nav className="nav" aria-label="Pages">
        <NavLink href="/" here={inProjects(path)} className="roomy">
          Projects
        </NavLink>
        <NavLink href="/inbox" here={path === "/inbox"}>
          Inbox
          <Waiting />
        </NavLink>
        <NavLink href="/search" here={path === "/search"} className="wide">
          Search
        </NavLink>
        <NavLink href="/hub" here={path === "/hub"}>
          Hub
        </NavLink>
        <NavLink href="/tv" here={false} className="wide">
          TV
        </NavLink>
      </nav>
      <Dialogs />
      <Alerts />
      <ThemeSwitch />
      <ConnectionPill />
    </header>
  );
}

interface NavLinkProps {
  readonly href: string;
  readonly here: boolean;
  readonly className?: string;
  readonly children: ReactNode;
}

function NavLink({ href, here, className, children }: NavLinkProps): ReactNode {
  return (
    <Link href={href} className={className} aria-current={here ? "page" : undefined}>
      {children}
    </Link>
  );
}

function Waiting(): ReactNode {
  const { open } = useReadable(useHub().prompts);
  if (open.length === 0) return null;
  return (
    <span className="number">
      {open.length}
      <span className="hidden-text"> waiting</span>
    </span>
  );
}

function ThemeSwitch(): ReactNode {
  const [theme, setTheme] = usePreference("theme", "system");
  useEffect(() => applyTheme(theme), [theme]);
  const next = THEMES[(THEMES.indexOf(theme as never) + 1) % THEMES.length] ?? "system";
  return (
    <button
      type="button"
      className="button plain icon"
      aria-label={`Colours: ${theme}. Change to ${next}`}
      title={`Colours: ${theme}`}
      onClick={() => setTheme(next)}
    >
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="1.6" />
        {theme !== "light" && <path d="M8 2a6 6 0 0 0 0 12z" fill="currentColor" />}
        {theme === "dark" && <circle cx="8" cy="8" r="6" fill="currentColor" />}
      </svg>
    </button>
  );
}
