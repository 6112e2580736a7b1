// Follow a room of Ganglion's WebSocket and come back after every interruption, without a hole and without a repeat.
//
// In a browser:  import { follow } from "./subscribe.mjs";
// In a terminal: TOKEN=… node examples/subscribe.mjs ws://127.0.0.1:8080/ws task:ID [CURSOR]
//                (node 22 or newer; node 20 with --experimental-websocket)

const FOR_GOOD = new Set([4400, 4401, 4403, 4404]);

/**
 * Follow a room until it ends, `stop()` is called, or the gateway says not to come back.
 *
 * `after`: a cursor, "0" for all that is kept, null for from now on. `onFrame` gets every frame about the room
 * (`event`, `delta`, `gap`, `snapshot`, `end`); `done` resolves with why it is over.
 */
export function follow({ url, token, room, after = null, onFrame, onInterruption = () => {}, WebSocket = globalThis.WebSocket }) {
  let cursor = after;
  let socket = null;
  let stopped = false;
  let failures = 0;
  let over;
  const done = new Promise((resolve) => { over = resolve; });

  function finish(why) {
    stopped = true;
    over(why);
    socket?.close(1000);
  }

  function connect() {
    // A browser cannot send an Authorization header with a WebSocket: the token travels as a subprotocol.
    socket = new WebSocket(url, ["ganglion.v1", `bearer.${token}`]);
    socket.onmessage = ({ data }) => { if (!stopped) receive(JSON.parse(data)); };
    socket.onclose = ({ code, reason }) => {
      if (stopped) return;
      if (FOR_GOOD.has(code)) { finish(`closed ${code} ${reason}`); return; }
      if (code === 4408 && reason) cursor = reason; // we read too slowly: the reason is where to go on
      onInterruption(code);
      failures += 1;
      setTimeout(() => { if (!stopped) connect(); }, Math.random() * Math.min(10_000, 100 * 2 ** failures));
    };
    socket.onerror = () => {}; // a close follows
  }

  function receive(frame) {
    switch (frame.type) {
      case "hello": {
        const wanted = { type: "subscribe", id: "it", room };
        socket.send(JSON.stringify(cursor === null ? wanted : { ...wanted, after: cursor }));
        return;
      }
      case "ping": socket.send('{"type":"pong"}'); return;
      case "drain": return;
      case "subscribed":
        failures = 0;
        cursor ??= frame.from; // from now on; after an interruption, from here
        break;
      case "error":
        if (!frame.retryable) { finish(`refused ${frame.code}`); return; }
        socket.close(1000);
        return;
    }
    if (frame.cursor) cursor = frame.cursor;
    onFrame(frame);
    if (frame.type === "end") finish("end");
  }

  connect();
  return { done, stop: () => finish("stopped"), get cursor() { return cursor; } };
}

if (globalThis.process?.argv?.[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) {
  const [url, room, after = "0"] = process.argv.slice(2);
  if (!room || !process.env.TOKEN || !globalThis.WebSocket) {
    console.error("TOKEN=… node examples/subscribe.mjs ws://127.0.0.1:8080/ws task:ID [CURSOR]");
    console.error("(node 22 or newer; node 20 with --experimental-websocket)");
    process.exit(2);
  }
  const it = follow({
    url,
    room,
    after,
    token: process.env.TOKEN,
    onFrame: (frame) => console.log(JSON.stringify(frame)),
    onInterruption: (code) => console.error(`interrupted (${code}), coming back`),
  });
  const why = await it.done;
  console.error(why);
  process.exit(why === "end" ? 0 : 1);
}
