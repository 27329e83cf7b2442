"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const el = (name, text, more = {}) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    return made;
  };
  const svg = (name, more = {}, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(more)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const show = (id, ...children) => by(id).replaceChildren(...children);
  const number = (x, digits = 3) => (x === null || x === undefined ? "–" : Number(x.toPrecision(digits)).toString().replace("-", "−"));

  // ---- what is chosen
  const LABELS = { dyad: "Dyad", session: "Session", modality: "Modality", task: "Task", run: "Run", signal: "Signal",
    metric: "Metric", band: "Band", roi: "Region, therapist – client" };
  const N = D.rows.session.length;
  const label = (name, i) => {
    if (name === "session") return String(D.rows.session[i]);
    if (name === "roi") return label("roi_therapist", i) + " – " + label("roi_client", i);
    return D.levels[name] ? D.levels[name][D.rows[name][i]] : "";
  };
  const FIELDS = Object.keys(LABELS);
  const table = Array.from({ length: N }, (_, i) => Object.fromEntries(FIELDS.map((name) => [name, label(name, i)])));
  const start = Object.fromEntries(FIELDS.map((name) => [name, name === "roi" ? D.primary.roi_therapist + " – " + D.primary.roi_client : D.primary[name] || ""]));
  for (const part of location.hash.slice(1).split("&")) {
    const [name, value] = part.split("=").map((text) => { try { return decodeURIComponent(text || ""); } catch { return ""; } });
    if (FIELDS.includes(name)) start[name] = value;
  }
  let chosen = {};
  let row = 0;
  // each choice is kept where the ones before it allow it
  const settle = (wanted) => {
    let rows = table.map((_, i) => i);
    chosen = {};
    for (const name of FIELDS) {
      const values = [...new Set(rows.map((i) => table[i][name]))];
      chosen[name] = values.includes(wanted[name]) ? wanted[name] : values[0];
      rows = rows.filter((i) => table[i][name] === chosen[name]);
    }
    row = rows[0];
  };
  const options = (name) => {
    const before = FIELDS.slice(0, FIELDS.indexOf(name));
    const rows = table.filter((each) => before.every((other) => each[other] === chosen[other]));
    return [...new Set(rows.map((each) => each[name]))];
  };
  const selects = Object.fromEntries(FIELDS.map((name) => {
    const select = el("select", undefined, { id: "pick-" + name });
    select.addEventListener("change", () => choose({ ...chosen, [name]: select.value }));
    return [name, select];
  }));
  for (const name of FIELDS) {
    const wrap = el("label", LABELS[name]);
    wrap.append(selects[name]);
    by("choose").append(wrap);
  }
  by("choose").addEventListener("submit", (event) => event.preventDefault());
  const step = (by) => {
    const all = options("session");
    const at = all.indexOf(chosen.session) + by;
    if (all[at] !== undefined) choose({ ...chosen, session: all[at] });
  };
  by("before").addEventListener("click", () => step(-1));
  by("after").addEventListener("click", () => step(1));
  by("share").addEventListener("input", () => channels());

  function choose(wanted) {
    settle(wanted);
    for (const name of FIELDS) {
      const all = options(name);
      selects[name].replaceChildren(...all.map((value) => el("option", value || "(none)", { value })));
      selects[name].value = chosen[name];
      selects[name].parentElement.hidden = all.length < 2 && name !== "dyad" && name !== "session";
    }
    const sessions = options("session");
    by("before").disabled = sessions.indexOf(chosen.session) < 1;
    by("after").disabled = sessions.indexOf(chosen.session) > sessions.length - 2;
    const hash = FIELDS.filter((name) => chosen[name]).map((name) => name + "=" + encodeURIComponent(chosen[name])).join("&");
    history.replaceState(null, "", "#" + hash);
    by("dyadpage").setAttribute("href", D.pages[chosen.dyad] || "report.html");
    draw();
  }

  // ---- what is shown
  const value = (name, i = row) => (D.values[name] ? D.values[name][i] : null);
  const session = () => D.recordings.find((each) => ["dyad", "session", "modality", "task", "run"].every((name, k) => String(each.key[k]) === chosen[name]));
  const cell = () => [chosen.signal, chosen.metric, chosen.band].join("|");

  function draw() {
    const mean = value("pseudo_mean_z"), sd = value("pseudo_sd_z"), apart = (value("z") - mean) / sd;
    const away = mean === null || !sd ? "" : ` (mean ± 1 SD): ${number(Math.abs(apart), 2)} SD ${apart < 0 ? "below" : "above"} their mean, which is no test`;
    const chance = mean === null ? "no other dyad was re-paired" : `pseudo pairs ${number(mean)}${sd ? " ± " + number(sd, 2) : ""}${away}`;
    by("said").textContent = `Dyad ${chosen.dyad}, session ${chosen.session}: ${chosen.metric}, ${chosen.band}, ${chosen.roi}: ${number(value("z"))} ${D.scales[chosen.metric]}; ${chance}.`;
    numbers(); course(); windows(); channels(); quality(); leftOut();
  }

  function tableOf(caption, heads, rows) {
    const made = el("table");
    made.append(el("caption", caption));
    const head = el("tr");
    for (const each of heads) head.append(el("th", each, { scope: "col" }));
    const top = el("thead"); top.append(head); made.append(top);
    const body = el("tbody");
    for (const cells of rows) {
      const line = el("tr");
      cells.forEach((text, k) => line.append(k ? el("td", text) : el("th", text, { scope: "row" })));
      body.append(line);
    }
    made.append(body);
    const scroll = el("div", undefined, { class: "scroll", role: "region", tabindex: "0", "aria-label": caption });
    scroll.append(made);
    return scroll;
  }

  function numbers() {
    const rows = Object.keys(D.heads).filter((name) => value(name) !== null && value(name) !== "").map((name) => [D.heads[name].replace("{scale}", D.scales[chosen.metric]), name, String(value(name))]);
    show("numbers", tableOf("This row of synchrony.tsv, as the file has it", ["Column", "Name", "Value"], rows));
  }

  // three to seven round numbers between two
  function round(low, high) {
    const rough = (high - low) / 6.5, ten = 10 ** Math.floor(Math.log10(rough));
    const step = ten * [1, 2, 5, 10].find((times) => times * ten >= rough);
    const at = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k += 1) at.push(k * step || 0);
    return { at, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  // a narrow screen has charts of its own width
  const ROOM = matchMedia("(max-width: 40rem)");
  ROOM.addEventListener("change", () => draw());
  const widthOf = () => (ROOM.matches ? 360 : 640);

  function chart(height, xs, series, title) {
    const width = widthOf(), left = 52, right = 12, top = 10, bottom = 34;
    const flat = series.flatMap((each) => each.values.concat(each.low || [], each.high || [])).filter((y) => y !== null && isFinite(y));
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
    if (!flat.length || !xs.length) return { root, x: () => 0, y: () => 0, width };
    let low = Math.min(...flat, 0), high = Math.max(...flat);
    const room = 0.06 * (high - low || 1); low -= room; high += room;
    const first = Math.min(...xs), last = Math.max(...xs);
    const inset = 10; // a ring at the first place leaves the numbers of the axis free
    const x = (at) => left + inset + (last > first ? (at - first) / (last - first) : 0.5) * (width - left - inset - right);
    const y = (at) => height - bottom - ((at - low) / (high - low)) * (height - top - bottom);
    const marks = round(low, high);
    for (const at of marks.at) {
      root.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(at), y2: y(at) }));
      root.append(svg("text", { class: "muted", x: left - 6, y: y(at) + 4, "text-anchor": "end" }, at.toFixed(marks.digits).replace("-", "−")));
    }
    root.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
    for (const each of series) {
      if (each.low) {
        const up = xs.map((at, i) => `${x(at)},${y(each.high[i])}`), down = xs.map((at, i) => `${x(at)},${y(each.low[i])}`).reverse();
        root.append(svg("polygon", { class: "band", points: up.concat(down).join(" ") }));
      }
      let line = "", on = false;
      each.values.forEach((v, i) => {
        if (v === null) { on = false; return; }
        // sessions that are missing break the line
        if (each.whole && i && xs[i] - xs[i - 1] > 1) on = false;
        line += `${on ? "L" : "M"}${x(xs[i])} ${y(v)}`; on = true;
      });
      root.append(svg("path", { class: each.look, d: line }));
      if (each.look === "line") each.values.forEach((v, i) => v !== null && root.append(svg("circle", { class: each.here === i ? "here" : "dot", cx: x(xs[i]), cy: y(v), r: each.here === i ? 6 : 3 })));
    }
    return { root, x, y, width, height, bottom };
  }

  function course() {
    const same = table.map((_, i) => i).filter((i) => FIELDS.every((name) => name === "session" || table[i][name] === chosen[name]));
    same.sort((a, b) => D.rows.session[a] - D.rows.session[b]);
    const xs = same.map((i) => D.rows.session[i]), z = same.map((i) => value("z", i)), mean = same.map((i) => value("pseudo_mean_z", i));
    const sd = same.map((i) => value("pseudo_sd_z", i) || 0);
    const known = mean.every((m) => m !== null);
    const series = [{ look: "line", values: z, here: same.indexOf(row), whole: true }];
    if (known) series.unshift({ look: "chance", values: mean, low: mean.map((m, i) => m - sd[i]), high: mean.map((m, i) => m + sd[i]) });
    const drawn = chart(220, xs, series, `Synchrony of dyad ${chosen.dyad} over ${xs.length} sessions${known ? ", beside chance" : ""}`);
    const every = Math.ceil((22 * xs.length) / drawn.width) || 1;
    xs.filter((_, i) => i % every === 0).forEach((at) => drawn.root.append(svg("text", { x: drawn.x(at), y: 204, "text-anchor": "middle" }, String(at))));
    show("course", drawn.root, el("p", `Session number; ${D.scales[chosen.metric]}. Solid: the pair. ${known ? "Dashed: mean of its pseudo pairs, band ± 1 SD. " : ""}Ring: the session shown.`, { class: "constant" }));
  }

  function windows() {
    const here = session(), values = here && here.windows[cell()];
    const primary = chosen.roi === D.primary.roi_therapist + " – " + D.primary.roi_client;
    if (!values) { show("windows", el("p", here ? "This session is one window, which has no course." : "The matrices of this session are not in the folder.")); return; }
    const xs = here.start.map((at) => at + here.window / 2);
    const level = (() => {
      const i = table.findIndex((each) => FIELDS.every((name) => each[name] === (name === "roi" ? D.primary.roi_therapist + " – " + D.primary.roi_client : chosen[name])));
      return i < 0 ? null : value("pseudo_mean_z", i);
    })();
    const series = [{ look: "line", values }];
    if (level !== null) series.unshift({ look: "chance", values: xs.map(() => level) });
    const drawn = chart(200, xs, series, `Synchrony over ${xs.length} windows of the session`);
    const all = xs.length > 1 ? round(xs[0], xs[xs.length - 1]).at : xs;
    const times = all.filter((_, i) => !ROOM.matches || all.length < 6 || i % 2 === 0);
    for (const at of times) drawn.root.append(svg("text", { x: drawn.x(at), y: 184, "text-anchor": "middle" }, `${number(at)} s`));
    show("windows", drawn.root, el("p", `${primary ? "" : "Windows are kept of the primary region. "}Region ${D.primary.roi_therapist} – ${D.primary.roi_client}, ${D.scales[chosen.metric]}; middle of each window of ${number(here.window)} s.${level === null ? "" : " Dashed: mean of the session's pseudo pairs."}`, { class: "constant" }));
  }

  function unpack(here) {
    const packed = here && here.matrices[cell()];
    if (!packed) return null;
    const [low, high, text] = packed, raw = atob(text), n = here.channels.client.length;
    const rows = here.channels.therapist.map((_, i) => Array.from({ length: n }, (__, j) => {
      const at = 2 * (i * n + j), code = raw.charCodeAt(at) | (raw.charCodeAt(at + 1) << 8);
      return code === 65535 ? null : low + ((high - low) * code) / 65534;
    }));
    return { rows, low, high };
  }

  const SHADES = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [203, 186, 105], [254, 232, 56]];
  const shade = (share) => {
    const at = Math.min(Math.max(share, 0), 1) * (SHADES.length - 1), k = Math.min(Math.floor(at), SHADES.length - 2);
    return SHADES[k].map((c, i) => Math.round(c + (SHADES[k + 1][i] - c) * (at - k)));
  };

  function channels() {
    const here = session(), found = unpack(here);
    if (!found) {
      show("heads"); show("strongest");
      show("matrix", el("p", here ? "The page holds the channels of the primary metric and band; others are in the folder's .nc files. A metric of whole regions has none." : "The matrices of this session are not in the folder."));
      return;
    }
    const { rows } = found, names = here.channels;
    // one scale for all sessions of the dyad, so that a colour means the same in each
    const spans = D.recordings.filter((each) => String(each.key[0]) === chosen.dyad).map((each) => each.matrices[cell()]).filter((packed) => packed && packed[1] > packed[0]);
    const low = Math.min(found.low, ...spans.map((packed) => packed[0])), high = Math.max(found.high, ...spans.map((packed) => packed[1]));
    const pairs = rows.flatMap((line, i) => line.map((v, j) => [v, i, j])).filter((pair) => pair[0] !== null).sort((a, b) => b[0] - a[0]);
    const share = Math.min(Math.max(Number(by("share").value) || 0, 0), 100);
    const strong = pairs.slice(0, Math.round((pairs.length * share) / 100));
    const canvas = el("canvas", undefined, { width: names.client.length, height: names.therapist.length, role: "img",
      "aria-label": `Matrix of ${names.therapist.length} therapist channels by ${names.client.length} client channels, from ${number(low)} to ${number(high)}` });
    const image = new ImageData(names.client.length, names.therapist.length);
    rows.flat().forEach((v, k) => image.data.set(v === null ? [0, 0, 0, 0] : [...shade((v - low) / (high - low || 1)), 255], 4 * k));
    canvas.getContext("2d").putImageData(image, 0, 0);
    const tip = el("p", `Rows: therapist, columns: client; dark ${number(low)}, bright ${number(high)} (${chosen.metric}, ${chosen.band}): the lowest and the highest of all sessions of this dyad.`, { class: "constant" });
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const i = Math.floor(((event.clientY - box.top) / box.height) * names.therapist.length), j = Math.floor(((event.clientX - box.left) / box.width) * names.client.length);
      if (rows[i] && rows[i][j] !== undefined) tip.textContent = `Therapist ${names.therapist[i]}, client ${names.client[j]}: ${number(rows[i][j])}`;
    });
    // names where they can be read
    const framed = el("div", undefined, { class: "framed" });
    const named = (role, look) => { const box = el("div", undefined, { class: look, "aria-hidden": "true" }); if (names[role].length <= 32) for (const name of names[role]) box.append(el("span", name)); return box; };
    framed.append(named("therapist", "rows"), canvas, el("div"), named("client", "cols"));
    show("matrix", framed, tip);
    show("heads", heads(here, strong));
    show("strongest", tableOf("The ten strongest channel pairs (chance not subtracted; none is tested)", ["Therapist", "Client", chosen.metric],
      pairs.slice(0, 10).map(([v, i, j]) => [names.therapist[i], names.client[j], number(v)])));
  }

  function heads(here, strong) {
    const root = svg("svg", { viewBox: "0 0 460 215", role: "img", "aria-label": `Two heads with the ${strong.length} strongest links` });
    const centre = { therapist: 105, client: 355 }, r = 78;
    const place = (role, k) => { const at = here.places[role][k]; return at && [centre[role] + r * at[0], 100 - r * at[1]]; };
    for (const [role, x] of Object.entries(centre)) {
      root.append(svg("circle", { class: "head", cx: x, cy: 100, r }), svg("path", { class: "head", d: `M${x - 10} 23L${x} 10L${x + 10} 23` }));
      root.append(svg("text", { x, y: 205, "text-anchor": "middle" }, role === "therapist" ? "Therapist" : "Client"));
      root.append(svg("text", { class: "muted", x: x - r - 6, y: 60, "text-anchor": "end" }, "L"), svg("text", { class: "muted", x: x + r + 6, y: 60 }, "R"));
    }
    const top = strong.length ? strong[0][0] : 1, bottom = strong.length ? strong[strong.length - 1][0] : 0;
    const named = new Set();
    for (const [v, i, j] of [...strong].reverse()) {
      const a = place("therapist", i), b = place("client", j);
      if (!a || !b) continue;
      const rank = (v - bottom) / (top - bottom || 1);
      const path = svg("path", { class: "line", d: `M${a}Q${(a[0] + b[0]) / 2} ${(a[1] + b[1]) / 2 - 45},${b}`, "stroke-opacity": 0.35 + 0.6 * rank });
      path.append(svg("title", {}, `${here.channels.therapist[i]} – ${here.channels.client[j]}: ${number(v)}`));
      root.append(path);
    }
    for (const role of ["therapist", "client"]) here.channels[role].forEach((_, k) => {
      const at = place(role, k);
      if (at) root.append(svg("circle", { class: role[0], cx: at[0], cy: at[1], r: 3 }));
    });
    // names beside their marks, the strongest first; one that would hide a name or a mark is left out
    const taken = Object.keys(centre).flatMap((role) => here.channels[role].map((_, k) => place(role, k))).filter(Boolean).map(([x, y]) => [x, y, 3, 3]);
    for (const [, i, j] of strong) for (const [role, k] of [["therapist", i], ["client", j]]) {
      const at = place(role, k), name = here.channels[role][k];
      if (!at || named.size > 15 || named.has(role + k)) continue;
      named.add(role + k);
      const half = [3.4 * name.length, 6];
      const spot = [[0, -1], [0, 1], [1, 0], [-1, 0]].map(([dx, dy]) => [at[0] + dx * (half[0] + 5), at[1] + dy * (half[1] + 4)])
        .find(([x, y]) => !taken.some(([a, b, w, h]) => Math.abs(x - a) < half[0] + w && Math.abs(y - b) < half[1] + h));
      if (!spot) continue;
      taken.push([...spot, ...half]);
      root.append(svg("text", { class: "name", x: spot[0], y: spot[1] + 4, "text-anchor": "middle" }, name));
    }
    return root;
  }

  const ofSession = (each) => each[0] === chosen.dyad && String(each[1]) === chosen.session && each[2] === chosen.modality && each[3] === chosen.task && each[4] === chosen.run;
  function quality() {
    const rows = D.judged.filter(ofSession).map((each) => each.slice(5));
    const children = [rows.length ? tableOf("Grade, reason and facts", ["Person", "Grade", "Reason", "Facts"], rows) : el("p", "No quality was reported.")];
    const here = session();
    if (here && here.grid.length > 1) {
      const left = 70, width = widthOf() - left - 10, scale = width / here.lasts;
      const root = svg("svg", { viewBox: `0 0 ${widthOf()} 78`, role: "img", "aria-label": "Which windows were clean in each person, and which were used" });
      const lanes = [...Object.entries(here.clean).map(([who, clean]) => [who, here.grid.filter((_, k) => clean[k] === 1)]), ["used", here.start]];
      lanes.forEach(([who, starts], k) => {
        root.append(svg("text", { x: 0, y: 16 + 24 * k }, who), svg("rect", { class: "lane", x: left, y: 4 + 24 * k, width, height: 16 }));
        for (const at of starts) root.append(svg("rect", { class: "kept", x: left + scale * at, y: 4 + 24 * k, width: Math.max(scale * here.window - 1, 1), height: 16 }));
      });
      children.push(root, el("p", `Time from 0 to ${number(here.lasts)} s; pale: left out.`, { class: "constant" }));
    }
    show("quality", ...children);
  }

  function leftOut() {
    const mine = D.lost.filter((each) => each[0] === chosen.dyad);
    show("out", mine.length ? tableOf("Sessions of this dyad that were not analysed, or left out of growth", ["Session", "Reason"], mine.map((each) => [each[1], each[2]])) : el("p", "No session of this dyad was left out."));
  }

  if (N) choose(start); else by("said").textContent = "synchrony.tsv has no rows.";
})();
