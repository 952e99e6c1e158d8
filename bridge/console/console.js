"use strict";
// The console reads and shows; it changes nothing. Text goes in as text, never as markup.

const byId = (id) => document.getElementById(id);
const state = { device: "", shadow: "" };

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
  const list = document.createElement("ul");
  list.id = "channels";
  for (const entry of [{ id: state.device, presence: "" }, ...d.channels]) {
    const li = document.createElement("li");
    li.textContent = `${entry.id} ${entry.presence}`;
    li.className = entry.presence;
    li.onclick = () => open(state.device, entry.id === state.device ? "" : entry.id);
    list.append(li);
  }
  byId("channels").replaceWith(list);
  byId("document").textContent = d.shadow ? JSON.stringify(d.shadow, null, 2) : "This one has no shadow yet.";
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
