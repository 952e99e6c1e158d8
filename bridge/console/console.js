"use strict";
// The console reads and shows; it changes nothing. Text goes in as text, never as markup.

const byId = (id) => document.getElementById(id);
const state = { device: "", shadow: "", tree: "", treeAt: 0 };
const treeFor = 30000; // ms that a tree is shown before it is read again

function cell(row, text, className) {
  const td = row.insertCell();
  td.textContent = text;
  if (className) td.className = className;
}

function ago(ms, now) {
  const s = Math.max(0, Math.round((now - ms) / 1000));
  if (s < 120) return s + " s ago";
  if (s < 7200) return Math.round(s / 60) + " min ago";
  return new Date(ms).toLocaleString();
}

async function read(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

async function showDevices() {
  const query = new URLSearchParams({ begins: byId("text").value.trim(), presence: byId("presence").value });
  const page = await read("/console/devices?" + query);
  const c = page.counts;
  byId("summary").textContent = `${c.online} online, ${c.unknown} unknown, ${c.offline} offline — version ${page.version}`;
  const rows = document.createElement("tbody");
  rows.id = "devices";
  for (const d of page.devices) {
    const row = rows.insertRow();
    row.classList.toggle("open", d.id === state.device);
    row.onclick = () => open(d.id, "");
    cell(row, d.id);
    cell(row, d.presence, d.presence);
    cell(row, d.reason || "");
    cell(row, d.remote ? `${d.transport} ${d.remote}` : "");
    cell(row, d.channels);
    cell(row, d.last_seen_at ? ago(d.last_seen_at, page.ts) : "never");
  }
  byId("devices").replaceWith(rows);
  byId("more").textContent = page.matching > page.devices.length
    ? `${page.devices.length} of ${page.matching} are shown; narrow the search to see the others.`
    : page.matching === 0 ? "No device matches. Set a camera's SIP server to this platform." : "";
}

async function showShadow() {
  if (!state.device) return;
  const d = await read(`/console/devices/${state.device}?channel=${state.shadow}`);
  byId("shadow").hidden = false;
  byId("thing").textContent = state.shadow || state.device;
  await showTree();
  const presence = new Map(d.channels.map((c) => [c.id, c.presence]));
  for (const label of byId("channels").querySelectorAll(".channel")) {
    label.className = "channel " + (presence.get(label.dataset.id) || "");
  }
  byId("document").textContent = d.shadow ? JSON.stringify(d.shadow, null, 2) : "This one has no shadow yet.";
}

// showTree reads where the channels of the open device stand: below regions, systems, business
// groups, virtual organisations, recorders. Only channels have a presence and a shadow.
async function showTree() {
  if (state.tree === state.device && Date.now() - state.treeAt < treeFor) return;
  const device = state.device;
  const d = await read(`/console/devices/${device}/tree`);
  const list = document.createElement("ul");
  list.id = "channels";
  list.append(treeItem(device, d.tree, true));
  byId("channels").replaceWith(list);
  byId("beyond").textContent = d.channels > d.shown ? `${d.shown} of ${d.channels} channels are shown.` : "";
  Object.assign(state, { tree: device, treeAt: Date.now() });
}

function treeItem(device, node, root) {
  const li = document.createElement("li");
  const label = document.createElement("span");
  label.textContent = node.name ? `${node.id} ${node.name}` : node.id;
  label.title = node.kind.replace("_", " ");
  if (root || node.presence) {
    label.className = root ? "device" : "channel " + node.presence;
    label.dataset.id = node.id;
    label.onclick = () => open(device, root ? "" : node.id);
  }
  li.append(label);
  if (node.children) {
    const list = document.createElement("ul");
    list.append(...node.children.map((child) => treeItem(device, child, false)));
    li.append(list);
  }
  return li;
}

function open(device, shadow) {
  Object.assign(state, { device, shadow });
  refresh();
}

let timer;
async function refresh() {
  clearTimeout(timer);
  try {
    await showDevices();
    await showShadow();
  } catch (problem) {
    byId("summary").textContent = "The bridge does not answer: " + problem.message;
  }
  timer = setTimeout(refresh, 2000);
}

byId("search").oninput = refresh;
byId("search").onsubmit = (event) => event.preventDefault();
refresh();
