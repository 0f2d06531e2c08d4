// The connection of one follower to the hub: opens it, notices when it is dead, and comes back.

const SUBPROTOCOL = "tasktree.v1";
const FIRST_DELAY = 500;
const MOST_DELAY = 30_000;
const OPEN_WITHIN = 10_000;
const PONG_WITHIN = 5_000;
const ACK_EVERY = 2_000;

// What a close code means, in words, and what to do: "again", "now", "stop", "token".
const CLOSES = {
  1002: ["the hub did not understand us", "stop"],
  1007: ["the hub did not understand us", "stop"],
  1009: ["we sent too much at once", "stop"],
  1011: ["the hub had a fault", "again"],
  1012: ["the hub is restarting", "again"],
  1013: ["the hub is busy", "again"],
  4001: ["this hub asks for a token", "token"],
  4002: ["the token does not say whose it is", "token"],
  4003: ["the token is not valid, or has expired", "token"],
  4008: ["we read too slowly", "again"],
  4029: ["we asked too often", "stop"],
};

/** Milliseconds before the n-th attempt in a row: full jitter, so that watchers do not come back all at once. */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(MOST_DELAY, FIRST_DELAY * 2 ** attempt);
}

/** Where a project's events come from, or with null every project's. */
export function watchUrl(projectId, token) {
  const url = new URL("/ws/updates", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (projectId !== null) url.searchParams.set("project_id", projectId);
  if (token) url.searchParams.set("token", token);
  return url;
}

export class Link {
  /**
   * `changed()` is called when there may be something new to draw, `moved({name, words, until})` when the state of the
   * connection changes; `name` is connecting, catching-up, live, waiting, stopped or token.
   */
  constructor(follower, { token, changed, moved }) {
    this._follower = follower;
    this._token = token;
    this._changed = changed;
    this._moved = moved;
    this._attempt = 0;
    this._advised = null;
    this._timer = null;
    this._socket = null;
    this._name = "";
    this._closed = false;
    this._acked = 0;
    this._watchdog = setInterval(() => this._watch(), 1000);
    this._onWake = () => this.wake();
    addEventListener("online", this._onWake);
    document.addEventListener("visibilitychange", this._onWake);
    this._connect();
  }

  close() {
    this._closed = true;
    clearInterval(this._watchdog);
    clearTimeout(this._timer);
    removeEventListener("online", this._onWake);
    document.removeEventListener("visibilitychange", this._onWake);
    this._drop();
  }

  /** Somebody looks again, or the network is back: do not wait any longer, and see whether the hub is still there. */
  wake() {
    if (document.hidden || this._closed) return;
    if (this._timer !== null) this._connect();
    else if (this._socket?.readyState === WebSocket.OPEN) {
      this._send({ type: "ping" });
      this._deadline = Math.min(this._deadline, performance.now() + PONG_WITHIN);
    }
  }

  _connect() {
    clearTimeout(this._timer);
    this._timer = null;
    const socket = new WebSocket(watchUrl(this._follower.projectId, this._token), SUBPROTOCOL);
    this._socket = socket;
    this._patience = Infinity;
    this._deadline = performance.now() + OPEN_WITHIN;
    this._say("connecting", this._attempt ? "trying again" : "connecting");
    socket.onmessage = (event) => socket === this._socket && this._message(event.data);
    socket.onclose = (event) => socket === this._socket && this._lost(event.code);
  }

  _message(text) {
    const message = JSON.parse(text);
    const follower = this._follower;
    if (message.type === "welcome") {
      this._patience = message.data.heartbeat_interval * 1500 + 5000;
      follower.open();
    } else if (message.type === "draining") {
      this._advised = message.data.reconnect_after_ms;
    } else {
      follower.receive(message);
    }
    this._deadline = performance.now() + this._patience;
    for (const request of follower.requests.splice(0)) this._send(request);
    if (follower.refusal !== null) this._stop(`${follower.refusal.code}: ${follower.refusal.message}`);
    else if (follower.retryAfter !== null) this._giveUp("the hub is busy", follower.retryAfter);
    else this._show();
    this._changed();
  }

  _show() {
    if (this._follower.current) {
      this._attempt = 0;
      this._say("live", "live");
    } else {
      this._say("catching-up", "catching up");
    }
  }

  /** Tell the hub how far this page has drawn (its watermark). */
  rendered() {
    const now = performance.now();
    const at = this._follower.position;
    if (this._name !== "live" || now - this._acked < ACK_EVERY || !at?.epoch || at.seq === this._ackedSeq) return;
    this._acked = now;
    this._ackedSeq = at.seq;
    this._send({ type: "ack", project_id: this._follower.projectId, seq: at.seq });
  }

  _send(message) {
    if (this._socket?.readyState === WebSocket.OPEN) this._socket.send(JSON.stringify(message));
  }

  _watch() {
    if (this._socket !== null && performance.now() > this._deadline) this._giveUp("the hub does not answer", null);
  }

  _lost(code) {
    const [words, action] = CLOSES[code] ?? ["the connection was lost", "again"];
    const advised = this._advised;
    this._advised = null;
    if (action === "again") this._giveUp(words, advised);
    else this._stop(words, action === "token" ? "token" : "stopped");
  }

  _giveUp(words, after) {
    this._drop();
    const delay = after ?? backoff(this._attempt);
    this._attempt += 1;
    this._say("waiting", words, Date.now() + delay);
    this._timer = setTimeout(() => this._connect(), delay);
  }

  _stop(words, name = "stopped") {
    this._drop();
    this._say(name, words);
  }

  _drop() {
    const socket = this._socket;
    this._socket = null;
    socket?.close();
    this._follower.current = false;
  }

  _say(name, words, until = null) {
    if (name === this._name && until === null) return;
    this._name = name;
    this._moved({ name, words, until });
  }
}
