// Development only (trunk.toml adds this file to debug builds): reloads the page when Trunk has built it
// anew. Trunk's own script does the same but is inline, which the Content-Security-Policy refuses.

const url = new URL('.well-known/trunk/ws', document.baseURI);
url.protocol = url.protocol.replace('http', 'ws');

function listen(onOpen) {
  const socket = new WebSocket(url);
  socket.onopen = onOpen;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'reload') location.reload();
    if (message.type === 'buildFailure') console.error(`The build failed:\n${message.data.reason}`);
  };
  // When the server comes back it has rebuilt, so the page in the tab is stale.
  socket.onclose = () => setTimeout(() => listen(() => location.reload()), 2000);
}
listen(null);
