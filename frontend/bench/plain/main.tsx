/** What one writes in an afternoon: all nodes in a list, drawn anew at each message; or, with `?poll=2000`, at each poll. */
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

type Node = { node_id: string; title?: string; status?: string; progress?: number; parent_id?: string };

const query = new URL(window.location.href).searchParams;
const hub = query.get("hub") ?? "";
const project = query.get("project") ?? "";

async function load(): Promise<Node[]> {
  const answer = await fetch(`${hub}/api/v1/projects/${project}/state`);
  return (await answer.json()).data.nodes;
}

function List() {
  const [nodes, setNodes] = useState<Record<string, Node>>({});
  useEffect(() => {
    const take = (all: Node[]) => setNodes(Object.fromEntries(all.map((one) => [one.node_id, one])));
    void load().then(take);
    const every = Number(query.get("poll") ?? 0);
    if (every > 0) {
      const timer = setInterval(() => void load().then(take), every);
      return () => clearInterval(timer);
    }
    const socket = new WebSocket(`${hub.replace("http", "ws")}/ws/updates?project_id=${project}`);
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.type !== "node_update") return;
      const { node_id, changes } = event.data;
      setNodes((there) => ({ ...there, [node_id]: { ...(there[node_id] ?? { node_id }), ...changes } }));
    };
    return () => socket.close();
  }, []);
  return (
    <ul>
      {Object.values(nodes).map((one) => (
        <li key={one.node_id} className="tree-row">
          {one.title} {one.status} <progress max={100} value={one.progress ?? 0} />
        </li>
      ))}
    </ul>
  );
}

const root = document.getElementById("app");
if (root !== null) createRoot(root).render(<List />);
